"""The guardrail: offers that keep buyers from completing their checkouts are paused.

Completion with offers is compared with completion without, by an interval that stays valid however
often it is computed (`mersalg.engine.tracking.intervals`), so that a check every quarter of an hour
costs nothing. One version of the model is judged, and paused: another one starts again. Anybody can
make checkouts that are not vouched: where only all together show harm, a person is asked instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mersalg.engine import clock
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import build_report

SETTING = "guardrail"
LEVEL = 0.975
"""Confidence level of each of two intervals, of the first day and of all days after.

Together they are wrong in at most one of twenty policies that do no harm.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a policy is harmful: the whole interval of completion is below a fall by `drop`.

    Nothing is judged by fewer than `checkouts` in either arm.
    """

    drop: float = 0.0
    checkouts: int = 500


@dataclass(frozen=True, slots=True)
class State:
    """State of the guardrail, which judges a `version` of the model; instants in microseconds.

    Decisions count from `since` on. `paused` says why nothing is offered, in a sentence; None while
    something is. A pause `by_hand` is a person's, which another version does not end. `asked` is
    what a person should look at: harm that vouched checkouts alone do not show.
    """

    version: str | None
    since: int
    paused: str | None = None
    paused_at: int | None = None
    by_hand: bool = False
    asked: str | None = None


def state_of(store: Store) -> State | None:
    """Return the stored state; None before the first check."""
    return _read(store.note(SETTING))


def _read(text: str | None) -> State | None:
    return None if text is None else msgspec.json.decode(text, type=State)


def pause(store: Store, why: str, now: int) -> State:
    """Offer nothing from now on; `why` is a sentence for people."""
    state = state_of(store) or State(None, now)
    return _saved(store, replace(state, paused=why, paused_at=now, by_hand=True))


def resume(store: Store, now: int) -> State:
    """Offer again, and judge by what is decided from now on."""
    state = state_of(store)
    return _saved(store, State(state.version if state else None, now))


def check(store: Store, version: str, limits: Limits, now: int) -> State:
    """Judge the version that is served, and pause it where it does harm."""
    earlier, entry = store.note(SETTING), None
    state = _read(earlier)
    if state is None or (state.version != version and not state.by_hand):
        judged = State(version, now)
        if state is not None and state.paused is not None:
            entry = AuditEntry(now, "guardrail", "resume offers", version, "done")
    elif state.paused is not None:
        return state
    else:
        report = measured(store, state, now)
        why = vouched = judge(report, limits)
        n_unvouched, n = (report["quality"][name] for name in ("unvouched", "checkouts"))
        if report["count"] == "all" and (why or n_unvouched):
            # The facts have to be read for that: only where vouched checkouts are some of all.
            alone = n_unvouched < n and measured(store, state, now, only_vouched=True)
            vouched = judge(alone, limits) if alone else None
        if vouched:
            judged = replace(state, paused=vouched, paused_at=now, by_hand=False, asked=None)
            entry = AuditEntry(now, "guardrail", "pause offers", vouched, "done")
        elif why == state.asked:
            return state
        else:
            judged = replace(state, asked=why)
    if store.replace_note(SETTING, earlier, _text(judged), entry):
        return judged
    # A person paused or resumed in the meantime, or another worker judged: their state holds.
    return state_of(store) or judged


def measured(
    store: Store, state: State, now: int, *, only_vouched: bool = False
) -> Mapping[str, Any]:
    """Return the report that the state is judged by.

    It is of the day on which the state began, later of the whole days after it; with `only_vouched`
    of vouched checkouts also where the shop counts all.
    """
    count = "vouched" if only_vouched else None
    query = ReportQuery.from_store(store, watched=True, level=LEVEL, count=count)
    begun, today = (
        clock.to_datetime(instant).astimezone(query.zone).date() for instant in (state.since, now)
    )
    if begun >= today:
        since = clock.to_datetime(state.since).astimezone(UTC)
        return build_report(store, replace(query, since=since))
    return build_report(store, replace(query, since=begun + timedelta(days=1), until=today))


def judge(report: Mapping[str, Any], limits: Limits) -> str | None:
    """Return why the policy is harmful, in a sentence; None where that is not known."""
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


def instant_text(instant: int | None) -> str | None:
    """Return an instant as text for people."""
    if instant is None:
        return None
    return datetime.isoformat(clock.to_datetime(instant), timespec="seconds")


def _saved(store: Store, state: State) -> State:
    store.keep_note(SETTING, _text(state))
    return state


def _text(state: State) -> str:
    return msgspec.json.encode(state).decode()
