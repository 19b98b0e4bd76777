"""Bringing the roll-ups up to what the facts say now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import orjson

from engine.errors import StorageUnavailable
from engine.progress import Progress
from engine.storage.rollups import StaleDay
from engine.storage.store import FactScope, Store
from engine.tracking.period import Period
from engine.tracking.periods import Buckets, ends_at, starts_at, zone_of
from engine.tracking.query import ReportQuery
from engine.tracking.rollups.cells import Cell, cell_of

_VERSION = 1
"""Another one where cells are counted or kept otherwise: all are made anew."""

_MOST_ROUNDS = 5


def made_with(query: ReportQuery) -> str:
    """What decides how a day is counted, of a filled query."""
    settings = {
        "version": _VERSION,
        "timezone": query.timezone,
        "currency": query.currency,
        "impressions": query.impressions,
    }
    return orjson.dumps(settings).decode()


def refresh(store: Store, query: ReportQuery, progress: Progress) -> bool:
    """Roll up every stale day by the shop's own settings, those of the filled `query`.

    False where it cannot be done: the database takes no writing, or facts come in so fast that
    some day is always stale.
    """
    assert query.timezone is not None, "the query was not filled"
    rollups, buckets = store.rollups, Buckets(zone_of(query.timezone))

    def day_of(instant: int) -> str:
        return buckets.text("day", instant)

    try:
        if rollups.settings() != made_with(query):
            rollups.begin(made_with(query))
        for _ in range(_MOST_ROUNDS):
            rollups.sort_fresh(day_of)
            stale = rollups.stale()
            if not stale:
                return True
            beside = frozenset(each.day for each in stale) if rollups.any_saved() else None
            with progress.task("Rolling up days", total=len(stale)) as task:
                for each in stale:
                    alone = _of_day(query, each.day)
                    if each.spreads and beside is not None:
                        rollups.spread(*_instants(alone), day_of, beside)
                    _roll_up(store, each, alone)
                    task.advance()
    except StorageUnavailable as error:
        if "readonly" in error.message or "read-only" in error.message:
            return False
        raise
    return False


def cell_of_day(store: Store, query: ReportQuery, day: str) -> Cell | None:
    """A day counted from its facts; None without any. `query` is as in `refresh`."""
    return _counted(store, _of_day(query, day))[0]


def _of_day(query: ReportQuery, day: str) -> ReportQuery:
    local = date.fromisoformat(day)
    return replace(query, since=local, until=local, by=(), compare=None, attribution_window_days=0)


def _instants(alone: ReportQuery) -> tuple[int, int]:
    zone = zone_of(alone.timezone or "UTC")
    since, until = starts_at(alone.since, zone), ends_at(alone.until, zone)
    return since or 0, 2**62 if until is None else until


def _roll_up(store: Store, stale: StaleDay, alone: ReportQuery) -> None:
    cell, spanning, whole = _counted(store, alone)
    store.rollups.save(stale, None if cell is None else cell.pack(), spanning, whole)


def _counted(
    store: Store, alone: ReportQuery
) -> tuple[Cell | None, Mapping[str, tuple[str, str]], set[str]]:
    """The cell of a day, its checkouts that several days share, and its others."""
    since, until = _instants(alone)
    facts = list(store.facts(FactScope(since, until)))
    if not any(since <= fact.occurred_at < until for fact in facts):
        return None, {}, set()
    period = Period(facts, alone)
    checkouts = {decision.checkout_id for decision in period.all.decisions}
    spanning: dict[str, tuple[str, str]] = {}
    for checkout_id in checkouts:
        decided = period.history.checkouts[checkout_id]
        first, last = period.day(decided[0].occurred_at), period.day(decided[-1].occurred_at)
        if first != last:
            spanning[checkout_id] = (first, last)
    named = period.currencies()
    currency = alone.currency
    if currency is None and len(named) == 1:
        (currency,) = named
    cell = cell_of(
        period.history,
        period.all.decisions,
        period.all.orders,
        period.all.outcomes,
        period.quality(),
        currency,
        store.rollups.numbers,
        left_out=spanning.keys(),
    )
    return cell, spanning, checkouts - spanning.keys()
