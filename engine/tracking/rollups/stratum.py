"""The units of one arm and share, and the exact sums of what they have over groups of units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mersalg.engine.facts import Kind
from mersalg.engine.tracking.rollups.columns import Ints
from mersalg.engine.tracking.rollups.day import CHANGES, TWINS, UnitRows
from mersalg.engine.tracking.strata import COUNTED, MONEY

_INT64 = 2**63
_HALF = 20
"""Bits of the lower part of a number whose sums 64 bits do not hold."""


class Column:
    """A total of each unit (n,), in the order of groups, and exact sums over units of each group.

    `ends` (n_groups + 1,) are where groups end among the units; the first is 0.
    """

    def __init__(self, values: Ints, ends: Ints) -> None:
        self.values, self.ends = values, ends
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def per(self, m: Column, *, trials: bool = False) -> Ints:
        """Return `RatioSums` (n_groups, 8) of this column to `m`, 0 for units without any."""
        parts = [m.n_some, self.sum, m.sum, self.squares, self.times(m)]
        outcomes = _outcomes(self.values, m.values, self.ends) if trials else [0 * m.sum] * 2
        return np.stack([*parts, m.squares, *outcomes], axis=1)

    @cached_property
    def n_some(self) -> Ints:
        """The numbers of units that have any."""
        return count_true(self.values, self.ends)

    @cached_property
    def sum(self) -> Ints:
        """The sums."""
        if self._largest * len(self.values) < _INT64:
            return _sums(self.values, self.ends)
        high = Column(self.values >> _HALF, self.ends).sum.astype(object)
        return (high << _HALF) + Column(self.values & (1 << _HALF) - 1, self.ends).sum

    @cached_property
    def squares(self) -> Ints:
        """The sums of squares."""
        return self.times(self)

    def times(self, other: Column) -> Ints:
        """Return the sums of products."""
        if self._largest * other._largest * len(self.values) < _INT64:
            return _sums(self.values * other.values, self.ends)
        if self._largest < other._largest:
            return other.times(self)
        high = Column(self.values >> _HALF, self.ends).times(other).astype(object)
        return (high << _HALF) + Column(self.values & (1 << _HALF) - 1, self.ends).times(other)


def sum_by_place(values: Ints, places: Ints, n: int) -> Ints:
    """Return the sum of the values of each of n places."""
    total = np.zeros(n, np.int64)
    # Values of the type of the sums: for others NumPy takes fifty times as long.
    np.add.at(total, places, values.astype(np.int64, copy=False))
    return total


def count_true(values: Ints, ends: Ints) -> Ints:
    """Return the numbers of values of each group that are not 0."""
    return _sums(values != 0, ends)


def _sums(values: Ints, ends: Ints) -> Ints:
    found = np.zeros(len(ends) - 1, np.int64)
    some = np.flatnonzero(ends[:-1] < ends[1:])
    if len(some):
        found[some] = np.add.reduceat(values, ends[some], dtype=np.int64)
    return found


def _outcomes(x: Ints, m: Ints, ends: Ints) -> list[Ints]:
    """Return how many units have a success, and how many a failure, of x in m trials each."""
    return [count_true(x > 0, ends), count_true(x < m, ends)]


@dataclass(frozen=True, slots=True)
class _Changed:
    """A multiple of a column, with some of its values changed, and exact sums over the units.

    Few values are, each of `places` (k,) once, in order, by `change` (k,): their sums are put right
    in those of the column.
    """

    base: Column
    factor: int
    places: Ints
    change: Ints

    def per(self, m: Column, plain: Ints, *, trials: bool) -> Ints:
        """Return the sums of the ratio to `m` from those of the column's, `plain`.

        Of `trials` the factor is 1.
        """
        ends = np.searchsorted(self.places, self.base.ends)
        own, old = m.values[self.places], self.base.values[self.places] * self.factor
        change, before, of = (Column(each, ends) for each in (self.change, old, own))
        found = plain.astype(object) * [1, self.factor, 1, self.factor**2, self.factor, 1, 1, 1]
        found[:, 1] += change.sum
        found[:, 3] += 2 * before.times(change).astype(object) + change.squares
        found[:, 4] += change.times(of)
        if trials:
            found[:, 6:] += np.stack(_outcomes(old + self.change, own, ends), axis=1)
            found[:, 6:] -= np.stack(_outcomes(old, own, ends), axis=1)
        else:
            found[:, 6:] = 0
        return found

    def at(self, places: Ints) -> Ints:
        """Return some of the totals."""
        found = self.base.values[places] * self.factor
        if len(self.places):
            near = np.minimum(np.searchsorted(self.places, places), len(self.places) - 1)
            found += np.where(self.places[near] == places, self.change[near], 0)
        return found

    def values(self) -> Ints:
        """Return all totals."""
        total = self.base.values * self.factor
        total[self.places] += self.change
        return total


class _Source(NamedTuple):
    """The columns of a measure: `factor` times one of them, and others that change it."""

    column: str
    factor: int = 1
    changes: tuple[str, ...] = ()


class Rows:
    """Rows of several days and strata, in order of time, with the place of the unit of each."""

    def __init__(self, parts: Sequence[UnitRows], places: Ints) -> None:
        self.parts, self.places = parts, places
        self.sizes = np.array([len(each.columns["unit"]) for each in parts], np.intp)
        self.stored = frozenset[str]().union(*(each.columns for each in parts))

    def column(self, name: str) -> Ints:
        """Return a column of all rows; see `UnitRows.column`."""
        return np.concatenate([each.column(name) for each in self.parts])

    def where(self, name: str) -> Ints:
        """Return the rows in which a column is not 0."""
        if self.stored.isdisjoint((name, TWINS.get(name, name))):
            return np.zeros(0, np.intp)
        return np.flatnonzero(self.column(name) != 0)

    def of_parts(self, values: Sequence[Any] | Ints, dtype: Any) -> Ints:
        """Return for each row what is given for its part."""
        return np.repeat(np.array(values, dtype), self.sizes)

    def some(self, chosen: Sequence[int]) -> Rows:
        """Return the rows of some parts."""
        begins = np.cumsum(self.sizes) - self.sizes
        places = [self.places[begins[at] : begins[at] + self.sizes[at]] for at in chosen]
        return Rows([self.parts[at] for at in chosen], np.concatenate(places))


class Stratum:
    """The rows of an arm and share, and the totals of their units.

    `ends` (n_groups + 1,) are those of each group among the places of units.
    """

    def __init__(self, rows: Rows, ends: Ints) -> None:
        n, places = int(ends[-1]), rows.places
        self._rows, self._places = rows, places
        self._units, self._ends, self._all_ends = np.arange(n), ends, ends
        if 2 * len(places) < n:
            # Few of all units are in it: they get numbers of their own.
            is_own = np.zeros(n, np.bool_)
            is_own[places] = True
            self._units = np.flatnonzero(is_own)
            numbers = np.empty(n, np.intp)
            numbers[self._units] = np.arange(len(self._units))
            self._places, self._ends = numbers[places], np.searchsorted(self._units, ends)
        self._columns: dict[str, Column] = {}
        self._less: dict[tuple[str, str], Column] = {}
        self._totals: dict[_Source, _Changed] = {}
        self._sums: dict[tuple[_Source, int, bool], Ints] = {}

    def sums(self, kind: Kind, name: str) -> Ints:
        """Return the sums of one of `MEASURES` and the checkouts that it is of, for each group."""
        of, trials = self._checkouts(kind, name), name in COUNTED
        return self._sums_of(self._source(kind, name), of, trials=trials)

    def _sums_of(self, source: _Source, of: Column, *, trials: bool) -> Ints:
        key = (source, id(of), trials)
        if key not in self._sums:
            plain = _Source(source.column)
            self._sums[key] = (
                self._column(source.column).per(of, trials=trials)
                if source == plain
                else self._total(source).per(
                    of, self._sums_of(plain, of, trials=trials), trials=trials
                )
            )
        return self._sums[key]

    def shared_with(self, other: Stratum) -> Shared:
        """Return the units that are in both."""
        if other is self:
            return Shared(self, self, slice(None), slice(None), self._ends)
        shared, own, others = np.intersect1d(
            self._units, other._units, assume_unique=True, return_indices=True
        )
        return Shared(self, other, own, others, np.searchsorted(shared, self._all_ends))

    def ratio(self, kind: Kind, name: str) -> tuple[Ints, Ints]:
        """Return what units have of a measure, and the checkouts that it is of."""
        return self._total(self._source(kind, name)).values(), self._checkouts(kind, name).values

    def at(self, kind: Kind, name: str, places: Ints) -> Ints:
        """Return what the units at some places have of a field of `Cluster`."""
        source = self._source(kind, name)
        if not len(self._units) or source.column not in self._rows.stored:
            return places * 0
        own = np.minimum(np.searchsorted(self._units, places), len(self._units) - 1)
        return np.where(self._units[own] == places, self._total(source).at(own), 0)

    def _checkouts(self, kind: Kind, name: str) -> Column:
        """Return the number of checkouts that a measure is of."""
        of_all, foreign = (self._source(kind, each).column for each in ("checkouts", "foreign"))
        if name not in MONEY or foreign not in self._rows.stored:
            return self._column(of_all)
        if (of_all, foreign) not in self._less:
            totals = self._column(of_all).values - self._column(foreign).values
            self._less[of_all, foreign] = Column(totals, self._ends)
        return self._less[of_all, foreign]

    def _source(self, kind: Kind, name: str) -> _Source:
        column = f"{kind}_{name}"
        column = column if column in self._rows.stored else TWINS.get(column, column)
        if name not in CHANGES:
            return _Source(column)
        base, factor = CHANGES[name]
        of_base = self._source(kind, base)
        changes = (*of_base.changes, column) if column in self._rows.stored else of_base.changes
        return _Source(of_base.column, of_base.factor * factor, changes)

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            total = sum_by_place(self._rows.column(name), self._places, len(self._units))
            self._columns[name] = Column(total, self._ends)
        return self._columns[name]

    def _total(self, source: _Source) -> _Changed:
        if source not in self._totals:
            changes = [self._change(name) for name in source.changes]
            at = np.concatenate([np.zeros(0, np.intp), *(each for each, _ in changes)])
            changed, inverse = np.unique(at, return_inverse=True)
            values = np.concatenate([np.zeros(0, np.int64), *(each for _, each in changes)])
            added = sum_by_place(values, inverse, len(changed))
            base = self._column(source.column)
            self._totals[source] = _Changed(base, source.factor, changed, added)
        return self._totals[source]

    def _change(self, name: str) -> tuple[Ints, Ints]:
        values = self._rows.column(name)
        some = np.flatnonzero(values != 0)
        return self._places[some], values[some]


class Shared(NamedTuple):
    """The units of two strata, their places in both, and the ends of groups among them."""

    one: Stratum
    other: Stratum
    own: Ints | slice
    others: Ints | slice
    ends: Ints

    def products(self, kinds: Sequence[Kind], name: str) -> Ints:
        """Return `CrossSums` (n_groups, 4) of a measure, of one kind in each stratum."""
        (x, m), (y, n) = (
            [Column(values[at], self.ends) for values in stratum.ratio(kind, name)]
            for stratum, kind, at in zip(
                (self.one, self.other), kinds, (self.own, self.others), strict=True
            )
        )
        return np.stack([x.times(y), x.times(n), m.times(y), m.times(n)], axis=1)
