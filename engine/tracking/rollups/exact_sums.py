"""Exact sums over units, also where 64 bits do not hold them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.tracking.intervals import RatioSums

_INT64 = 2**63
_HALF = 20
"""Bits of the lower part of a number whose products 64 bits do not hold."""


class Column:
    """A total of each unit, and exact sums over the units.

    Parameters
    ----------
    values : int64 (n,)
        One for each unit.
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        self.values = values
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def less(self, other: Column) -> Column:
        """Return the totals less those of another column."""
        return Column(self.values - other.values)

    def per(self, m: Column, *, trials: bool = False) -> RatioSums:
        """Return the sums of the ratio of this column to `m`, which is 0 for units without any.

        `trials` as in `RatioSums.of_trials`.
        """
        return RatioSums(
            *(m._n, self.sum, m.sum, self.squares, self.times(m), m.squares),
            *(_outcomes(self.values, m.values) if trials else ()),
        )

    @cached_property
    def sum(self) -> int:
        """The sum."""
        fits = self._largest * len(self.values) < _INT64
        return int(self.values.sum()) if fits else sum(self.values.tolist())

    @cached_property
    def _n(self) -> int:
        return int(np.count_nonzero(self.values))

    @cached_property
    def squares(self) -> int:
        """The sum of squares."""
        return self.times(self)

    def times(self, other: Column) -> int:
        """Return the sum of products, in two steps where 64 bits do not hold it."""
        if self._largest * other._largest * len(self.values) < _INT64:
            return int(np.dot(self.values, other.values))
        if self._largest < other._largest:
            return other.times(self)
        high, low = Column(self.values >> _HALF), Column(self.values & (2**_HALF - 1))
        return (high.times(other) << _HALF) + low.times(other)


def _outcomes(x: NDArray[np.int64], m: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many units have a success, and how many a failure, of x in m trials each."""
    return int(np.count_nonzero(x > 0)), int(np.count_nonzero(x < m))


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
        Where values are changed, each place once.
    change : int64 (k,)
        What is added there.
    """

    base: Column
    factor: int
    places: NDArray[np.intp]
    change: NDArray[np.int64]

    def _before(self) -> NDArray[np.int64]:
        return self.base.values[self.places] * self.factor

    def per(self, m: Column, plain: RatioSums, *, trials: bool = False) -> RatioSums:
        """Return the sums of the ratio to `m` from those of the column's, `plain`.

        Of `trials` the factor is 1.
        """
        change, before, factor = Column(self.change), Column(self._before()), self.factor
        own = m.values[self.places]
        now, then = (_outcomes(each, own) for each in (before.values + self.change, before.values))
        return RatioSums(
            plain.n,
            factor * plain.sum_x + change.sum,
            plain.sum_m,
            factor**2 * plain.sum_xx + 2 * before.times(change) + change.squares,
            factor * plain.sum_xm + change.times(Column(own)),
            plain.sum_mm,
            plain.n_some + now[0] - then[0] if trials else 0,
            plain.n_less + now[1] - then[1] if trials else 0,
        )

    def at(self, places: NDArray[np.intp]) -> NDArray[np.int64]:
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
        return Column(total)
