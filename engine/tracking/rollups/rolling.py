"""Bringing the roll-ups up to what the facts say now."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from engine.errors import StorageUnavailable
from engine.facts import Fact
from engine.progress import Progress, Task
from engine.storage.facts import FactScope
from engine.storage.rollups import StaleDay
from engine.storage.store import Store, open_existing_store
from engine.tracking.attribution import Outcome, outcomes
from engine.tracking.period import Period
from engine.tracking.periods import Buckets, ends_at, starts_at, zone_of
from engine.tracking.query import ReportQuery
from engine.tracking.rollups.cells import Cell, cell_of

if TYPE_CHECKING:
    from concurrent.futures import Future

_VERSION = 1
"""Another one where cells are counted or kept otherwise: all are made anew."""

_MOST_ROUNDS = 5
_MANY = 16
"""Days that came in bulk, from which on it pays to start processes."""
_MOST_PROCESSES = 8
"""Each holds a day's facts in memory."""


def made_with(query: ReportQuery) -> str:
    """What decides how a day is counted, of a filled query."""
    settings = {
        "version": _VERSION,
        "timezone": query.timezone,
        "currency": query.currency,
        "impressions": query.impressions,
        "bot_decisions_per_hour": query.bot_decisions_per_hour,
    }
    return orjson.dumps(settings).decode()


