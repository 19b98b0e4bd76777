"""The stored roll-ups of days: brought up to date with the facts, and kept when these are dropped.

Retention drops the facts of old months; their counts stay in the roll-ups.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta

import orjson

from mersalg.engine.errors import ConfigError, StorageUnavailable
from mersalg.engine.facts import Fact
from mersalg.engine.processes import Workers
from mersalg.engine.progress import Progress, Task
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.rollups import StaleDay
from mersalg.engine.storage.store import Store, open_existing_store
from mersalg.engine.tracking.local_days import Buckets, starts_at
from mersalg.engine.tracking.measures import Period, bounds_of
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.rollups import format_1
from mersalg.engine.tracking.rollups.day import same_numbers
from mersalg.engine.tracking.rollups.day_count import day_of
from mersalg.engine.tracking.rollups.offer_count import offers_of_day
from mersalg.engine.tracking.rollups.sums import summed

_VERSION = 15
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
        "checkout_days": query.checkout_days,
        "prices_include_tax": query.prices_include_tax,
        "bot_decisions_per_hour": query.bot_decisions_per_hour,
        "count": query.count,
    }
    return orjson.dumps(settings).decode()


def refresh(store: Store, query: ReportQuery, progress: Progress) -> bool:
    """Roll up every stale day by the shop's own settings, which the filled `query` has.

    Days whose facts were dropped keep their numbers. False where it cannot be done: the database is
    read-only, or facts come in so fast that some day is always stale.
    """
    rollups, buckets = store.reports.rollups, Buckets(query.zone)

    def local_day(instant: int) -> str:
        return buckets.text("day", instant)

    try:
        if rollups.settings() != made_with(query):
            rollups.begin(made_with(query), renewed=format_1.renewed)
        for _ in range(_MAX_ROUNDS):
            rollups.sort_fresh(local_day)
            stale = rollups.stale()
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
                        rollups.spread(*_instants(alone), local_day, beside)
                    roll_up(each, alone, task)
    except StorageUnavailable as error:
        if "readonly" in error.message or "read-only" in error.message:
            return False
        raise
    return False


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Number of days counted again, and those whose roll-up had other numbers."""

    days: int
    differed: tuple[str, ...]


def rebuild(store: Store, query: ReportQuery, progress: Progress) -> Rebuilt:
    """Count every day from its facts again, and compare; `query` is as in `refresh`.

    Raise StorageUnavailable where the database cannot be read or written.
    """
    rollups = store.reports.rollups
    refresh(store, query, progress)
    before = dict(rollups.bodies(None, None))
    rollups.begin(made_with(query), keeps_units=True)
    refresh(store, query, progress)
    now = dict(rollups.bodies(None, None))
    differed = before.keys() ^ now.keys()
    differed |= {day for day in before.keys() & now if not same_numbers(before[day], now[day])}
    return Rebuilt(len(now), tuple(sorted(differed)))


def _of_day(query: ReportQuery, day: str) -> ReportQuery:
    local = date.fromisoformat(day)
    return replace(query, since=local, until=local, by=(), compare=None, attribution_window_days=0)


def _instants(alone: ReportQuery) -> tuple[int, int]:
    since, until = bounds_of(alone)
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
    period = Period(facts, alone)
    shared = period.shared_checkouts
    checkouts = {decision.checkout_id for decision in period.all.decisions}
    rollups = store.reports.rollups
    _, own = period.all.split(shared)
    body = day_of(period.all, own, period.quality, alone.currency, rollups.numbers)
    offers = offers_of_day(period.all, shared, alone.currency, rollups.numbers)
    bodies = (summed(body), offers) if facts else (None, None)
    rollups.save(stale, *bodies, shared, checkouts - shared.keys())


