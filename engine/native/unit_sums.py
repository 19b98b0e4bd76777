"""Sums over the units of several days, by the compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from engine.native.library import Held, Library, address_of, counted, library
from engine.tracking.intervals import RatioSums
from engine.tracking.rollups.columns import Ints

_INTEGERS = 9
_MOST_COLUMNS = 15


def unit_sums(
    units: Sequence[Ints], n_units: int, xs: Sequence[Sequence[Ints]], ms: Sequence[Ints]
) -> list[RatioSums] | None:
    """For each of `xs`: the sums over units from 0 to `n_units` - 1, their rows added up.

    None where NumPy has to add: without kernels.

    Args:
        units: of each day, whose row each is: int32 (n,).
        xs: columns, each of them by day (n,).
        ms: by day (n,), at least 1 in every row.
    """
    found = library()
    if found is None:
        return None
    sums: list[RatioSums] = []
    for start in range(0, len(xs), _MOST_COLUMNS):
        sums += _some(found, units, n_units, xs[start : start + _MOST_COLUMNS], ms)
    return sums


def _some(
    found: Library,
    units: Sequence[Ints],
    n_units: int,
    xs: Sequence[Sequence[Ints]],
    ms: Sequence[Ints],
) -> list[RatioSums]:
    table = np.zeros((n_units, len(xs) + 1), dtype=np.int64)
    for unit, m, *columns in zip(units, ms, *xs, strict=True):
        # Day by day: what is made wide here is small enough to be used again.
        held = Held()
        counted(
            found.patient.mersalg_add_units(
                len(unit),
                held.address(unit, np.int32),
                n_units,
                len(xs),
                (ctypes.c_void_p * len(xs))(*(held.address(x, np.int64) for x in columns)),
                held.address(m, np.int64),
                address_of(table),
            )
        )
    out = np.zeros((len(xs), _INTEGERS), dtype=np.int64)
    counted(found.patient.mersalg_unit_sums(n_units, len(xs), address_of(table), address_of(out)))
    return [_sums(told) for told in out.tolist()]


def _sums(told: list[int]) -> RatioSums:
    n, x, m, *halves = told
    low, high = halves[:3], halves[3:]
    whole = [(top << 64) + (bottom % 2**64) for bottom, top in zip(low, high, strict=True)]
    return RatioSums(n, x, m, *whole)
