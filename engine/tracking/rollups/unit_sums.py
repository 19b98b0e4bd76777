"""Totals of units over all of their rows, and their sums over the units of each group.

A group is the days of a period, or each of some days by itself. Units are trials, too (see
`strata`): most have one stratum and no orders beside those of eligible checkouts, and what a
stratum has of them is what they have as trials. Others are taken out of its sums, and added again
with all that they have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.extra_sales import MEASURE
from mersalg.engine.tracking.rates import CLUSTERED, UNIT_COUNTS
from mersalg.engine.tracking.rollups.columns import Ints
from mersalg.engine.tracking.rollups.day import CHANGES, FLAGS, OF_CLUSTER, UnitRows
from mersalg.engine.tracking.rollups.stratum import (
    Column,
    Rows,
    Stratum,
    count_true,
    sum_by_place,
)
from mersalg.engine.tracking.strata import COUNTED, MEASURES, MONEY, OF_BASKET, WHOLE, share_of

_NEVER = 2**62
_ROWS = 2**20
"""Rows added up at once, so that a year of a large shop needs no more memory than a month."""

Key = tuple[str | int | None, ...]
"""A field of `Measures` and what is under it, down to the numbers."""

Sums = Mapping[Key, Ints]
"""Of several groups: numbers of each, shape (n_groups, n). What is not there is 0."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows in order of time; where they are `days_apart`, a unit is another one on each day."""

    rows: Sequence[UnitRows]
    days_apart: bool = False


def of_units(groups: Sequence[Group], holdout: float) -> Iterator[tuple[Sequence[int], Sums]]:
    """Yield the places of some groups and sums over some of their units, until all were in one.

    Groups without rows have no sums; `holdout` is the control share where decisions state none.
    """
    for batch in _batches(groups):
        units = [each.columns["unit"] for at in batch for each in groups[at].rows]
        n_parts = sum(map(len, units)) // _ROWS + 1
        highest = max(int(each[-1]) for each in units)
        # Of the type of the units: NumPy would convert every unit to that of the bounds.
        cuts = np.linspace(0, highest + 1, n_parts + 1).astype(np.int32)
        for begin, end in pairwise(cuts):
            some = [groups[at] for at in batch]
            if n_parts > 1:
                some = [Group(_between(begin, end, each.rows), each.days_apart) for each in some]
            if any(each.rows for each in some):
                part = _Part(*_placed(some), holdout)
                yield batch, {**part.sums(), **part.drawn()}


def _batches(groups: Sequence[Group]) -> Iterator[Sequence[int]]:
    """Yield places of groups that are small enough to be added up at once, or of one alone."""
    batch: list[int] = []
    n_rows = 0
    for at, group in enumerate(groups):
        n_own = sum(len(each.columns["unit"]) for each in group.rows)
        if batch and n_rows + n_own > _ROWS:
            yield batch
            batch, n_rows = [], 0
        batch += [at] if group.rows else []
        n_rows += n_own
    if batch:
        yield batch


def _between(begin: np.int32, end: np.int32, rows: Sequence[UnitRows]) -> Sequence[UnitRows]:
    """Return the rows of units from one number to another."""
    ends = np.array([begin, end])
    cuts = [np.searchsorted(each.columns["unit"], ends).tolist() for each in rows]
    return [each.part(slice(*cut)) for each, cut in zip(rows, cuts, strict=True) if cut[0] < cut[1]]


def of_sets(rows: Sequence[UnitRows], ends: Ints, holdout: float) -> Sums:
    """Return the sums of sets whose units are numbered one set after the other, up to its `ends`.

    `ends` (n_sets + 1,) begin with 0, and `holdout` is the control share that is not stated.
    """
    if not rows:
        return {}
    places = np.concatenate([each.columns["unit"] for each in rows])
    return _Part(Rows(rows, places), ends, holdout).sums()


