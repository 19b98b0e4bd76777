"""Sums over the units of several days, by the compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from engine.native.library import Held, Library, address_of, counted, library
from engine.tracking.intervals import RatioSums
from engine.tracking.rollups.columns import Ints

_INTEGERS = 9
_KINDS = {"|u1": 1, "<u2": 2, "<u4": 4, "<i4": -4, "<i8": -8}
"""Of the numbers the kernel takes as they are: their bytes, negative where they have a sign."""
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


def number_units(
    units: Sequence[Ints], number_of: NDArray[np.int32]
) -> tuple[int, list[NDArray[np.int32]]] | None:
    """How many units there are, and under which numbers below that they stand, by day.

    None where NumPy has to tell: without kernels.

    Args:
        units: by day (n,), in `number_of`'s range.
        number_of: scratch memory, 0 everywhere before and after.
    """
    found = library()
    if found is None:
        return None
    held = Held()
    n_rows, rows = _by_day(held, units)
    ends = list(accumulate(n_rows.tolist(), initial=0))
    numbers = np.empty(ends[-1], dtype=np.int32)
    n = counted(
        found.patient.mersalg_number_units(
            len(units),
            address_of(n_rows),
            address_of(rows),
            len(number_of),
            address_of(number_of),
            address_of(numbers),
        )
    )
    return n, [numbers[begin:end] for begin, end in pairwise(ends)]


def _by_day(held: Held, units: Sequence[Ints]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many rows each day has, and where their units lie."""
    addresses = [held.address(unit, np.int32) for unit in units]
    return np.array([*map(len, units)], dtype=np.int64), np.array(addresses, dtype=np.int64)


def _some(
    found: Library,
    units: Sequence[Ints],
    n_units: int,
    xs: Sequence[Sequence[Ints]],
    ms: Sequence[Ints],
) -> list[RatioSums]:
    held = Held()
    n_rows, rows = _by_day(held, units)
    columns = np.array(
        [[_column(held, column) for column in of_day] for of_day in zip(*xs, ms, strict=True)],
        dtype=np.int64,
    )
    out = np.zeros((len(xs), _INTEGERS), dtype=np.int64)
    counted(
        found.patient.mersalg_unit_sums(
            len(units),
            address_of(n_rows),
            address_of(rows),
            n_units,
            len(xs),
            address_of(columns),
            address_of(out),
        )
    )
    return [_sums(told) for told in out.tolist()]


def _column(held: Held, column: Ints) -> tuple[int, int]:
    """What kind of numbers, as the kernel names it, and where."""
    kind = _KINDS.get(column.dtype.str)
    if kind is None:
        return -8, held.address(column, np.int64)
    return kind, held.address(column, column.dtype.type)


def _sums(told: list[int]) -> RatioSums:
    n, x, m, *halves = told
    low, high = halves[:3], halves[3:]
    whole = [(top << 64) + (bottom % 2**64) for bottom, top in zip(low, high, strict=True)]
    return RatioSums(n, x, m, *whole)
