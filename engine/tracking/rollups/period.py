"""The measures of whole days out of their roll-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import groupby

from engine import clock
from engine.progress import Progress
from engine.storage.store import Store
from engine.tracking.measures import NOT_FILLED, Measures, Part, Period
from engine.tracking.query import TIME_KEYS, Buckets, ReportQuery
from engine.tracking.rollups.day import Day, day_of
from engine.tracking.rollups.refresh import made_with, refresh
from engine.tracking.rollups.sums import PeriodSums

Bucket = tuple[str, ...]

_THREADS = 2


def rolled_up(store: Store, query: ReportQuery, progress: Progress) -> RolledUp | None:
    """Return the days of a filled query, rolled up; None where only the facts have the answer.

    Roll-ups hold whole days by the shop's own settings, and nothing of single offers.
    """
    own = ReportQuery().filled(store.reports.settings())
    bounds = (query.since, query.until)
    if (
        query.attribution_window_days
        or query.adjusted
        or any(isinstance(bound, datetime) for bound in bounds)
        or not all(key in TIME_KEYS for key in query.by)
        or made_with(query) != made_with(own)
        or not refresh(store, own, progress)
    ):
        return None
    rolled = RolledUp(store, query)
    return rolled if rolled.is_in_one_currency() else None


class RolledUp:
    """The days of a period, and the checkouts that several of them share.

    Parameters
    ----------
    store : Store
        Its roll-ups are up to date.
    query : ReportQuery
        Filled; of whole days.
    """

    def __init__(self, store: Store, query: ReportQuery) -> None:
        assert query.holdout is not None, NOT_FILLED
        self._query, self._holdout = query, query.holdout
        first, last = (
            None if bound is None else bound.isoformat() for bound in (query.since, query.until)
        )
        self._numbers = store.reports.rollups.numbers
        self._days = {day: Day(body) for day, body in store.reports.rollups.bodies(first, last)}
        self._buckets = Buckets(UTC)
        shared = store.reports.rollups.spanning(first, last)
        self._shared = frozenset(shared)
        alone = replace(query, by=(), attribution_window_days=0)
        self._spanning = Period(store.facts.read_checkouts(list(shared)), alone) if shared else None

    def currencies(self) -> frozenset[str]:
        """Return all that facts of the days name."""
        return frozenset[str]().union(*(day.notes.currencies for day in self._days.values()))

    def is_in_one_currency(self) -> bool:
        """Return whether every day has its money in the currency the report will be in."""
        wanted = self._query.currency
        named = self.currencies()
        if wanted is None and len(named) == 1:
            (wanted,) = named
        return all(
            day.notes.currency == wanted or wanted not in day.notes.currencies
            for day in self._days.values()
        )

    def measures(
        self, keys: Sequence[str], currency: str | None
    ) -> tuple[Measures, list[tuple[Bucket, Measures]]]:
        """Return the measures of the period, and of each bucket of time with a decision or order.

        Parameters
        ----------
        keys : sequence of str
            Out of `TIME_KEYS`; without any there are no buckets.
        currency : str or None
            Of all money.
        """
        days = list(self._days.values())
        parts: Mapping[Bucket, Part] = {}
        if self._spanning is not None:
            parts = self._spanning.parts(keys)
            days.append(self._shared_day(self._spanning.all, currency))
        with ThreadPoolExecutor(_THREADS) as executor:
            total = PeriodSums(days, currency, executor)
            buckets: list[tuple[Bucket, PeriodSums]] = []
            if keys:
                for bucket, names in groupby(
                    self._days, key=lambda day: self._bucket_of(day, keys)
                ):
                    together = [self._days[name] for name in names]
                    if bucket in parts:
                        together.append(self._shared_day(parts[bucket], currency))
                    buckets.append((bucket, PeriodSums(together, currency, executor)))
            return total.measures(self._holdout), [
                (bucket, sums.measures(self._holdout)) for bucket, sums in buckets if sums.has_units
            ]

    def _bucket_of(self, day: str, keys: Sequence[str]) -> Bucket:
        midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        return tuple(self._buckets.text(key, clock.to_micros(midnight)) for key in keys)

    def _shared_day(self, part: Part, currency: str | None) -> Day:
        """Return the roll-up of what the days left out."""
        return Day(day_of(self._shared_part(part), {}, currency, self._numbers))

    def _shared_part(self, part: Part) -> Part:
        """Return the outcomes of shared checkouts; their decisions and orders are in the days."""
        outcomes = [
            each for each in part.outcomes if each.placed.decision.checkout_id in self._shared
        ]
        return replace(part, decisions=[], orders=[], outcomes=outcomes)

    def quality(self) -> dict[str, int]:
        """Return how many facts of the days count for nothing, by cause."""
        names = ("duplicates", "late", "unmatched", "bots_excluded", "bots_by_rate")
        return {
            name: sum(day.notes.quality.get(name, 0) for day in self._days.values())
            for name in names
        }

    def unpriced(self, kinds: Sequence[str]) -> int:
        """Return how many bought lines are credited to offers of `kinds` at an unknown worth."""
        shared = 0
        if self._spanning is not None:
            shared = self._shared_part(self._spanning.all).unpriced(kinds)
        return shared + sum(
            n
            for day in self._days.values()
            for kind, n in day.notes.unpriced.items()
            if kind in kinds
        )

    def other_currency(self, currency: str | None) -> int:
        """Return how many orders of the days are in another currency."""
        return sum(
            n
            for day in self._days.values()
            for code, n in day.notes.orders_by_currency.items()
            if code != currency
        )
