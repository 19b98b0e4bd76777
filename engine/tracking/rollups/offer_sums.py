"""Add rows of offers up to the totals of each unit over any set of offers, as a day has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mersalg.engine.facts import KINDS, Kind
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.columns import Ints, distinct, smallest_type
from mersalg.engine.tracking.rollups.day import (
    BESIDE,
    CHANGES,
    FLAGS,
    OF_CLUSTER,
    AnyStratum,
)
from mersalg.engine.tracking.rollups.offer_table import AMOUNTS, OFFERS, TALLIES, VISIT, OfferTable
from mersalg.engine.tracking.rollups.stratum import sum_by_place
from mersalg.engine.tracking.strata import OF_BASKET, WHOLE

_ONCE = frozenset(name for name in TALLIES if name.startswith(("checkouts_", "orders_"))) | {
    "shown",
    "bought",
    "converted",
    "kept",
}
"""Marks and counts that a checkout has at most once, in however many of its rows they are."""

_OF_COUNTS = (*UNIT_COUNTS, "offers_clicked_first", "revenue_minor", "net_revenue_minor",
              "lines_credited", "lines_unpriced", "lines_repriced", "lines_untaxed")  # fmt: skip


def joined(tables: Sequence[OfferTable]) -> OfferTable:
    """Return the rows of several tables in one; the keys are those of all tables."""
    strata: dict[Any, int] = {}
    keys: dict[Any, int] = {}
    visits: dict[str, list[Ints]] = {name: [] for name in VISIT}
    offers: dict[str, list[Ints]] = {name: [] for name in OFFERS}
    n_visits = n_checkouts = n_tallies = 0
    for each in tables:
        places = {
            "stratum": np.array([strata.setdefault(s, len(strata)) for s in each.strata], np.int64),
            "key": np.array([keys.setdefault(key, len(keys)) for key in each.keys], np.int64),
        }
        # Days have them in the smallest types that hold them.
        own_offers, own_visits = (
            {name: column.astype(np.int64) for name, column in columns.items()}
            for columns in (each.offers, each.visits)
        )
        moved = {
            "visit": own_offers["visit"] + n_visits,
            "judged": own_offers["judged"] + n_visits * (own_offers["judged"] >= 0),
            "tally": own_offers["tally"] + n_tallies,
            "key": places["key"][own_offers["key"]],
        }
        for name in OFFERS:
            offers[name].append(moved.get(name, own_offers[name]))
        moved = {
            "checkout": own_visits["checkout"] + n_checkouts,
            "stratum": places["stratum"][own_visits["stratum"]],
        }
        for name in VISIT:
            visits[name].append(moved.get(name, own_visits[name]))
        n_visits += len(own_visits["unit"])
        n_checkouts += int(own_visits["checkout"].max(initial=-1)) + 1
        n_tallies += len(each.tallies)
    return OfferTable(
        list(strata),
        {name: np.concatenate(columns) for name, columns in visits.items()},
        {name: np.concatenate(columns) for name, columns in offers.items()},
        np.concatenate([each.tallies for each in tables]),
        list(keys),
    )


@dataclass(slots=True)
class Totals:
    """Totals of units over sets of offers.

    `columns` are those of `day.columns_of` by stratum, with places for units: sets end among these
    at `ends` (n_sets + 1,), and `units` (n,) has the unit of each. `counts` are of each set,
    without those of units.
    """

    columns: Mapping[AnyStratum, Mapping[str, Ints]]
    units: Ints
    ends: Ints
    counts: Sequence[Mapping[Kind, Counts]]

    def by_unit(self) -> Mapping[AnyStratum, Mapping[str, Ints]]:
        """Return the columns of a single set, with the numbers of units for places."""
        return {
            stratum: {**own, "unit": self.units[own["unit"]]}
            for stratum, own in self.columns.items()
        }


class Marks(NamedTuple):
    """Notes of a day about its units, beside their totals over offers.

    Each is of a stratum and unit, in the columns `flags` and `drawn` of each kind. `first` has of
    each kind the visits that are the first eligible decisions of units.
    """

    strata: Sequence[AnyStratum]
    units: Sequence[int]
    columns: Mapping[str, Sequence[int]]
    first: Mapping[Kind, Sequence[int]]


def totals_of(
    table: OfferTable,
    sets: Ints,
    n_sets: int,
    *,
    marks: Marks | None = None,
    last_ordered: Ints | None = None,
) -> Totals:
    """Add up the rows of sets of offers; `sets` (n,) has the set of each row.

    With the `marks` of a day all its units have rows, also without an offer, and those without an
    arm have what units ordered before their first eligible decision. `last_ordered` (n_units,) is
    the last day on which each unit bought.
    """
    return _Adder(table, sets, n_sets, marks).totals(last_ordered)


class _Adder:
    def __init__(self, table: OfferTable, sets: Ints, n_sets: int, marks: Marks | None) -> None:
        self._visits, self._marks, self._n_sets = table.visits, marks, n_sets
        self._rows = _Rows(table, sets)
        self._strata: list[AnyStratum] = list(table.strata)
        noted = np.array(marks.units if marks else (), np.int64)
        unit = self._visits["unit"]
        self._n_units = 1 + int(max(unit.max(initial=0), noted.max(initial=0)))
        pairs = self._rows.sets * self._n_units + unit[self._rows.visit]
        self._pairs = distinct([pairs, noted, unit[: len(unit) * bool(marks)]])
        self._units = self._pairs % self._n_units
        self._place = np.searchsorted(self._pairs, pairs)
        # The visits in the order of units and time: where each is, and the first of its instant.
        day, rank = self._visits["day"], self._visits["rank"]
        moment = (day - day.min(initial=2**31)) * (rank.max(initial=0) + 1) + rank
        moment += unit * (moment.max(initial=0) + 1)
        self._order = np.argsort(moment, kind="stable")
        numbers = np.arange(len(unit))
        self._at, self._since = np.empty_like(numbers), np.empty_like(numbers)
        self._at[self._order] = numbers
        is_first = np.diff(moment[self._order], prepend=-1) > 0
        self._since[self._order] = np.maximum.accumulate(np.where(is_first, numbers, 0))
        self._ends = [
            np.searchsorted(unit[self._order], self._units, side) for side in ("left", "right")
        ]
        self._cells: list[tuple[Ints, Ints, Mapping[str, Callable[[], Ints]]]] = []

    def totals(self, last_ordered: Ints | None) -> Totals:
        rows, visits = self._rows, self._visits
        stratum = visits["stratum"][np.where(rows.judged >= 0, rows.judged, rows.visit)]
        bought, shown = rows["bought"] > 0, rows["shown"]
        if last_ordered is not None:
            # Days know who bought on the day of the offer.
            unit, day = (visits[name][rows.visit] for name in ("unit", "day"))
            last = np.zeros(max(self._n_units, len(last_ordered)), np.int64)
            last[: len(last_ordered)] = last_ordered
            bought |= (shown > 0) & (last[unit] > day)
        for number, kind in enumerate(KINDS):
            own = np.flatnonzero(rows.kind == number)
            flags = shown[own] * FLAGS[f"{kind}_shown"] + bought[own] * FLAGS[f"{kind}_bought"]
            columns: dict[str, Callable[[], Ints]] = {"flags": partial(np.asarray, flags)}
            for name in (*UNIT_COUNTS, *OF_CLUSTER):
                columns[f"{kind}_{name}"] = partial(self._column, name, own)
            self._cells.append((stratum[own], self._place[own], columns))
            self._add_baskets(kind, own[rows.judged[own] >= 0])
        if self._marks is not None:
            number_of = {each: index for index, each in enumerate(self._strata)}
            of_marks = [number_of.setdefault(each, len(number_of)) for each in self._marks.strata]
            self._strata = list(number_of)
            index = np.searchsorted(self._pairs, np.array(self._marks.units, np.int64))
            columns = {
                name: partial(np.array, n, np.int64) for name, n in self._marks.columns.items()
            }
            self._cells.append((np.array(of_marks, np.int64), index, columns))
        ends = np.searchsorted(self._pairs, np.arange(self._n_sets + 1) * self._n_units)
        found = self._columns()
        # The cells refer to this object, which would be in memory until it is searched for garbage.
        self._cells.clear()
        return Totals(found, self._units, ends, self._counts())

    def _column(self, name: str, own: Ints) -> Ints:
        """Return a column of some rows, of which those that are not judged have no checkouts."""
        rows, judged = self._rows, self._rows.judged[own]
        if name == "checkouts":
            return (judged >= 0).astype(np.int64)
        if name not in OF_BASKET:
            return rows[name][own]
        values = self._visits[name][judged] * (judged >= 0)
        return values + rows[name][own] if name in AMOUNTS else values

    def _add_baskets(self, kind: Kind, judged: Ints) -> None:
        """Add the other checkouts of units, from their first eligible decision on.

        These are all that a unit began, by sums up to each of them, less those that are `judged`.
        """
        visits, rows, marks = self._visits, self._rows, self._marks
        of_judged, near, n = rows.judged[judged], self._place[judged], len(self._pairs)
        if marks is None:
            share = np.array([each[1] not in (0, WHOLE) for each in self._strata], np.bool_)
            some = np.flatnonzero(share[visits["stratum"][of_judged]])
            at_first = np.full(n, len(self._order))
            np.minimum.at(at_first, near[some], self._at[of_judged[some]])
            is_of_interest = at_first < len(self._order)
            drawn = np.flatnonzero(is_of_interest)
            first = self._order[at_first[drawn]]
        else:
            is_of_interest = np.ones(n, np.bool_)
            first = np.array(marks.first[kind], np.int64)
            drawn = np.searchsorted(self._pairs, visits["unit"][first])
        begun = self._order[visits["begun"][self._order] > 0]
        began = np.full(int(visits["checkout"].max(initial=-1)) + 1, -1)
        began[visits["checkout"][begun]] = begun
        own = began[visits["checkout"][of_judged]]
        # The unit that began a checkout may be another one than that of the offers.
        other = np.flatnonzero((own >= 0) & (visits["unit"][own] != visits["unit"][of_judged]))
        pair = rows.sets[judged[other]] * self._n_units + visits["unit"][own[other]]
        near[other] = np.minimum(np.searchsorted(self._pairs, pair), n - 1)
        own[other[self._pairs[near[other]] != pair]] = -1
        own, near = own[own >= 0], near[own >= 0]
        (start, end), is_begun = self._ends, visits["begun"][self._order]
        begin, home = start.copy(), np.zeros(n, np.int64)
        if len(begun):
            has_any = np.searchsorted(self._at[begun], start)
            home = visits["stratum"][begun[np.minimum(has_any, len(begun) - 1)]]
        begin[drawn], home[drawn] = self._since[first], visits["stratum"][first]
        # Few units began others.
        n_others = _between(is_begun, start, end)
        np.subtract.at(n_others, near, 1)
        n_others *= is_of_interest
        some = np.flatnonzero(n_others)
        own, near = own[n_others[near] > 0], near[n_others[near] > 0]
        is_after, near = self._at[own] >= begin[near], np.searchsorted(some, near)
        start, begin, end, home = (each[some] for each in (start, begin, end, home))
        after: dict[str, Callable[[], Ints]] = {}
        before: dict[str, Callable[[], Ints]] = {}
        for name in OF_BASKET:
            values = visits[name]
            in_time = values[self._order] * is_begun
            earlier, later = _between(in_time, start, begin), _between(in_time, begin, end)
            np.subtract.at(earlier, near[~is_after], values[own[~is_after]])
            np.subtract.at(later, near[is_after], values[own[is_after]])
            before[f"{kind}_beside_{name}"] = partial(np.asarray, earlier)
            after[f"{kind}_beside_{name}"] = partial(np.asarray, later)
        if marks is None:
            own_drawn = {f"{kind}_drawn": partial(np.ones, len(drawn), np.int64)}
            self._cells.append((visits["stratum"][first], drawn, own_drawn))
        else:
            self._cells.append((np.full_like(home, -1), some, before))
        self._cells.append((home, some, after))

    def _columns(self) -> Mapping[AnyStratum, Mapping[str, Ints]]:
        """Return the sums of cells of the same stratum and place; the last stratum is no arm's."""
        if (None, None) not in self._strata:
            self._strata.append((None, None))
        nobody, n = self._strata.index((None, None)), len(self._pairs)
        keys = [np.where(s < 0, nobody, s) * n + index for s, index, _ in self._cells]
        cells, at = np.unique(np.concatenate(keys), return_inverse=True)
        parts = np.split(at.ravel(), np.cumsum([len(each) for each in keys])[:-1])
        made: defaultdict[str, list[tuple[Ints, Callable[[], Ints]]]] = defaultdict(list)
        for part, (_, _, own) in zip(parts, self._cells, strict=True):
            for name, column in own.items():
                made[name].append((part, column))
        columns = {"flags": np.zeros(len(cells), np.uint8)}
        for part, column in made.pop("flags"):
            np.bitwise_or.at(columns["flags"], part, column().astype(np.uint8))
        for name, own in made.items():
            sums = [sum_by_place(column(), part, len(cells)) for part, column in own]
            columns[name] = _narrow(sum(sums[1:], sums[0]))
        for kind in KINDS:
            plain = {name: columns[f"{kind}_{name}"] for name in (*OF_CLUSTER, *BESIDE)}
            for name, (base, factor) in CHANGES.items():
                whole = plain[name].astype(np.int64)
                columns[f"{kind}_{name}"] = _narrow(whole - factor * plain[base].astype(np.int64))
        ends = np.searchsorted(cells, np.arange(len(self._strata) + 1) * n).tolist()
        return {
            self._strata[at]: {
                "unit": cells[begin:end] % n,
                **{name: column[begin:end] for name, column in columns.items()},
            }
            for at, (begin, end) in enumerate(pairwise(ends))
            if begin < end
        }

    def _counts(self) -> Sequence[Mapping[Kind, Counts]]:
        rows = self._rows
        sums = {
            name: sum_by_place(rows[name], rows.sets * 2 + rows.kind, 2 * self._n_sets).tolist()
            for name in _OF_COUNTS
        }
        return [
            {
                kind: Counts(**{name: own[2 * at + number] for name, own in sums.items()})
                for number, kind in enumerate(KINDS)
            }
            for at in range(self._n_sets)
        ]


