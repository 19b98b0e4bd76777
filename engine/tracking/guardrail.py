"""The guardrail: offers that keep buyers from completing their checkouts are paused.

Completion with offers is compared with completion without, by an interval that stays valid however
often one looks (`engine.tracking.sequences`), so that looking every quarter of an hour costs
nothing. What is judged, and paused, is one version of the model: another one begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson

from engine import clock
from engine.storage.store import Store
from engine.tracking.query import ReportQuery, zone_of
from engine.tracking.report import build_report

SETTING = "guardrail"
LEVEL = 0.975
"""Of each of the two intervals looked at, the first day's and that of all days after: together they
are wrong in at most one of twenty policies that do no harm."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a policy is harmful: completion falls by more than `drop`, for all we can know.

    Nothing is judged by fewer than `checkouts` in either arm.
    """

    drop: float = 0.0
    checkouts: int = 500


@dataclass(frozen=True, slots=True)
class State:
    """What the guardrail knows.

    Attributes:
        version: the model version that is judged, by decisions since `since` (microseconds).
        paused: why nothing is offered, in a sentence; None while it is.
        paused_at: since when (microseconds).
        by_hand: somebody paused, so another version does not end it.
    """

    version: str | None
    since: int
    paused: str | None = None
    paused_at: int | None = None
    by_hand: bool = False


def state_of(store: Store) -> State | None:
    """None before anything was ever judged."""
    return _read(store.note(SETTING))


def _read(text: str | None) -> State | None:
    return None if text is None else State(**cast("dict[str, Any]", orjson.loads(text)))


def pause(store: Store, why: str, now: int) -> State:
    state = state_of(store) or State(None, now)
    return _kept(store, replace(state, paused=why, paused_at=now, by_hand=True))


def resume(store: Store, now: int) -> State:
    """Offer again, and judge by what is decided from now on."""
    state = state_of(store)
    return _kept(store, State(state.version if state else None, now))


def check(store: Store, version: str, limits: Limits, now: int) -> State:
    """Judge the version that is served, and pause it where it does harm."""
    known = store.note(SETTING)
    state = _read(known)
    if state is None or (state.version != version and not state.by_hand):
        judged = State(version, now)
    elif state.paused is not None:
        return state
    else:
        why = judge(measured(store, state, now), limits)
        if why is None:
            return state
        judged = replace(state, paused=why, paused_at=now, by_hand=False)
    if store.replace_note(SETTING, known, _text(judged)):
        return judged
    # Somebody paused or resumed meanwhile, or another worker judged: that holds.
    return state_of(store) or judged


def measured(store: Store, state: State, now: int) -> Mapping[str, Any]:
    """The report the state is judged by: of the day it began, later of the whole days after it."""
    query = ReportQuery.from_store(store, watched=True, level=LEVEL)
    zone = zone_of(query.timezone or "UTC")
    begun, today = (
        clock.to_datetime(instant).astimezone(zone).date() for instant in (state.since, now)
    )
    if begun >= today:
        since = clock.to_datetime(state.since).astimezone(UTC)
        return build_report(store, replace(query, since=since))
    return build_report(store, replace(query, since=begun + timedelta(days=1), until=today))


def judge(report: Mapping[str, Any], limits: Limits) -> str | None:
    """Why the policy is harmful, in a sentence; None where that is not known."""
    for kind, counted in report["total"].items():
        entry = counted["incremental"]["completion"]
        arms = (entry["treatment"], entry["control"])
        if entry["status"] != "ok" or entry["upper"] is None:
            continue
        if min(arm["denominator"] for arm in arms) < limits.checkouts:
            continue
        if entry["upper"] < -limits.drop:
            with_offers, without = (f"{arm['value']:.1%} of {arm['denominator']:,}" for arm in arms)
            name = kind.replace("_", "-")
            return (
                f"checkouts with {name} offers are completed {-entry['value'] * 100:.1f} points"
                f" [{-entry['upper'] * 100:.1f} to {-entry['lower'] * 100:.1f}] less often than"
                f" those without: {with_offers} against {without}"
            )
    return None


def told_at(instant: int | None) -> str | None:
    """An instant for people."""
    if instant is None:
        return None
    return datetime.isoformat(clock.to_datetime(instant), timespec="seconds")


def _kept(store: Store, state: State) -> State:
    store.keep_note(SETTING, _text(state))
    return state


def _text(state: State) -> str:
    return orjson.dumps(asdict(state)).decode()
