"""The roll-ups of several days added up: the numbers that the facts of all of them would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, reduce
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.facts import KINDS, Arm, Kind
from engine.tracking.incremental import drawing_of
from engine.tracking.intervals import CrossSums, RatioSums
from engine.tracking.measures import Measures
from engine.tracking.rates import Counts, Drawing
from engine.tracking.rollups.day import FLAGS, FOREIGN, TOTALS, TWINS, Day, UnitRows
from engine.tracking.strata import (
    ARMS,
    COUNTED,
    MEASURES,
    MONEY,
    ArmSums,
    Strata,
    Stratum,
    share_of,
)

_ROWS = 2**19
"""Rows added up at once, so that the totals of their units fit into the processor's cache."""

_INT64 = 2**63
_HALF = 20
"""Bits of the lower part of a number whose products 64 bits do not hold."""

_Ints = NDArray[Any]


def add_up(days: Sequence[Day], currency: str | None, holdout: float) -> Measures:
    """Add up days, with each unit counted once.

    Parameters
    ----------
    days : sequence of Day
        In order of time.
    currency : str or None
        The money of days in other currencies is left out.
    holdout : float
        Control share where decisions state none.
    """
    counts: dict[Kind, Counts] = dict.fromkeys(KINDS, Counts())
    rows: list[UnitRows] = []
    for day in days:
        has_money = day.notes.currency == currency
        for kind, of_day in day.notes.counts.items():
            if not has_money:
                of_day = replace(of_day, revenue_minor=0, net_revenue_minor=0)
            counts[kind] += of_day
        rows += day.rows if has_money else [each.without_money() for each in day.rows]
    return reduce(
        _plus,
        _of_units(_parts(rows), holdout),
        Measures(counts, dict.fromkeys(KINDS, Strata()), Drawing()),
    )


def _plus(left: Measures, right: Measures) -> Measures:
    return Measures(
        {kind: left.counts[kind] + right.counts[kind] for kind in KINDS},
        {kind: left.strata[kind] + right.strata[kind] for kind in KINDS},
        left.drawing + right.drawing,
    )


def _parts(rows: Sequence[UnitRows]) -> Iterator[Sequence[UnitRows]]:
    """Yield the rows of some units after those of others."""
    n_parts = sum(len(each.columns["unit"]) for each in rows) // _ROWS + 1
    if n_parts == 1:
        yield from [rows] if rows else []
        return
    highest = max(int(each.columns["unit"][-1]) for each in rows)
    # Of the type of the units: NumPy would convert every unit to that of the bounds.
    bounds = np.linspace(0, highest + 1, n_parts + 1).astype(np.int32)
    cuts = [np.searchsorted(each.columns["unit"], bounds).tolist() for each in rows]
    for part in range(n_parts):
        chosen = [slice(*cut[part : part + 2]) for cut in cuts]
        some = [
            each.part(own) for each, own in zip(rows, chosen, strict=True) if own.start < own.stop
        ]
        if some:
            yield some


def _of_units(parts: Iterable[Sequence[UnitRows]], holdout: float) -> Iterator[Measures]:
    """Yield the counts of the units of each part."""
    # One loop for all parts: arrays are replaced one by one, so that their memory is used again.
    for rows in parts:
        places, n = _numbered(np.concatenate([each.columns["unit"] for each in rows]))
        row_flags = np.concatenate([each.columns["flags"] for each in rows])
        flags = np.zeros(n, np.uint8)
        np.bitwise_or.at(flags, places, row_flags)
        n_flags = np.bincount(flags, minlength=256)
        sizes = [len(each.columns["unit"]) for each in rows]
        # The earlier a decision, the higher its number; 0 where the row has none.
        decided = np.repeat(np.arange(len(rows), 0, -1, dtype=np.int32), sizes)
        decided[row_flags & FLAGS["drawn"] == 0] = 0
        first = np.zeros(n, np.int32)
        np.maximum.at(first, places, decided)
        n_first = np.bincount(first, minlength=len(rows) + 1)[:0:-1].tolist()
        drawn: Counter[Stratum] = Counter()
        for each, n_units in zip(rows, n_first, strict=True):
            if each.arm is not None:
                drawn[each.arm, each.share] += n_units
        strata = dict.fromkeys(KINDS, Strata())
        for arm in ARMS:
            chosen = [each for each in rows if each.arm == arm]
            own = places[np.repeat([each.arm == arm for each in rows], sizes)]
            for kind, of_arm in _strata_of(arm, chosen, own, holdout).items():
                strata[kind] += of_arm
        yield Measures(
            {kind: _counts(kind, n_flags) for kind in KINDS},
            strata,
            drawing_of(drawn, holdout),
        )


def _numbered(units: _Ints) -> tuple[NDArray[np.intp], int]:
    """Return a number for each unit, and a bound of these numbers."""
    lowest, highest = int(units.min()), int(units.max())
    if highest - lowest < 2 * len(units):
        # So many of all units are there that gaps between them cost less than sorting.
        return np.subtract(units, lowest, dtype=np.intp), highest + 1 - lowest
    distinct, places = np.unique(units, return_inverse=True)
    return places, len(distinct)


