"""The stored days of a period, and the checkouts that several of them share, added up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby

import numpy as np

from mersalg.engine.facts import KINDS, Kind
from mersalg.engine.progress import Progress
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.local_days import bucket_of
from mersalg.engine.tracking.measures import NOT_FILLED, Measures, Part, Period, offer_key
from mersalg.engine.tracking.quality import COUNTED, currency_of
from mersalg.engine.tracking.query import ReportQuery, folded_group
from mersalg.engine.tracking.rates import Counts
from mersalg.engine.tracking.rollups.columns import Ints, distinct
from mersalg.engine.tracking.rollups.day import FLAGS, Day, Notes, unit_rows
from mersalg.engine.tracking.rollups.day_count import day_of, rows_beside
from mersalg.engine.tracking.rollups.offer_count import OfferCounter
from mersalg.engine.tracking.rollups.offer_sums import joined, totals_of
from mersalg.engine.tracking.rollups.offer_table import OfferTable, StoredOffers
from mersalg.engine.tracking.rollups.stored import made_with, refresh
from mersalg.engine.tracking.rollups.sums import add_up, added, measures_of
from mersalg.engine.tracking.rollups.unit_sums import Sums, of_sets

Bucket = tuple[str, ...]

_ROWS = 2**18
"""Offers added up at once, so that a year of a large shop needs no more memory than a month."""


def rolled_up(
    store: Store, query: ReportQuery, own: ReportQuery, progress: Progress
) -> RolledUp | None:
    """Return the days of a filled query, rolled up; None where only the facts have the answer.

    Roll-ups hold whole days by the shop's own settings, those of `own`; of days whose facts were
    dropped nothing of single offers.
    """
    bounds = (query.since, query.until)
    if (
        query.attribution_window_days
        or query.adjusted
        or any(isinstance(bound, datetime) for bound in bounds)
        or made_with(query) != made_with(own)
        or not refresh(store, own, progress)
    ):
        return None
    first, last = (None if bound is None else bound.isoformat() for bound in bounds)
    rollups = store.reports.rollups
    days = {day: Day(body, _number(day)) for day, body in rollups.bodies(first, last)}
    if not _are_in_one_currency([day.notes for day in days.values()], query.currency):
        return None
    shared = rollups.spanning(first, last)
    offers: dict[str, StoredOffers] = {}
    if query.offer_keys:
        offers = {day: StoredOffers(body) for day, body in rollups.offers(first, last)}
        if offers.keys() != days.keys():
            return None
    left_out = frozenset[str](shared).union(*(each.left_out for each in offers.values()))
    alone = replace(query, by=(), attribution_window_days=0)
    spanning = Period(store.facts.read_checkouts(sorted(left_out)), alone)
    strays = rollups.count_strays(first, last)
    return RolledUp(
        query, days, frozenset(shared), left_out, offers, spanning, rollups.numbers, strays
    )


def _number(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _are_in_one_currency(days: Sequence[Notes], wanted: str | None) -> bool:
    """Return whether every day has its money in the currency that the report will be in."""
    wanted, _ = currency_of(frozenset[str]().union(*(day.currencies for day in days)), wanted)
    return all(day.currency == wanted or wanted not in day.currencies for day in days)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """The days of a period, and the checkouts that several of them share.

    `days` with facts are in order. No roll-up has the `shared` checkouts, and `offers`, the single
    offers of each day where the query has keys of offers, have none that are `left_out`; `spanning`
    are the facts of these. `strays` counts events of the days that match nothing, by cause.
    """

    query: ReportQuery
    days: Mapping[str, Day]
    shared: frozenset[str]
    left_out: frozenset[str]
    offers: Mapping[str, StoredOffers]
    spanning: Period
    numbers: Callable[[Sequence[str]], Mapping[str, int]]
    strays: Mapping[str, int]

    def currencies(self) -> frozenset[str]:
        """Return all that facts of the days name."""
        return frozenset[str]().union(*(day.notes.currencies for day in self.days.values()))

    def ends(self) -> tuple[date | None, date | None]:
        """Return the first and the last day with a decision or order; None without any."""
        names = [date.fromisoformat(name) for name, day in self.days.items() if day.rows]
        return (names[0], names[-1]) if names else (None, None)

    def measures(
        self, currency: str | None
    ) -> tuple[Measures, list[tuple[Bucket, Sequence[tuple[Bucket, Measures]]]]]:
        """Return the measures of the period, and of its groups in each bucket of time.

        These have a decision or order; `currency` is that of all money.
        """
        query = self.query
        assert query.holdout is not None, NOT_FILLED
        parts = self.spanning.parts(query.time_keys)
        buckets: list[Bucket] = []
        periods = [[*self.days.values(), self._shared_day(self.spanning.all, currency)]]
        for bucket, names in groupby(self.days if query.time_keys else (), key=self._bucket_of):
            together = [self.days[name] for name in names]
            if bucket in parts:
                together.append(self._shared_day(parts[bucket], currency))
            if any(day.rows for day in together):
                buckets.append(bucket)
                periods.append(together)
        total, *measured = add_up(periods, currency, query.holdout)
        wholes = zip(buckets, measured, strict=True)
        if not query.time_keys:
            wholes = [((), total)] if query.by else []
        return total, [
            (bucket, self._by_offers(bucket, each, currency) if query.offer_keys else [((), each)])
            for bucket, each in wholes
        ]

    def _by_offers(
        self, bucket: Bucket, whole: Measures, currency: str | None
    ) -> list[tuple[tuple[str, ...], Measures]]:
        """Return the measures of a bucket by the query's keys of offers; `whole` is all of it."""
        query, history = self.query, self.spanning.history
        assert query.holdout is not None, NOT_FILLED
        names = [name for name in self.days if self._bucket_of(name) == bucket]
        part = self.spanning.parts(query.time_keys).get(bucket, Part(history))
        shared, _ = part.split(self.left_out)
        outcomes, begun = shared.outcomes, shared.decisions

        def own_key(outcome: Outcome) -> tuple[str, ...]:
            return tuple(offer_key(key, outcome.placed) for key in query.offer_keys)

        tables = [self.offers[name].table(query.offer_keys, _number(name)) for name in names]
        counter = OfferCounter(history, begun, currency, {}, self._day)
        counter.mark(outcomes, own_key)
        number_of = self.numbers(counter.units())
        label = _labels(query, [*tables, counter.table(number_of)])
        counter = OfferCounter(history, begun, currency, {}, self._day)
        groups = sorted({*label.values()})
        members: defaultdict[tuple[str, ...], list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            members[label[own_key(outcome)]].append(outcome)
        for group, own in members.items():
            counter.add(own, lambda _, group=group: group)
        tables.append(counter.table(number_of))
        at = {group: index for index, group in enumerate(groups)}
        # The last table has the groups for keys.
        group_of = {**{group: group for group in groups}, **label}
        of_units: list[tuple[Sequence[int], Sums]] = []
        # Who converted has bought.
        of_whole: dict[Kind, Counts] = {
            kind: Counts(units_buying=each.units_buying) for kind, each in whole.counts.items()
        }
        of_offers = [dict(of_whole) for _ in groups]
        last_ordered = self._last_ordered(names)
        for table in _parts(tables):
            codes = np.array([at[group_of[key]] for key in table.keys], np.int64)
            sets = codes[table.offers["key"]]
            totals = totals_of(table, sets, len(groups), last_ordered=last_ordered)
            sums = of_sets(unit_rows(totals.columns), totals.ends, query.holdout)
            of_units.append((range(len(groups)), sums))
            for own, counts in zip(of_offers, totals.counts, strict=True):
                for kind in KINDS:
                    own[kind] += counts[kind]
        measured = measures_of(added(of_units, len(groups)), of_offers)
        return [
            (group, replace(each, drawn=whole.drawn))
            for group, each in zip(groups, measured, strict=True)
        ]

    def _day(self, instant: int) -> int:
        return _number(self.spanning.day(instant))

    def _last_ordered(self, names: Sequence[str]) -> Ints:
        """Return the last day on which each unit bought."""
        rows = [each for name in names for each in self.days[name].rows]
        highest = max((int(each.columns["unit"].max(initial=0)) for each in rows), default=0)
        last = np.zeros(highest + 1, np.int64)
        for each in rows:
            ordered = each.columns["unit"][each.columns["flags"] & FLAGS["ordered"] > 0]
            last[ordered] = np.maximum(last[ordered], each.day)
        return last

    def _bucket_of(self, day: str) -> Bucket:
        return tuple(bucket_of(key, date.fromisoformat(day)) for key in self.query.time_keys)

    def _shared_day(self, part: Part, currency: str | None) -> Day:
        """Return the roll-up of what the days left out."""
        own, _ = part.split(self.shared)
        alone = Part(part.history, outcomes=own.outcomes)
        day = Day(day_of(Part(part.history), alone, {}, currency, self.numbers))
        # The marks of these checkouts are in the days, which know when they were made.
        day.rows = [each.unmarked() for each in day.rows]
        day.rows += rows_beside(own, currency, self.numbers, self._counts_after)
        return day

    def _counts_after(self, kind: Kind, unit: int, instant: int) -> int:
        """Return before which day a unit's first eligible decision is not later than an instant."""
        name = self.spanning.day(instant)
        first = self.days[name].notes.first.get(kind, {}).get(str(unit), 0)
        return _number(name) + (first <= instant)

    @property
    def quality(self) -> dict[str, int]:
        """Each of `COUNTED`."""
        days = self.days.values()
        return {
            cause: sum(day.notes.quality.get(cause, 0) for day in days) + self.strays.get(cause, 0)
            for cause in COUNTED
        }

    def knows_only_accepted(self) -> bool:
        """Return whether all decisions and orders are of offer logs; see `without_buyers`."""
        notes = [day.notes for day in self.days.values()]
        logged = sum(each.logged for each in notes)
        return 0 < logged == sum(each.decisions + each.quality.get("orders", 0) for each in notes)

    def immature(self, since: date) -> Counter[Bucket]:
        """Return how many decisions of each bucket of time are not before a day."""
        counts: Counter[Bucket] = Counter()
        for name, day in self.days.items():
            if date.fromisoformat(name) >= since:
                counts[self._bucket_of(name)] += day.notes.decisions
        return counts

    def other_currency(self, currency: str | None) -> int:
        """Return how many orders of the days are in another currency."""
        return sum(
            n
            for day in self.days.values()
            for code, n in day.notes.orders_by_currency.items()
            if code != currency
        )


def _labels(
    query: ReportQuery, tables: Sequence[OfferTable]
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the group of each combination of keys, those of few units put together."""
    if not query.fold_below:
        return {key: key for table in tables for key in table.keys}
    n_units: Counter[tuple[str, ...]] = Counter()
    for table in _parts(tables):
        units = table.visits["unit"][table.offers["visit"]]
        highest = int(units.max(initial=0)) + 1
        pairs = distinct([table.offers["key"] * highest + units])
        sizes = np.bincount(pairs // highest, minlength=len(table.keys)).tolist()
        n_units.update(dict(zip(table.keys, sizes, strict=True)))
    return {key: folded_group(query, key, size) for key, size in n_units.items()}


def _parts(tables: Sequence[OfferTable]) -> Iterator[OfferTable]:
    """Yield the rows of several tables together, some units at a time.

    The units of the last table are in one part, for they may share checkouts.
    """
    n_parts = sum(len(each.offers["visit"]) for each in tables) // _ROWS + 1
    together = np.unique(tables[-1].visits["unit"])
    parts: list[Ints] = []
    for each in tables:
        unit = each.visits["unit"]
        parts.append(np.where(np.isin(unit, together), 0, unit % n_parts))
    for number in range(n_parts):
        yield joined([each.some(own == number) for each, own in zip(tables, parts, strict=True)])
