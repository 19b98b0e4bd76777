"""Sums over the units of several days, by the compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.native.library import Library, address_of, counted, library
from engine.tracking.intervals import RatioSums

_INTEGERS = 9
_MOST_COLUMNS = 15


def unit_sums(
    unit: NDArray[np.int64], n_units: int, xs: Sequence[NDArray[np.int64]], m: NDArray[np.int64]
) -> list[RatioSums] | None:
    """For each of `xs`: the sums over units from 0 to `n_units` - 1, their rows (n,) added up.

    None where NumPy has to add: without kernels. `m` is at least 1 in every row.
    """
    found = library()
    if found is None:
        return None
    sums: list[RatioSums] = []
    for start in range(0, len(xs), _MOST_COLUMNS):
        sums += _some(found, unit, n_units, xs[start : start + _MOST_COLUMNS], m)
    return sums


def _some(
    found: Library,
    unit: NDArray[np.int64],
    n_units: int,
    xs: Sequence[NDArray[np.int64]],
    m: NDArray[np.int64],
) -> list[RatioSums]:
    columns = (ctypes.c_void_p * len(xs))(*map(address_of, xs))
    units = np.empty((n_units, len(xs) + 1), dtype=np.int64)
    out = np.zeros((len(xs), _INTEGERS), dtype=np.int64)
    counted(
        found.patient.mersalg_unit_sums(
            len(unit),
            address_of(unit),
            n_units,
            len(xs),
            ctypes.addressof(columns),
            address_of(m),
            address_of(units),
            address_of(out),
        )
    )
    return [_sums(told) for told in out.tolist()]


def _sums(told: list[int]) -> RatioSums:
    n, x, m, *halves = told
    low, high = halves[:3], halves[3:]
    whole = [(top << 64) + (bottom % 2**64) for bottom, top in zip(low, high, strict=True)]
    return RatioSums(n, x, m, *whole)