def _counts(kind: Kind, n_flags: _Ints) -> Counts:
    """Return the counts of units from the number of them with each combination of flags."""
    combinations = np.arange(len(n_flags))

    def has(name: str) -> NDArray[np.bool_]:
        return combinations & FLAGS[name] > 0

    shown, sold, kept = (has(f"{kind}_{name}") for name in ("shown", "sold", "kept"))
    # A window may credit the order of another unit, so that one with a conversion did not buy.
    buying = has("buying") | sold
    return Counts(
        units_shown=int(n_flags[shown & buying].sum()),
        units_converted=int(n_flags[sold].sum()),
        units_kept=int(n_flags[kept].sum()),
        units_buying=int(n_flags[buying].sum()),
    )


def _strata_of(
    arm: Arm, rows: Sequence[UnitRows], units: _Ints, holdout: float
) -> Mapping[Kind, Strata]:
    """Return the strata of one arm, from its rows and the unit of each of them."""
    if not rows:
        return {}
    places, n = _numbered(units)
    ends = np.cumsum([len(each.columns["unit"]) for each in rows]).tolist()
    places_of = [
        places[end - len(each.columns["unit"]) : end] for each, end in zip(rows, ends, strict=True)
    ]
    stored = frozenset[str]().union(*(each.columns for each in rows))
    # One block: the allocator returns smaller ones to the system, which clears them for each part.
    shares = sorted({share_of(each.share, holdout) for each in rows})
    totals = np.zeros((len(shares), len(TOTALS), n), np.int64)

    @cache
    def column(share: int, name: str) -> Column:
        total = totals[shares.index(share), TOTALS.index(name)]
        for each, own in zip(rows, places_of, strict=True):
            if share_of(each.share, holdout) == share:
                # Of the same type: NumPy adds others one by one.
                np.add.at(total, own, each.column(name).astype(np.int64))
        return Column(total)

    def source(kind: Kind, name: str) -> str:
        return f"{kind}_{name}" if f"{kind}_{name}" in stored else TWINS[f"{kind}_{name}"]

    def without(kind: Kind, name: str) -> str | None:
        """Return the column of checkouts that a measure is not of, where there are any."""
        is_stored = name in MONEY and not stored.isdisjoint(FOREIGN)
        return source(kind, "foreign") if is_stored else None

    @cache
    def checkouts(share: int, m: str, foreign: str | None) -> Column:
        of_all = column(share, m)
        return of_all if foreign is None else of_all.less(column(share, foreign))

    @cache
    def ratio(share: int, x: str, m: str, foreign: str | None) -> RatioSums:
        return column(share, x).per(checkouts(share, m, foreign))

    @cache
    def both(first: int, second: int, m: str, foreign: str | None) -> int:
        return checkouts(first, m, foreign).times(checkouts(second, m, foreign))

    def sums(kind: Kind, share: int) -> ArmSums:
        m = source(kind, "checkouts")
        return ArmSums(
            {name: ratio(share, source(kind, name), m, without(kind, name)) for name in MEASURES},
            sum(
                int(each.column(f"{kind}_checkouts").sum())
                for each in rows
                if each.share is None and share_of(None, holdout) == share
            ),
            {name: column(share, source(kind, name)).n_positive for name in COUNTED},
        )

    def products(kind: Kind, first: int, second: int) -> Mapping[str, CrossSums]:
        own = source(kind, "checkouts")
        if not both(first, second, own, None):
            return {}

        def products_of(name: str) -> CrossSums:
            foreign = without(kind, name)
            x, y = (column(share, source(kind, name)) for share in (first, second))
            m, n = (checkouts(share, own, foreign) for share in (first, second))
            return CrossSums(x.times(y), x.times(n), m.times(y), both(first, second, own, foreign))

        return {name: products_of(name) for name in MEASURES}

    return {
        kind: Strata(
            {(share, arm): found for share in shares if (found := sums(kind, share)).checkouts},
            {
                (arm, first, second): found
                for first, second in combinations(shares, 2)
                if (found := products(kind, first, second))
            },
        )
        for kind in KINDS
    }


class Column:
    """A total of each unit, and exact sums over the units.

    Parameters
    ----------
    values : int64 (n,)
        One for each unit.
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._values = values
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def less(self, other: Column) -> Column:
        """Return the totals less those of another column."""
        return Column(self._values - other._values)

    def per(self, m: Column) -> RatioSums:
        """Return the sums of the ratio of this column to `m`, which is 0 for units without any."""
        return RatioSums(m._n, self._sum, m._sum, self._squares, self.times(m), m._squares)

    @cached_property
    def _sum(self) -> int:
        fits = self._largest * len(self._values) < _INT64
        return int(self._values.sum()) if fits else sum(self._values.tolist())

    @cached_property
    def _n(self) -> int:
        return int(np.count_nonzero(self._values))

    @cached_property
    def n_positive(self) -> int:
        """Number of units whose total is above 0."""
        return int(np.count_nonzero(self._values > 0))

    @cached_property
    def _squares(self) -> int:
        return self.times(self)

    def times(self, other: Column) -> int:
        """Return the sum of products, in two steps where 64 bits do not hold it."""
        if self._largest * other._largest * len(self._values) < _INT64:
            return int(np.dot(self._values, other._values))
        if self._largest < other._largest:
            return other.times(self)
        high, low = Column(self._values >> _HALF), Column(self._values & (2**_HALF - 1))
        return (high.times(other) << _HALF) + low.times(other)
