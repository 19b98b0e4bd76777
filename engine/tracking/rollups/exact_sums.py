"""Exact sums over the units of each group, also where 64 bits do not hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.tracking.intervals import RatioSums

_INT64 = 2**63
_EXACT = 2**53
_HALF = 20
"""Bits of the lower part of a number whose products 64 bits do not hold."""

_Ints = NDArray[Any]

Bounds = Sequence[tuple[int, int]]
"""Begin and end of each group among the units, which are in the order of groups."""


class Column:
    """A total of each unit, and exact sums over the units of each group.

    Parameters
    ----------
    values : int64 (n,)
        One for each unit.
    bounds : sequence of (int, int)
        Of each group.
    """

    def __init__(self, values: NDArray[np.int64], bounds: Bounds) -> None:
        self.values, self.bounds = values, bounds
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def less(self, other: Column) -> Column:
        """Return the totals less those of another column."""
        return Column(self.values - other.values, self.bounds)

    def per(self, m: Column, *, trials: bool = False) -> list[RatioSums]:
        """Return the sums of the ratio of this column to `m`, which is 0 for units without any."""
        parts = [m.n, self.sum, m.sum, self.squares, self.times(m), m.squares]
        parts += _outcomes(self.values, m.values, self.bounds) if trials else []
        return [RatioSums(*numbers) for numbers in zip(*parts, strict=True)]

    @cached_property
    def sum(self) -> list[int]:
        """The sums."""
        if self._largest * len(self.values) < _INT64:
            return [int(self.values[begin:end].sum()) for begin, end in self.bounds]
        return [sum(self.values[begin:end].tolist()) for begin, end in self.bounds]

    @cached_property
    def n(self) -> list[int]:
        """The numbers of units with a total other than 0."""
        return count_true(self.values, self.bounds)

    @cached_property
    def squares(self) -> list[int]:
        """The sums of squares."""
        return self.times(self)

    def times(self, other: Column) -> list[int]:
        """Return the sums of products, in two steps where 64 bits do not hold them."""
        if self._largest * other._largest * len(self.values) < _INT64:
            x, y = self.values, other.values
            return [int(np.dot(x[begin:end], y[begin:end])) for begin, end in self.bounds]
        if self._largest < other._largest:
            return other.times(self)
        high = Column(self.values >> _HALF, self.bounds).times(other)
        low = Column(self.values & (2**_HALF - 1), self.bounds).times(other)
        return [(more << _HALF) + less for more, less in zip(high, low, strict=True)]


def sum_by_place(values: _Ints, places: _Ints, n: int, n_rows: int) -> NDArray[np.int64]:
    """Return the sum of the values of each of n places, of which none has more than `n_rows`.

    NumPy adds in floating point, which is exact up to 53 bits: larger sums are made in two steps.
    """
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    if largest * n_rows < _EXACT:
        return np.bincount(places, values, n).astype(np.int64)
    wide = values.astype(np.int64)
    high, low = wide >> _HALF, wide & (2**_HALF - 1)
    sums = (sum_by_place(each, places, n, n_rows) for each in (high, low))
    return (next(sums) << _HALF) + next(sums)


def count_true(values: _Ints, bounds: Bounds) -> list[int]:
    """Return the numbers of values of each group that are not 0."""
    return [int(np.count_nonzero(values[begin:end])) for begin, end in bounds]


def bounds_among(places: _Ints, bounds: Bounds) -> Bounds:
    """Return the bounds of groups among some places of units, which are in order."""
    ends = np.array([bounds[0][0], *(end for _, end in bounds)])
    return list(pairwise(np.searchsorted(places, ends).tolist()))


def _outcomes(x: _Ints, m: _Ints, bounds: Bounds) -> list[list[int]]:
    """Return how many units have a success, and how many a failure, of x in m trials each."""
    return [count_true(x > 0, bounds), count_true(x < m, bounds)]


@dataclass(frozen=True, slots=True)
class Changed:
    """A multiple of a column, with some of its values changed, and exact sums over the units.

    Few values are: their sums are put right in those of the column.

    Attributes
    ----------
    base : Column
        The column.
    factor : int
        What it is multiplied by.
    places : intp (k,)
        Where values are changed, each place once, in order.
    change : int64 (k,)
        What is added there.
    """

    base: Column
    factor: int
    places: _Ints
    change: _Ints

    def per(self, m: Column, plain: Sequence[RatioSums], *, trials: bool) -> list[RatioSums]:
        """Return the sums of the ratio to `m` from those of the column's, `plain`.

        Of `trials` the factor is 1.
        """
        bounds = bounds_among(self.places, self.base.bounds)
        own, old = m.values[self.places], self.base.values[self.places] * self.factor
        change, before, of = (Column(each, bounds) for each in (self.change, old, own))
        parts = [plain, change.sum, before.times(change), change.squares, change.times(of)]
        none = [[0] * len(bounds)] * 4
        parts += (
            [*_outcomes(old + self.change, own, bounds), *_outcomes(old, own, bounds)]
            if trials
            else none
        )
        factor = self.factor
        return [
            RatioSums(
                sums.n,
                factor * sums.sum_x + x,
                sums.sum_m,
                factor**2 * sums.sum_xx + 2 * both + xx,
                factor * sums.sum_xm + xm,
                sums.sum_mm,
                sums.n_some + some - had_some if trials else 0,
                sums.n_less + less - had_less if trials else 0,
            )
            for sums, x, both, xx, xm, some, less, had_some, had_less in zip(*parts, strict=True)
        ]

    def at(self, places: _Ints) -> _Ints:
        """Return some of the totals."""
        found = self.base.values[places] * self.factor
        if len(self.places):
            near = np.minimum(np.searchsorted(self.places, places), len(self.places) - 1)
            found += np.where(self.places[near] == places, self.change[near], 0)
        return found

    def column(self) -> Column:
        """Return all totals."""
        total = self.base.values * self.factor
        total[self.places] += self.change
        return Column(total, self.base.bounds)
