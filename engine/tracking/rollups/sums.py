"""The roll-ups of several days added up: the numbers that the facts of all of them would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.extra_sales import MEASURE, Between, add_between
from mersalg.engine.tracking.intervals import CrossSums, RatioSums
from mersalg.engine.tracking.measures import Measures
from mersalg.engine.tracking.rates import NO_RATIOS, Counts, add_ratios
from mersalg.engine.tracking.rollups.day import CHANGES, FLAGS, OF_CLUSTER, TWINS, Day, UnitRows
from mersalg.engine.tracking.rollups.exact_sums import Changed, Column
from mersalg.engine.tracking.rollups.unit_counts import converted
from mersalg.engine.tracking.rollups.unit_trials import Totals, trials_of
from mersalg.engine.tracking.sample_ratio import Drawn
from mersalg.engine.tracking.strata import (
    ARMS,
    COUNTED,
    MEASURES,
    MONEY,
    ArmSums,
    Strata,
    share_of,
)

_ROWS = 2**19
"""Rows added up at once, so that the totals of their units fit into the processor's cache."""


_Ints = NDArray[Any]


def add_up(days: Sequence[Day], currency: str | None, holdout: float) -> Measures:
    """Add up days, with each unit counted once.

    Parameters
    ----------
    days : sequence of Day
        In order of time, with their numbers.
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
        Measures(
            counts,
            dict.fromkeys(KINDS, NO_RATIOS),
            dict.fromkeys(KINDS, Strata()),
            dict.fromkeys(KINDS, Strata()),
            {kind: Counter() for kind in KINDS},
            {},
        ),
    )


def _plus(left: Measures, right: Measures) -> Measures:
    return Measures(
        {kind: left.counts[kind] + right.counts[kind] for kind in KINDS},
        {kind: add_ratios(left.ratios[kind], right.ratios[kind]) for kind in KINDS},
        {kind: left.strata[kind] + right.strata[kind] for kind in KINDS},
        {kind: left.of_units[kind] + right.of_units[kind] for kind in KINDS},
        {kind: left.drawn[kind] + right.drawn[kind] for kind in KINDS},
        add_between(left.between, right.between),
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
        flags = np.zeros(n, np.uint8)
        row_flags = np.concatenate([each.columns["flags"] for each in rows])
        np.bitwise_or.at(flags, places, row_flags)
        _mark_later_orders(flags, rows, row_flags, places)
        n_flags = np.bincount(flags, minlength=256)
        n_rows = np.bincount(places, minlength=n)
        sizes = [len(each.columns["unit"]) for each in rows]
        first = dict.fromkeys(KINDS, _first(KINDS[0], rows, places, n))
        if any(f"{KINDS[1]}_drawn" in each.columns for each in rows):
            first[KINDS[1]] = _first(KINDS[1], rows, places, n)
        strata = dict.fromkeys(KINDS, Strata())
        totals: dict[Arm, Totals] = {}
        between: dict[tuple[Arm, int, int], CrossSums] = {}
        for arm in ARMS:
            chosen = [each for each in rows if each.arm == arm]
            own = places[np.repeat([each.arm == arm for each in rows], sizes)]
            of_arm, of_both, totals[arm] = _strata_of(arm, chosen, own, n, holdout)
            between |= of_both
            for kind in KINDS:
                strata[kind] += of_arm[kind]
        of_units: Mapping[Kind, Strata] = {
            kind: trials_of(kind, rows, places, first[kind][0], strata[kind], totals, holdout)
            for kind in KINDS
        }
        counted = {kind: converted(kind, rows, places, n_rows) for kind in KINDS}
        yield Measures(
            {kind: _counts(kind, n_flags) + counted[kind][0] for kind in KINDS},
            {kind: counted[kind][1] for kind in KINDS},
            strata,
            of_units,
            {kind: drawn for kind, (_, drawn) in first.items()},
            between,
        )


def _first(
    kind: Kind, rows: Sequence[UnitRows], places: NDArray[np.intp], n: int
) -> tuple[_Ints, Drawn]:
    """Return the place in `rows` of the first eligible decision of each unit, -1 for none.

    And the number of units of each stratum and group of such decisions.
    """
    # The earlier a decision, the higher its number; 0 where the row has none.
    ends = np.cumsum([len(each.groups) for each in reversed(rows)])
    begins = [int(end) - len(each.groups) for end, each in zip(ends, reversed(rows), strict=True)]
    begins.reverse()
    decided = [
        np.where(column > 0, column + np.int32(begin), np.int32(0))
        for begin, column in zip(
            begins, (each.column(f"{kind}_drawn") for each in rows), strict=True
        )
    ]
    first = np.zeros(n, np.int32)
    np.maximum.at(first, places, np.concatenate(decided))
    n_first = np.bincount(first, minlength=int(ends[-1]) + 1)
    drawn: Drawn = Counter()
    for each, begin in zip(rows, begins, strict=True):
        of_groups = n_first[begin + 1 : begin + 1 + len(each.groups)].tolist()
        for group, n_units in zip(each.groups, of_groups, strict=True):
            if n_units and each.arm is not None:
                drawn[(each.arm, each.share), group] += n_units
    n_groups = [len(each.groups) for each in reversed(rows)]
    of_number = np.repeat(np.arange(len(rows), dtype=np.int32)[::-1], n_groups)
    return np.concatenate([np.array([-1], np.int32), of_number])[first], drawn


def _numbered(units: _Ints) -> tuple[NDArray[np.intp], int]:
    """Return a number for each unit, and a bound of these numbers."""
    lowest, highest = int(units.min()), int(units.max())
    if highest - lowest < 2 * len(units):
        # So many of all units are there that gaps between them cost less than sorting.
        return np.subtract(units, lowest, dtype=np.intp), highest + 1 - lowest
    distinct, places = np.unique(units, return_inverse=True)
    return places, len(distinct)


def _mark_later_orders(
    flags: NDArray[np.uint8], rows: Sequence[UnitRows], row_flags: _Ints, units: _Ints
) -> None:
    """Mark units as buying that were shown an offer on one day and ordered on a later one.

    Parameters
    ----------
    flags : uint8 (n_units,)
        Of each unit, all of its rows together; changed in place.
    rows, row_flags, units
        All rows, and flags and unit of each.
    """
    ends = np.cumsum([len(each.columns["unit"]) for each in rows])
    days = np.array([each.day for each in rows])
    ordered = FLAGS["ordered"]
    for kind in KINDS:
        shown, bought = FLAGS[f"{kind}_shown"], FLAGS[f"{kind}_bought"]
        # Days know who bought on the day of the offer; few units are left to be looked at.
        undecided = flags & (shown | ordered | bought) == shown | ordered
        at = np.flatnonzero(undecided[units])
        own, days_of = units[at], days[np.searchsorted(ends, at, side="right")]
        first = np.full(len(flags), days.max())
        last = np.zeros(len(flags), np.int64)
        is_shown, is_ordered = (row_flags[at] & mark > 0 for mark in (shown, ordered))
        np.minimum.at(first, own[is_shown], days_of[is_shown])
        np.maximum.at(last, own[is_ordered], days_of[is_ordered])
        flags[undecided & (first < last)] |= bought


def _counts(kind: Kind, n_flags: _Ints) -> Counts:
    """Return the counts of units from the number of them with each combination of flags."""
    combinations = np.arange(len(n_flags))

    def has(name: str) -> NDArray[np.bool_]:
        return combinations & FLAGS[name] > 0

    return Counts(
        units_shown=int(n_flags[has(f"{kind}_bought")].sum()),
        units_buying=int(n_flags[has("buying")].sum()),
    )


def _strata_of(
    arm: Arm, rows: Sequence[UnitRows], units: _Ints, n_units: int, holdout: float
) -> tuple[Mapping[Kind, Strata], Between, Totals]:
    """Return the strata of one arm, from its rows and the unit of each of them; and its totals.

    And the products of units that have both kinds.
    """
    if not rows:
        return dict.fromkeys(KINDS, Strata()), {}, lambda _kind, _share, _name, units: units * 0
    places, n = _numbered(units)
    stored = frozenset[str]().union(*(each.columns for each in rows))
    shares = sorted({share_of(each.share, holdout) for each in rows})
    whole = [f"{kind}_{name}" for kind in KINDS for name in OF_CLUSTER if name not in CHANGES]
    whole = [name for name in whole if name in stored]
    # One block: the allocator returns smaller ones to the system, which clears them for each part.
    totals = np.zeros((len(shares), len(whole), n), np.int64)

    @cache
    def of_share(share: int) -> tuple[Sequence[UnitRows], NDArray[np.intp]]:
        chosen = [share_of(each.share, holdout) == share for each in rows]
        own = [each for each, is_so in zip(rows, chosen, strict=True) if is_so]
        sizes = [len(each.columns["unit"]) for each in rows]
        return own, places[np.repeat(chosen, sizes)] if len(shares) > 1 else places

    @cache
    def column(share: int, name: str) -> Column:
        total = totals[shares.index(share), whole.index(name)]
        own, at = of_share(share)
        # Of the same type: NumPy adds others one by one.
        np.add.at(total, at, np.concatenate([each.column(name) for each in own], dtype=np.int64))
        return Column(total)

    @cache
    def change(share: int, name: str) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        own, at = of_share(share)
        values = np.concatenate([each.column(name) for each in own])
        some = np.flatnonzero(values != 0)
        return at[some], values[some].astype(np.int64)

    @cache
    def total(share: int, source: _Source) -> Changed:
        found = [change(share, name) for name in source.changes]
        at = np.concatenate([np.zeros(0, np.intp), *(each for each, _ in found)])
        changed, inverse = np.unique(at, return_inverse=True)
        added = np.zeros(len(changed), np.int64)
        np.add.at(added, inverse, np.concatenate([added[:0], *(each for _, each in found)]))
        return Changed(column(share, source.name), source.factor, changed, added)

    @cache
    def checkouts(share: int, m: str, foreign: str | None) -> Column:
        of_all = column(share, m)
        return of_all if foreign is None else of_all.less(column(share, foreign))

    @cache
    def ratio(share: int, x: _Source, m: str, foreign: str | None, trials: bool) -> RatioSums:
        of = checkouts(share, m, foreign)
        if x == _Source(x.name):
            return column(share, x.name).per(of, trials=trials)
        plain = ratio(share, _Source(x.name), m, foreign, trials)
        return total(share, x).per(of, plain, trials=trials)

    @cache
    def both(first: int, second: int, m: str, foreign: str | None) -> int:
        return checkouts(first, m, foreign).times(checkouts(second, m, foreign))

    def without(kind: Kind, name: str) -> str | None:
        """Return the column of checkouts that a measure is not of, where there are any."""
        foreign = source(kind, "foreign").name
        return foreign if name in MONEY and foreign in stored else None

    def source(kind: Kind, name: str) -> _Source:
        column = f"{kind}_{name}"
        column = column if column in stored else TWINS.get(column, column)
        if name not in CHANGES:
            return _Source(column)
        base, factor = CHANGES[name]
        of_base = source(kind, base)
        names = (*of_base.changes, column) if column in stored else of_base.changes
        return _Source(of_base.name, of_base.factor * factor, names)

    def sums(kind: Kind, share: int) -> ArmSums:
        m = source(kind, "checkouts").name
        return ArmSums(
            {
                name: ratio(
                    share, source(kind, name), m, without(kind, name), trials=name in COUNTED
                )
                for name in MEASURES
            },
            sum(
                int(each.column(f"{kind}_checkouts").sum())
                for each in rows
                if each.share is None and share_of(None, holdout) == share
            ),
        )

    def products(kind: Kind, first: int, second: int) -> Mapping[str, CrossSums]:
        own = source(kind, "checkouts").name
        if not both(first, second, own, None):
            return {}

        def products_of(name: str) -> CrossSums:
            foreign = without(kind, name)
            x, y = (total(share, source(kind, name)).column() for share in (first, second))
            m, n = (checkouts(share, own, foreign) for share in (first, second))
            return CrossSums(x.times(y), x.times(n), m.times(y), both(first, second, own, foreign))

        return {name: products_of(name) for name in MEASURES}

    def beside(first: int, second: int) -> CrossSums:
        """Return the products of units between the kinds, of the one share and the other."""
        (x, m), (y, n) = (
            (
                total(share, source(kind, MEASURE)).column(),
                checkouts(share, source(kind, "checkouts").name, without(kind, MEASURE)),
            )
            for kind, share in zip(KINDS, (first, second), strict=True)
        )
        return CrossSums(x.times(y), x.times(n), m.times(y), m.times(n))

    @cache
    def numbers() -> _Ints:
        """Return the place of the totals of each unit that has some, else -1."""
        found = np.full(n_units, -1)
        found[units] = places
        return found

    def totals_of(kind: Kind, share: int, name: str, some: _Ints) -> _Ints:
        own, of = numbers()[some], source(kind, name)
        # Where there is no checkout in another currency, no column says so.
        return np.where(own < 0, 0, total(share, of).at(own)) if of.name in whole else own * 0

    strata: dict[Kind, Strata] = {
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
    has_both = all(source(kind, "checkouts").name in whole for kind in KINDS)
    between: Between = {
        (arm, first, second): found
        for first, second in (product(shares, shares) if has_both else ())
        if (found := beside(first, second)).sum_mm
    }
    return strata, between, totals_of


@dataclass(frozen=True, slots=True)
class _Source:
    """The columns of a measure: `factor` times one of them, and others that change it."""

    name: str
    factor: int = 1
    changes: tuple[str, ...] = ()