def refresh(store: Store, query: ReportQuery, progress: Progress) -> bool:
    """Roll up every stale day by the shop's own settings, those of the filled `query`.

    Days whose facts were dropped stay as they are. False where it cannot be done: the database
    takes no writing, or facts come in so fast that some day is always stale.
    """
    assert query.timezone is not None, "the query was not filled"
    kept = store.reports.rollups.facts_since()
    rollups, buckets = store.reports.rollups, Buckets(zone_of(query.timezone))

    def day_of(instant: int) -> str:
        return buckets.text("day", instant)

    try:
        if rollups.settings() != made_with(query):
            rollups.begin(made_with(query))
        for _ in range(_MOST_ROUNDS):
            rollups.sort_fresh(day_of)
            stale = [each for each in rollups.stale() if kept is None or each.day >= kept]
            if not stale:
                return True
            beside = frozenset(each.day for each in stale) if rollups.any_saved() else None
            with (
                progress.task("Rolling up days", total=len(stale)) as task,
                _by_many(store, stale) as roll_up,
            ):
                for each in stale:
                    alone = _of_day(query, each.day)
                    if each.spreads and beside is not None:
                        rollups.spread(*_instants(alone), day_of, beside)
                    roll_up(each, alone, task)
    except StorageUnavailable as error:
        if "readonly" in error.message or "read-only" in error.message:
            return False
        raise
    return False


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many days were counted anew, and those whose roll-up had said something else."""

    days: int
    differed: tuple[str, ...]


def rebuild(store: Store, query: ReportQuery, progress: Progress) -> Rebuilt:
    """Count every day from its facts again, compare, and keep what the facts say.

    `query` is as in `refresh`.

    Raises:
        StorageUnavailable: the database cannot be read or written.
    """
    refresh(store, query, progress)
    kept = _digests(store)
    store.reports.rollups.begin(made_with(query), anew=False)
    refresh(store, query, progress)
    now = _digests(store)
    differed = sorted(day for day in kept | now if kept.get(day) != now.get(day))
    return Rebuilt(len(now), tuple(differed))


def _digests(store: Store) -> dict[str, bytes]:
    return {day: sha256(body).digest() for day, body in store.reports.rollups.bodies(None, None)}


def _of_day(query: ReportQuery, day: str) -> ReportQuery:
    local = date.fromisoformat(day)
    return replace(query, since=local, until=local, by=(), compare=None, attribution_window_days=0)


def _instants(alone: ReportQuery) -> tuple[int, int]:
    zone = zone_of(alone.timezone or "UTC")
    since, until = starts_at(alone.since, zone), ends_at(alone.until, zone)
    return since or 0, 2**62 if until is None else until


@contextmanager
def _by_many(
    store: Store, stale: Sequence[StaleDay]
) -> Generator[Callable[[StaleDay, ReportQuery, Task], None], None, None]:
    """Rolls days up one by one; after an import, of which many came in bulk, by several processes:
    a day is counted from its facts alone. All is done when the block ends."""
    address, processes = store.address, os.cpu_count() or 1
    if address is None or processes < 2 or sum(each.spreads for each in stale) < _MANY:

        def roll_up(each: StaleDay, alone: ReportQuery, task: Task) -> None:
            _roll_up(store, each, alone)
            task.advance()

        yield roll_up
        return
    # Mostly there is little to roll up, and a report is to start soon.
    from engine.processes import Workers

    workers = Workers(min(processes, _MOST_PROCESSES, len(stale)), _open, address)
    waiting: deque[tuple[Future[None], Task]] = deque()

    def finish(most: int) -> None:
        while len(waiting) > most:
            future, task = waiting.popleft()
            future.result()
            task.advance()

    def hand_out(each: StaleDay, alone: ReportQuery, task: Task) -> None:
        waiting.append((workers.submit(_roll_up_there, each, alone), task))
        finish(2 * processes)

    try:
        yield hand_out
        finish(0)
    finally:
        workers.shutdown(wait=True, cancel_futures=True)


_own: dict[str, Store] = {}


def _open(address: str) -> None:
    _own["store"] = open_existing_store(address)


def _roll_up_there(stale: StaleDay, alone: ReportQuery) -> None:
    _roll_up(_own["store"], stale, alone)
    # Only here is there little for the collector to look through.
    gc.collect()


def _roll_up(store: Store, stale: StaleDay, alone: ReportQuery) -> None:
    facts = _facts_of(store, alone)
    if not facts:
        store.reports.rollups.save(stale, None, {}, ())
        return
    period = Period(facts, alone)
    shared = shared_checkouts(period)
    theirs = [
        each for each in period.all.outcomes if each.placed.decision.checkout_id not in shared
    ]
    checkouts = {decision.checkout_id for decision in period.all.decisions}
    body = _cell(store, period, theirs, alone.currency).pack()
    store.reports.rollups.save(stale, body, shared, checkouts - shared.keys())


def folded(store: Store, query: ReportQuery, day: str, before: str) -> bytes:
    """The roll-up of a day that also holds the checkouts shared with later days but `before`.

    Each is counted in its first day, with all that was decided in it. `query` is as in `refresh`.
    """
    alone = _of_day(query, day)
    period = Period(_facts_of(store, alone), alone)
    shared = shared_checkouts(period)
    begun_here = {checkout_id for checkout_id, (first, _) in shared.items() if first == day}
    found = outcomes(period.history, query.impressions or "viewed", 0)
    theirs = [
        each
        for each in found.values()
        if each.placed.decision.checkout_id in begun_here
        and period.day(each.placed.decision.occurred_at) < before
    ]
    theirs += [
        each for each in period.all.outcomes if each.placed.decision.checkout_id not in shared
    ]
    return _cell(store, period, theirs, alone.currency).pack()


def shared_checkouts(period: Period) -> dict[str, tuple[str, str]]:
    """First and last day of the checkouts that a day of facts shares with others."""
    shared: dict[str, tuple[str, str]] = {}
    for checkout_id in {decision.checkout_id for decision in period.all.decisions}:
        decided = period.history.checkouts[checkout_id]
        first, last = period.day(decided[0].occurred_at), period.day(decided[-1].occurred_at)
        if first != last:
            shared[checkout_id] = (first, last)
    return shared


def _facts_of(store: Store, alone: ReportQuery) -> list[Fact]:
    """All that tells of a day; none where nothing occurred in it."""
    since, until = _instants(alone)
    facts = list(store.facts.read(FactScope(since, until)))
    return facts if any(since <= fact.occurred_at < until for fact in facts) else []


def _cell(store: Store, period: Period, theirs: Sequence[Outcome], currency: str | None) -> Cell:
    named = period.currencies()
    if currency is None and len(named) == 1:
        (currency,) = named
    return cell_of(
        period.history,
        period.all.decisions,
        period.all.orders,
        theirs,
        period.quality(),
        currency,
        store.reports.rollups.numbers,
    )