def _between(values: Ints, begin: Ints, end: Ints) -> Ints:
    """Return the sums of the values from some places to others."""
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    return sums[end] - sums[begin]


def _narrow(values: Ints) -> Ints:
    """Return integers in the smallest type that holds them: there are many columns."""
    return values.astype(smallest_type(values))


class _Rows:
    """One row for each set, kind and visit; each column is made when it is asked for."""

    def __init__(self, table: OfferTable, sets: Ints) -> None:
        self._table, offers = table, table.offers
        key = (sets * 2 + offers["kind"]) * max(len(table.visits["unit"]), 1) + offers["visit"]
        self._order = np.argsort(key, kind="stable")
        self._starts = np.flatnonzero(np.diff(key[self._order], prepend=-1))
        self.sets = sets[self._order][self._starts]
        self.kind, self.visit, self.judged = (
            self._merged(offers[name], once=True) for name in ("kind", "visit", "judged")
        )

    def __getitem__(self, name: str) -> Ints:
        if name in AMOUNTS:
            return self._merged(self._table.offers[name], once=False)
        tallies = self._table.tallies[:, TALLIES.index(name)]
        return self._merged(tallies[self._table.offers["tally"]], once=name in _ONCE)

    def _merged(self, values: Ints, *, once: bool) -> Ints:
        values = values[self._order]
        if len(self._starts) == len(self._order):
            return values
        return (np.maximum if once else np.add).reduceat(values, self._starts)
