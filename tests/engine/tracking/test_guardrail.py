"""The guardrail pauses what does harm, and hardly ever what does none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine import clock
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Arm, Decision, Event, Fact, Offer, PurchaseItem
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.guardrail import (
    LEVEL,
    Limits,
    check,
    judge,
    pause,
    resume,
    state_of,
)
from mersalg.engine.tracking.intervals import watched_difference

NOW = parse_instant("2026-05-04T08:00:00+00:00")
DAY = clock.MICROS_PER_DAY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "facts.db"), secret=b"a secret of the tests, long enough")
    store.migrate()
    yield store
    store.close()


def checkouts(
    begin: int, n: int, *, treated: float, untreated: float, name: str = ""
) -> list[Fact]:
    """Visits of a minute each, every third without offers."""
    draw = random.Random(f"{begin}/{n}")
    facts: list[Fact] = []
    for number in range(n):
        arm: Arm = "control" if number % 3 == 0 else "treatment"
        key, when = f"{name}{number}", begin + number * 60_000_000
        offers = (Offer(f"o{key}", "cross_sell", "mug", 1, None),)
        facts.append(
            Decision(
                f"d{key}", f"d{key}", when, f"k{key}", None, f"c{key}", arm, "m1", "checkout",
                None, (), offers, control_share=1 / 3,
            )
        )  # fmt: skip
        if draw.random() < (untreated if arm == "control" else treated):
            bought = (PurchaseItem("cup", 1),)
            facts.append(
                Event(f"p{key}", "purchase", when + 1, None, f"k{key}", transaction_id=f"t{key}",
                      items=bought)
            )  # fmt: skip
    return facts


LIMITS = Limits(0.0, 200)


def test_harm_is_paused_once_it_is_certain(store: Store) -> None:
    begun = check(store, "m1", LIMITS, NOW)
    assert (begun.version, begun.since, begun.paused) == ("m1", NOW, None)
    # The whole days after the first are judged; the first has nothing to say.
    store.facts.append(checkouts(NOW + DAY, 1_300, treated=0.6, untreated=0.75))
    found = check(store, "m1", LIMITS, NOW + 2 * DAY)
    assert found.paused is not None
    assert "cross-sell offers are completed" in found.paused
    assert "less often" in found.paused
    assert state_of(store) == found
    assert check(store, "m1", LIMITS, NOW + 3 * DAY) == found
    entries = [(each.who, each.action, each.target) for each in store.audit.latest(9)]
    assert entries == [("guardrail", "pause offers", found.paused)]
    renewed = check(store, "m2", LIMITS, NOW + 3 * DAY)
    assert (renewed.version, renewed.since, renewed.paused) == ("m2", NOW + 3 * DAY, None)
    [resumed] = store.audit.latest(1)
    assert (resumed.who, resumed.action, resumed.target) == ("guardrail", "resume offers", "m2")


def test_the_first_day_is_judged_as_it_goes(store: Store) -> None:
    check(store, "m1", LIMITS, NOW)
    store.facts.append(checkouts(NOW - 600 * 60_000_000, 500, treated=0.0, untreated=1.0, name="a"))
    assert check(store, "m1", LIMITS, NOW + 1).paused is None, "that was another version's doing"
    store.facts.append(checkouts(NOW, 900, treated=0.5, untreated=0.75, name="b"))
    assert check(store, "m1", LIMITS, NOW + 15 * 3_600_000_000).paused is not None


def test_no_harm_is_not_paused(store: Store) -> None:
    check(store, "m1", LIMITS, NOW)
    store.facts.append(checkouts(NOW + DAY, 1_300, treated=0.8, untreated=0.7))
    assert check(store, "m1", LIMITS, NOW + 2 * DAY).paused is None


def test_a_fall_that_is_put_up_with_and_few_checkouts(store: Store) -> None:
    check(store, "m1", LIMITS, NOW)
    store.facts.append(checkouts(NOW + DAY, 1_300, treated=0.6, untreated=0.75))
    assert check(store, "m1", Limits(0.3, 200), NOW + 2 * DAY).paused is None
    assert check(store, "m1", Limits(0.0, 5_000), NOW + 2 * DAY).paused is None


def test_resuming_judges_what_comes_after(store: Store) -> None:
    check(store, "m1", LIMITS, NOW)
    store.facts.append(checkouts(NOW + DAY, 1_300, treated=0.6, untreated=0.75))
    assert check(store, "m1", LIMITS, NOW + 2 * DAY).paused is not None
    resume(store, NOW + 2 * DAY)
    assert check(store, "m1", LIMITS, NOW + 2 * DAY + 1).paused is None
    pause(store, "a test", NOW + 3 * DAY)
    assert check(store, "m2", LIMITS, NOW + 4 * DAY).paused == "a test", "until somebody resumes"
    assert resume(store, NOW + 4 * DAY).paused is None


def test_policies_without_harm_are_paused_in_less_than_one_of_twenty() -> None:
    """Looked at after every 25 checkouts, all through; a fixed interval is wrong far oftener."""
    draw = random.Random(5)
    runs, paused, fixed = 300, 0, 0
    for _ in range(runs):
        completed, seen = {"treatment": 0, "control": 0}, {"treatment": 0, "control": 0}
        wrong = wrong_fixed = False
        for number in range(1, 2_001):
            arm = "control" if draw.random() < 0.2 else "treatment"
            seen[arm] += 1
            completed[arm] += draw.random() < 0.7
            if number % 25 or min(seen.values()) < 40:
                continue
            report = one_look(completed, seen)
            wrong = wrong or judge(report, Limits(0.0, 40)) is not None
            shares = [completed[each] / seen[each] for each in ("treatment", "control")]
            error = sum(
                share * (1 - share) / seen[each] for share, each in zip(shares, seen, strict=True)
            )
            wrong_fixed = wrong_fixed or shares[0] - shares[1] < -1.96 * error**0.5
        paused += wrong
        fixed += wrong_fixed
    assert paused / runs <= 0.05
    assert fixed / runs > 0.15


def one_look(completed: dict[str, int], seen: dict[str, int]) -> dict[str, Any]:
    sequence = watched_difference(
        completed["treatment"], seen["treatment"], completed["control"], seen["control"], LEVEL
    )
    assert sequence is not None
    found, _ = sequence
    arms = {
        arm: {
            "value": completed[arm] / seen[arm],
            "numerator": completed[arm],
            "denominator": seen[arm],
        }
        for arm in seen
    }
    entry = {
        "value": found.value,
        "lower": found.lower,
        "upper": found.upper,
        "status": "ok",
        **arms,
    }
    return {"total": {"cross_sell": {"incremental": {"completion": entry}}}}


@pytest.mark.parametrize("judged_before", [False, True])
def test_a_pause_by_hand_holds_though_a_judgement_ends_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, judged_before: bool
) -> None:
    if judged_before:
        check(store, "m1", Limits(), NOW)
    note = store.note

    def paused_after_reading(name: str) -> str | None:
        text = note(name)
        monkeypatch.setattr(store, "note", note)
        pause(store, "stocktaking", NOW + 1)
        return text

    monkeypatch.setattr(store, "note", paused_after_reading)
    # Of a version that was not judged yet a judgement stores that it begins.
    assert check(store, "m2", Limits(), NOW + 2).paused == "stocktaking"
    state = state_of(store)
    assert state is not None
    assert (state.paused, state.by_hand) == ("stocktaking", True)