def _placed(groups: Sequence[Group]) -> tuple[Rows, Ints]:
    """Return the rows of groups, whose places are in the order of groups, and the ends of these."""
    rows: list[UnitRows] = [each for group in groups for each in group.rows]
    group_of = [at for at, group in enumerate(groups) for _ in group.rows]
    lowest = min(int(each.columns["unit"][0]) for each in rows)
    span = max(int(each.columns["unit"][-1]) for each in rows) + 1 - lowest
    apart = [each.day for group in groups if group.days_apart for each in group.rows]
    first = min(apart, default=0)
    days = max(apart, default=0) + 1 - first
    places = np.concatenate(
        [
            np.add(
                each.columns["unit"],
                (at * days + (each.day - first) * groups[at].days_apart) * span - lowest,
                dtype=np.intp,
            )
            for at, each in zip(group_of, rows, strict=True)
        ]
    )
    ends = np.arange(len(groups) + 1) * days * span
    if ends[-1] > 2 * len(places):
        # So many gaps are between the units that they cost more than sorting.
        distinct, places = np.unique(places, return_inverse=True)
        ends = np.searchsorted(distinct, ends)
    return Rows(rows, places), ends


class _Part:
    """Rows, and the ends of groups among the places of their units."""

    def __init__(self, rows: Rows, ends: Ints, holdout: float) -> None:
        self._rows, self._ends, self._holdout = rows, ends, holdout
        self._n, self._part_of = int(ends[-1]), rows.of_parts(range(len(rows.parts)), np.int32)
        self._first = dict.fromkeys(KINDS, self._first_of(KINDS[0]))
        if f"{KINDS[1]}_drawn" in rows.stored:
            self._first[KINDS[1]] = self._first_of(KINDS[1])

    def sums(self) -> dict[Key, Ints]:
        """Return the sums of each group, except those of `drawn`."""
        rows, ends = self._rows, self._ends
        strata = self._strata()
        found = self._of_strata(strata)
        flags = self._flags()
        n_buying = count_true(flags & FLAGS["buying"], ends)
        for kind, (parts, _) in self._first.items():
            trials = _trials_of(kind, rows, parts, strata, ends, self._holdout)
            found |= {
                ("arms", "of_units", kind, *key, name): sums
                for key, of_measures in trials.items()
                for name, sums in of_measures.items()
            }
            ratios = self._ratios(kind)
            found |= {("ratios", kind, name): sums for name, sums in ratios.items()}
            # Units with a success of these rates.
            n_converted, n_kept = (ratios[name][:, 6] for name in ("offer", "net_offer"))
            n_bought = count_true(flags & FLAGS[f"{kind}_bought"], ends)
            counts = (n_bought, n_converted, n_kept, n_buying)
            found["counts", kind] = np.stack(counts, axis=1)
        return found

    def _strata(self) -> Mapping[tuple[int, Arm], Stratum]:
        """Return the strata, in order; of a share that is not stated the rows are among others."""
        members: defaultdict[tuple[int, Arm], list[int]] = defaultdict(list)
        for at, each in enumerate(self._rows.parts):
            if each.arm is not None:
                members[share_of(each.share, self._holdout), each.arm].append(at)
        return {key: Stratum(self._rows.some(members[key]), self._ends) for key in sorted(members)}

    def _of_strata(self, strata: Mapping[tuple[int, Arm], Stratum]) -> dict[Key, Ints]:
        found: dict[Key, Ints] = {}
        for kind, (key, stratum) in product(KINDS, strata.items()):
            for name in MEASURES:
                found["arms", "strata", kind, *key, name] = stratum.sums(kind, name)
            found["unstated", kind, *key] = self._unstated(kind, key)
        for (first, arm), (second, other) in product(strata, strata):
            if other != arm:
                continue
            shared = strata[first, arm].shared_with(strata[second, arm])
            found["between", arm, first, second] = shared.products(KINDS, MEASURE)
            for kind, name in product(KINDS, MEASURES) if first < second else ():
                products = shared.products((kind, kind), name)
                found["across", kind, arm, first, second, name] = products
        return found

    def _unstated(self, kind: Kind, key: tuple[int, Arm]) -> Ints:
        """Return the checkouts of each group whose decisions state no share."""
        some = [
            at
            for at, each in enumerate(self._rows.parts)
            if each.share is None and (share_of(None, self._holdout), each.arm) == key
        ]
        if not some:
            return np.zeros((len(self._ends) - 1, 1), np.int64)
        own = self._rows.some(some)
        total = sum_by_place(own.column(f"{kind}_checkouts"), own.places, self._n)
        return Column(total, self._ends).sum[:, None]

    def _first_of(self, kind: Kind) -> tuple[Ints, Ints]:
        """Return the part with the first eligible decision of each unit, and its group there.

        Parts count from 0, -1 for none; groups from 1.
        """
        drawn = self._rows.column(f"{kind}_drawn")
        some = np.flatnonzero(drawn != 0)
        # The last row stands for none.
        first = np.full(self._n, len(drawn), np.int32)
        np.minimum.at(first, self._rows.places[some], some.astype(np.int32))
        return np.append(self._part_of, np.int32(-1))[first], np.append(drawn, drawn[:1] * 0)[first]

    def drawn(self) -> dict[Key, Ints]:
        """Return the numbers of units of each stratum and group of decisions."""
        n_groups, n_codes = len(self._ends) - 1, max(len(e.groups) for e in self._rows.parts) + 1
        found: defaultdict[Key, Ints] = defaultdict(lambda: np.zeros((n_groups, 1), np.int64))
        for kind, (parts, groups) in self._first.items():
            codes = (parts + 1) * np.int32(n_codes) + groups
            for place, (begin, end) in enumerate(pairwise(self._ends.tolist())):
                times = np.bincount(codes[begin:end])
                for code in np.flatnonzero(times).tolist():
                    part = self._rows.parts[code // n_codes - 1]
                    if code and part.arm is not None:
                        group = part.groups[code % n_codes - 1]
                        found["drawn", kind, part.arm, part.share, *group][place] += times[code]
        return found

    def _flags(self) -> Ints:
        """Return the flags of each unit.

        A unit that was shown an offer on one day and ordered on a later one has bought, too.
        """
        places = self._rows.places
        flags, row_flags = np.zeros(self._n, np.uint8), self._rows.column("flags")
        np.bitwise_or.at(flags, places, row_flags)
        days = np.array([each.day for each in self._rows.parts])
        kinds = [(FLAGS[f"{kind}_shown"], FLAGS[f"{kind}_bought"]) for kind in KINDS]
        # Days know who bought on the day of the offer; few units are left to be looked at.
        is_open = flags & FLAGS["ordered"] > 0
        is_open &= np.any([flags & (shown | bought) == shown for shown, bought in kinds], axis=0)
        at = np.flatnonzero(is_open[places])
        own, days_of = places[at], days[self._part_of[at]]
        last = np.full(self._n, days.min())
        np.maximum.at(last, own, np.where(row_flags[at] & FLAGS["ordered"], days_of, days.min()))
        for shown, bought in kinds:
            is_before = (row_flags[at] & shown > 0) & (days_of < last[own])
            flags[own[is_before]] |= bought
        return flags

    def _ratios(self, kind: Kind) -> Mapping[str, Ints]:
        """Return the sums of each rate.

        Several totals of `UNIT_COUNTS` are added up in one number of 64 bits. Where one has room
        for all of them, as for units that come a few times, units with equal totals are taken
        together.
        """
        rows, ends = self._rows, self._ends
        lists = [each.counts[kind] for each in rows.parts]
        counts = np.concatenate(lists)
        begins = np.cumsum([0, *map(len, lists)])[:-1]
        index = rows.column(f"{kind}_counts") + rows.of_parts(begins, np.int32)
        bits = max(1, (int(counts.max()) * self._most_rows).bit_length())
        at_once = max(1, 63 // bits)
        totals: dict[str, Ints] = {}
        times = np.ones(1, np.int64)
        for start in range(0, len(UNIT_COUNTS), at_once):
            names = UNIT_COUNTS[start : start + at_once]
            shifts = bits * np.arange(len(names))
            packed = (counts[:, start : start + at_once] << shifts).sum(axis=1)[index]
            words = sum_by_place(packed, rows.places, self._n)
            if len(names) == len(UNIT_COUNTS):
                different = [
                    np.unique(own, return_counts=True) for own in np.split(words, ends[1:-1])
                ]
                words, times = (np.concatenate(each) for each in zip(*different, strict=True))
                ends = np.cumsum([0, *(len(own) for own, _ in different)])
            for name, shift in zip(names, shifts.tolist(), strict=True):
                totals[name] = words >> shift & (1 << bits) - 1
        found: dict[str, Ints] = {}
        for name, rate in CLUSTERED.items():
            x, m = totals[rate.numerator], totals[rate.denominator]
            columns = (m > 0, x, m, x * x, x * m, m * m, x > 0, x < m)
            sums = [Column(column * times, ends).sum for column in columns]
            found[name] = np.stack(sums, axis=1)
        return found

    @cached_property
    def _most_rows(self) -> int:
        """The largest number of rows of a unit."""
        return int(np.bincount(self._rows.places).max())


def _trials_of(
    kind: Kind,
    rows: Rows,
    first: Ints,
    strata: Mapping[tuple[int, Arm], Stratum],
    ends: Ints,
    holdout: float,
) -> Mapping[tuple[int, Arm], Mapping[str, Ints]]:
    """Return for each stratum and measure the sums of each group with units as trials.

    Of each unit `first` (n_units,) is the part of the rows that has its first eligible decision, -1
    for none. `ends` (n_groups + 1,) are those of groups among the units.
    """
    drawn = {key: each for key, each in strata.items() if 0 < key[0] < WHOLE}
    own = {
        key: {name: _as_trials(name, stratum.sums(kind, name)) for name in MEASURES}
        for key, stratum in drawn.items()
    }
    places = {key: index for index, key in enumerate(drawn)}
    # The last of both is for units without an eligible decision, whose place is -1.
    stratum = np.array(
        [*(places.get((share_of(each.share, holdout), each.arm), -1) for each in rows.parts), -1],  # type: ignore[arg-type]
        np.int8,
    )
    day = np.array([*(each.day for each in rows.parts), _NEVER])
    at, baskets = _baskets(kind, rows, day[first])
    of_row = rows.of_parts(stratum[:-1], np.int8)
    elsewhere = np.flatnonzero((of_row >= 0) & (of_row != stratum[first][rows.places]))
    if len(elsewhere):
        elsewhere = elsewhere[rows.column(f"{kind}_checkouts")[elsewhere] > 0]
    chosen = np.concatenate([at, rows.where(f"{kind}_foreign"), elsewhere])
    chosen = np.unique(rows.places[chosen])
    if not len(chosen):
        return own
    of_strata = {
        key: {name: each.at(kind, name, chosen) for name in OF_CLUSTER}
        for key, each in drawn.items()
    }
    whole = {
        name: sum((each[name] for each in of_strata.values()), np.zeros(len(chosen), np.int64))
        for name in OF_CLUSTER
    }
    for name, values in baskets.items():
        np.add.at(whole[name], np.searchsorted(chosen, rows.places[at]), values)
    whole["foreign"] = np.minimum(whole["foreign"], 1)
    ends = np.searchsorted(chosen, ends)
    for index, (key, before) in enumerate(of_strata.items()):
        whole["checkouts"] = (stratum[first[chosen]] == index).astype(np.int64)
        for name in MEASURES:
            own[key][name] = own[key][name] + _sums(name, whole, ends) - _sums(name, before, ends)
    return own


def _as_trials(name: str, sums: Ints) -> Ints:
    """Return the sums of a stratum's own units, as if each had no other."""
    n, x, _, xx, _, _, some, _ = sums.T
    parts = (n, some, n, some, some, n, some, n - some) if name in COUNTED else (n, x, n, xx, x, n)
    return np.stack([*parts, *[0 * n] * (8 - len(parts))], axis=1)


def _sums(name: str, of: Mapping[str, Ints], ends: Ints) -> Ints:
    """Return the sums of a measure of units as trials."""
    is_own = of["checkouts"] > (of["foreign"] if name in MONEY else 0)
    x, m = Column(of[name] * is_own, ends), Column(is_own.astype(np.int64), ends)
    return _as_trials(name, x.per(m, trials=name in COUNTED))


def _baskets(kind: Kind, rows: Rows, begun: Ints) -> tuple[Ints, Mapping[str, Ints]]:
    """Return the rows of baskets that count, and what they add to each of `OF_BASKET`.

    They count where they came later than the first eligible decision of the unit, which was on the
    day `begun`: in rows without an arm on a later day, in others on the same day.
    """
    at = rows.where(f"{kind}_beside_orders")
    if not len(at):
        return at, {}
    days = [each.columns.get("day", each.day + (each.arm is not None)) for each in rows.parts]
    days = [np.broadcast_to(each, n) for each, n in zip(days, rows.sizes, strict=True)]
    at = at[np.concatenate(days)[at] > begun[rows.places[at]]]

    def values(name: str) -> Ints:
        own = rows.column(f"{kind}_{name}")[at].astype(np.int64)
        return own + values(CHANGES[name][0]) if name in CHANGES else own

    return at, {name: values(f"beside_{name}") for name in OF_BASKET}
