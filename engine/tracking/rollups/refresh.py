"""Roll-ups brought up to date with the facts: stale days are counted again."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

import orjson

from engine.errors import StorageUnavailable
from engine.facts import Fact
from engine.processes import Workers
from engine.progress import Progress, Task
from engine.storage.facts import FactScope
from engine.storage.rollups import StaleDay
from engine.storage.store import Store, open_existing_store
from engine.tracking.attribution import Outcome, outcomes
from engine.tracking.measures import NOT_FILLED, Period
from engine.tracking.query import Buckets, ReportQuery, ends_at, starts_at, zone_of
from engine.tracking.rollups import format_1
from engine.tracking.rollups.day import Day, day_of

_VERSION = 2
"""Raised where days are counted or stored in another way: all are counted again."""

_MAX_ROUNDS = 5
_MANY = 16
"""Days that came in bulk, from which on it pays to start processes."""
_MAX_PROCESSES = 8
"""Each holds a day's facts in memory."""


def made_with(query: ReportQuery) -> str:
    """Return what of a filled query decides how a day is counted, as text."""
    settings = {
        "version": _VERSION,
        "timezone": query.timezone,
        "currency": query.currency,
        "impressions": query.impressions,
        "bot_decisions_per_hour": query.bot_decisions_per_hour,
    }
    return orjson.dumps(settings).decode()


def refresh(store: Store, query: ReportQuery, progress: Progress) -> bool:
    """Roll up every stale day by the shop's own settings.

    Days whose facts were dropped keep their numbers.

    Parameters
    ----------
    store : Store
        The facts and their roll-ups.
    query : ReportQuery
        Filled, with the shop's own settings.
    progress : Progress
        Shows how many days are done.

    Returns
    -------
    bool
        False where it cannot be done: the database is read-only, or facts come in so fast that
        some day is always stale.
    """
    assert query.timezone is not None, NOT_FILLED
    kept = store.reports.rollups.facts_since()
    rollups, buckets = store.reports.rollups, Buckets(zone_of(query.timezone))

    def day_of(instant: int) -> str:
        return buckets.text("day", instant)

    try:
        if rollups.settings() != made_with(query):
            rollups.begin(made_with(query), renewed=format_1.renewed)
        for _ in range(_MAX_ROUNDS):
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
    """How many days were counted again, and those whose roll-up had other numbers."""

    days: int
    differed: tuple[str, ...]


def rebuild(store: Store, query: ReportQuery, progress: Progress) -> Rebuilt:
    """Count every day from its facts again, and compare.

    `query` is as in `refresh`.

    Raises
    ------
    StorageUnavailable
        The database cannot be read or written.
    """
    refresh(store, query, progress)
    kept = _digests(store)
    store.reports.rollups.begin(made_with(query), keeps_units=True)
    refresh(store, query, progress)
    now = _digests(store)
    differed = sorted(day for day in kept | now if kept.get(day) != now.get(day))
    return Rebuilt(len(now), tuple(differed))


def _digests(store: Store) -> dict[str, bytes]:
    # Another version of Arrow may write the same rows as other bytes.
    bodies = store.reports.rollups.bodies(None, None)
    return {day: sha256(Day(body).canonical()).digest() for day, body in bodies}


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
    """Yield a function that rolls up a day; all days are done when the block ends.

    After an import, of which many days came in bulk, several processes do it: a day is counted from
    its facts alone.
    """
    address, processes = store.address, os.cpu_count() or 1
    if address is None or processes < 2 or sum(each.spreads for each in stale) < _MANY:

        def roll_up(each: StaleDay, alone: ReportQuery, task: Task) -> None:
            _roll_up(store, each, alone)
            task.advance()

        yield roll_up
        return
    workers = Workers(min(processes, _MAX_PROCESSES, len(stale)), _open, address)
    waiting: deque[tuple[Future[None], Task]] = deque()

    def finish(n_left: int) -> None:
        while len(waiting) > n_left:
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
    # Between two days there is little for the collector to look through.
    gc.collect()


def _roll_up(store: Store, stale: StaleDay, alone: ReportQuery) -> None:
    facts = _facts_of(store, alone)
    if not facts:
        store.reports.rollups.save(stale, None, {}, ())
        return
    period = Period(facts, alone)
    shared = shared_checkouts(period)
    outcomes_here = [
        each for each in period.all.outcomes if each.placed.decision.checkout_id not in shared
    ]
    checkouts = {decision.checkout_id for decision in period.all.decisions}
    body = _body(store, period, outcomes_here, alone.currency)
    store.reports.rollups.save(stale, body, shared, checkouts - shared.keys())


def folded(store: Store, query: ReportQuery, day: str, before: str) -> bytes:
    """Return the roll-up of a day that also has the checkouts it shares with days until `before`.

    Each is counted in its first day, with all its decisions. `query` is as in `refresh`.
    """
    alone = _of_day(query, day)
    period = Period(_facts_of(store, alone), alone)
    shared = shared_checkouts(period)
    begun_here = {checkout_id for checkout_id, (first, _) in shared.items() if first == day}
    found = outcomes(period.history, query.impressions or "viewed", 0)
    counted = [
        each
        for each in found.values()
        if each.placed.decision.checkout_id in begun_here
        and period.day(each.placed.decision.occurred_at) < before
    ]
    counted += [
        each for each in period.all.outcomes if each.placed.decision.checkout_id not in shared
    ]
    return _body(store, period, counted, alone.currency)


def shared_checkouts(period: Period) -> dict[str, tuple[str, str]]:
    """Return first and last day of the checkouts that a day of facts shares with others."""
    shared: dict[str, tuple[str, str]] = {}
    for checkout_id in {decision.checkout_id for decision in period.all.decisions}:
        decided = period.history.checkouts[checkout_id]
        first, last = period.day(decided[0].occurred_at), period.day(decided[-1].occurred_at)
        if first != last:
            shared[checkout_id] = (first, last)
    return shared


def _facts_of(store: Store, alone: ReportQuery) -> list[Fact]:
    """Return the facts that a day is counted from; none where nothing occurred in it."""
    since, until = _instants(alone)
    facts = list(store.facts.read(FactScope(since, until)))
    return facts if any(since <= fact.occurred_at < until for fact in facts) else []


def _body(store: Store, period: Period, counted: list[Outcome], currency: str | None) -> bytes:
    named = period.all.currencies()
    if currency is None and len(named) == 1:
        (currency,) = named
    part = replace(period.all, outcomes=counted)
    return day_of(part, period.quality(), currency, store.reports.rollups.numbers)