def _folded(store: Store, query: ReportQuery, day: str, before: str) -> bytes:
    """Return the roll-up of a day that also has the checkouts it shares with days until `before`.

    Each is counted in its first day, with all its decisions, and in no other.
    """
    alone = _of_day(query, day)
    period = Period(_facts_of(store, alone), alone)
    shared = period.shared_checkouts
    begun_here = {checkout_id for checkout_id, (first, _) in shared.items() if first == day}
    _, whole = period.all.split(shared)
    _, own = period.all.split(shared.keys() - begun_here)
    own.outcomes = [
        each
        for each in period.outcomes
        if each.placed.decision.checkout_id in begun_here
        and period.day(each.placed.decision.occurred_at) < before
    ] + whole.outcomes
    part = replace(period.all, outcomes=own.outcomes)
    numbers = store.reports.rollups.numbers
    return summed(day_of(part, own, period.quality, alone.currency, numbers))


def _facts_of(store: Store, alone: ReportQuery) -> list[Fact]:
    """Return the facts that a day is counted from; none where nothing occurred in it."""
    since, until = _instants(alone)
    facts = list(store.facts.read(FactScope(since, until)))
    left_out = store.reports.rollups.left_out(str(alone.since))
    facts = [fact for fact in facts if fact.event_id not in left_out]
    return facts if any(since <= fact.occurred_at < until for fact in facts) else []


@dataclass(frozen=True, slots=True)
class Retained:
    """The first day whose facts are stored, and how many facts were deleted and days are final."""

    since: date
    dropped: int
    days: int


def first_kept(today: date, months: int) -> date:
    """Return the first day of the month `months` whole months before the present one.

    Raise ConfigError where there is no such month, or it is the present one.
    """
    months_since_0 = today.year * 12 + today.month - 1 - months
    if months < 1:
        raise ConfigError(f"keep-months: at least the month before this one stays, not {months}")
    if months_since_0 < 12:
        raise ConfigError(f"keep-months: {months} months ago there was no calendar")
    return date(months_since_0 // 12, months_since_0 % 12 + 1, 1)


def would_drop(store: Store, since: date) -> int:
    """Return the number of facts before `since`."""
    return store.facts.count_before(_instant(store, since))


def drop_before(store: Store, since: date, progress: Progress) -> Retained:
    """Roll up, seal the days before `since` and drop their facts, month by month.

    A checkout that days share is from then on counted in its first, as far as it was decided before
    `since`. If interrupted, run it again and it resumes. Raise ConfigError where a later month was
    dropped before, or the roll-ups cannot be brought up to date.
    """
    own = ReportQuery().filled(store.reports.settings())
    rollups, day = store.reports.rollups, since.isoformat()
    sealed = rollups.facts_since()
    if sealed is not None and day < sealed:
        raise ConfigError(f"the facts before {sealed} are gone already; {day} is earlier")
    if not refresh(store, own, progress):
        raise ConfigError("the roll-ups could not be brought up to date; nothing was dropped")
    # Where nothing goes, nothing is sealed: reports that read facts still reach back to the first.
    if sealed != day and would_drop(store, since):
        shared = {
            checkout_id: days
            for checkout_id, days in rollups.spanning(None, None).items()
            if days[0] < day
        }
        shared_days = sorted({each for days in shared.values() for each in _days_until(*days, day)})
        with progress.task("Sealing days", total=len(shared_days)) as task:
            bodies: dict[str, bytes] = {}
            for each in shared_days:
                bodies[each] = _folded(store, own, each, day)
                task.advance()
        until = max((last for _, last in shared.values()), default="")
        opened = (
            [stored_day for stored_day, _ in rollups.bodies(day, until)] if until >= day else []
        )
        rollups.seal(day, bodies, opened)
    with progress.task("Dropping facts") as task:
        dropped = store.facts.drop_before(_instant(store, since), task.advance)
    days = sum(1 for stored_day, _ in rollups.bodies(None, None) if stored_day < day)
    return Retained(since, dropped, days)


def _days_until(first: str, last: str, before: str) -> list[str]:
    """Return the days from `first` to `last` that are before another."""
    begin, n_days = date.fromisoformat(first), 1
    n_days += (date.fromisoformat(last) - begin).days
    days = [(begin + timedelta(days=n)).isoformat() for n in range(n_days)]
    return [day for day in days if day < before]


def _instant(store: Store, since: date) -> int:
    instant = starts_at(since, ReportQuery.from_store(store).zone)
    assert instant is not None, "a date has a first instant"
    return instant
