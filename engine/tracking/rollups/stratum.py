"""The units of one arm and share, and the exact sums of what they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Kind
from mersalg.engine.tracking.intervals import CrossSums, RatioSums
from mersalg.engine.tracking.rollups.day import CHANGES, TWINS, UnitRows
from mersalg.engine.tracking.rollups.exact_sums import (
    Bounds,
    Changed,
    Column,
    bounds_among,
    sum_by_place,
)
from mersalg.engine.tracking.strata import COUNTED, MONEY

_Ints = NDArray[Any]


class _Source(NamedTuple):
    """The columns of a measure: `factor` times one of them, and others that change it."""

    column: str
    factor: int = 1
    changes: tuple[str, ...] = ()


class Stratum:
    """The rows of an arm and share, and the totals of their units.

    Parameters
    ----------
    rows : sequence of UnitRows
        The rows.
    places : intp (n_rows,)
        The place of the unit of each.
    n_rows : int (n,)
        Number of rows of each place.
    bounds : sequence of (int, int)
        Of each group among the places.
    """

    def __init__(
        self, rows: Sequence[UnitRows], places: _Ints, n_rows: _Ints, bounds: Bounds
    ) -> None:
        n = len(n_rows)
        self._rows, self._places, self._n_rows = rows, places, int(n_rows.max())
        self._units, self._bounds, self._all_bounds = np.arange(n), bounds, bounds
        if 2 * len(places) < n:
            # Few of all units are in it: they get numbers of their own.
            is_own = np.zeros(n, np.bool_)
            is_own[places] = True
            self._units = np.flatnonzero(is_own)
            numbers = np.empty(n, np.intp)
            numbers[self._units] = np.arange(len(self._units))
            self._places, self._bounds = numbers[places], bounds_among(self._units, bounds)
        self._stored = frozenset[str]().union(*(each.columns for each in rows))
        self._columns: dict[str, Column] = {}
        self._less: dict[tuple[str, str], Column] = {}
        self._totals: dict[_Source, Changed] = {}
        self._sums: dict[tuple[_Source, int, bool], list[RatioSums]] = {}

    def sums(self, kind: Kind, name: str) -> list[RatioSums]:
        """Return the sums of one of `MEASURES` and the checkouts that it is of, for each group."""
        of, trials = self._checkouts(kind, name), name in COUNTED

        def sums_of(source: _Source) -> list[RatioSums]:
            key = (source, id(of), trials)
            if key not in self._sums:
                plain = _Source(source.column)
                self._sums[key] = (
                    self._column(source.column).per(of, trials=trials)
                    if source == plain
                    else self._total(source).per(of, sums_of(plain), trials=trials)
                )
            return self._sums[key]

        return sums_of(self._source(kind, name))

    def shared_with(self, other: Stratum) -> Shared:
        """Return the units that are in both."""
        if other is self:
            return Shared(self, self, slice(None), slice(None), self._bounds)
        shared, own, others = np.intersect1d(
            self._units, other._units, assume_unique=True, return_indices=True
        )
        return Shared(self, other, own, others, bounds_among(shared, self._all_bounds))

    def ratio(self, kind: Kind, name: str) -> tuple[_Ints, _Ints]:
        """Return what units have of a measure, and the checkouts that it is of."""
        x, m = self._total(self._source(kind, name)).column(), self._checkouts(kind, name)
        return x.values, m.values

    def at(self, kind: Kind, name: str, places: _Ints) -> _Ints:
        """Return what the units at some places have of a field of `Cluster`."""
        source = self._source(kind, name)
        if not len(self._units) or source.column not in self._stored:
            return places * 0
        own = np.minimum(np.searchsorted(self._units, places), len(self._units) - 1)
        return np.where(self._units[own] == places, self._total(source).at(own), 0)

    def _checkouts(self, kind: Kind, name: str) -> Column:
        """Return the number of checkouts that a measure is of."""
        of_all, foreign = (self._source(kind, each).column for each in ("checkouts", "foreign"))
        if name not in MONEY or foreign not in self._stored:
            return self._column(of_all)
        if (of_all, foreign) not in self._less:
            self._less[of_all, foreign] = self._column(of_all).less(self._column(foreign))
        return self._less[of_all, foreign]

    def _source(self, kind: Kind, name: str) -> _Source:
        column = f"{kind}_{name}"
        column = column if column in self._stored else TWINS.get(column, column)
        if name not in CHANGES:
            return _Source(column)
        base, factor = CHANGES[name]
        of_base = self._source(kind, base)
        changes = (*of_base.changes, column) if column in self._stored else of_base.changes
        return _Source(of_base.column, of_base.factor * factor, changes)

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            values = np.concatenate([each.column(name) for each in self._rows])
            total = sum_by_place(values, self._places, len(self._units), self._n_rows)
            self._columns[name] = Column(total, self._bounds)
        return self._columns[name]

    def _total(self, source: _Source) -> Changed:
        if source not in self._totals:
            found = [self._change(name) for name in source.changes]
            at = np.concatenate([np.zeros(0, np.intp), *(each for each, _ in found)])
            changed, inverse = np.unique(at, return_inverse=True)
            added = np.zeros(len(changed), np.int64)
            np.add.at(added, inverse, np.concatenate([added[:0], *(each for _, each in found)]))
            base = self._column(source.column)
            self._totals[source] = Changed(base, source.factor, changed, added)
        return self._totals[source]

    def _change(self, name: str) -> tuple[_Ints, _Ints]:
        values = np.concatenate([each.column(name) for each in self._rows])
        some = np.flatnonzero(values != 0)
        return self._places[some], values[some].astype(np.int64)


class Shared(NamedTuple):
    """The units of two strata, their places in both, and the bounds of groups among them."""

    one: Stratum
    other: Stratum
    own: _Ints | slice
    others: _Ints | slice
    bounds: Bounds

    def products(self, kinds: Sequence[Kind], name: str) -> list[CrossSums]:
        """Return the products of a measure for each group, of one kind in each stratum."""
        (x, m), (y, n) = (
            [Column(values[at], self.bounds) for values in stratum.ratio(kind, name)]
            for stratum, kind, at in zip(
                (self.one, self.other), kinds, (self.own, self.others), strict=True
            )
        )
        parts = (x.times(y), x.times(n), m.times(y), m.times(n))
        return [CrossSums(*numbers) for numbers in zip(*parts, strict=True)]
