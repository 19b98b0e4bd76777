"""What a stranger with the public storefront key does to the numbers and the guardrail."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from mersalg.engine import clock
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Decision, Event, Fact, Offer, PurchaseItem
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.guardrail import Limits, check, resume
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import build_report

NOW = parse_instant("2026-05-04T08:00:00+00:00")
SECOND, DAY = 1_000_000, clock.MICROS_PER_DAY
BUYERS = 2_000
LIMITS = Limits(0.0, 500)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "facts.db"), secret=b"a secret of the tests, long enough")
    opened.migrate()
    yield opened
    opened.close()


def decision(name: str, when: int, who: str, scope: Any, *, control: bool) -> Decision:
    return Decision(
        f"d{name}",
        f"d{name}",
        when,
        f"k{name}",
        f"s{who}",
        who,
        "control" if control else "treatment",
        "m1",
        "checkout",
        "NOK",
        (),
        (Offer(f"o{name}", "cross_sell", "mug", 1, 5_000),),
        control_share=0.3,
        scope=scope,
    )


def visits(begin: int, *, seed: str = "shop") -> list[Fact]:
    """Buyers whom the shop's server asks for: with offers a few more of them buy a mug."""
    draw = random.Random(seed)
    facts: list[Fact] = []
    for number in range(BUYERS):
        name, who = f"{seed}-{number}", f"c{number}"
        control, when = number % 10 < 3, begin + number * 20 * SECOND
        made = decision(name, when, who, "server", control=control)
        facts.append(made)
        if not control:
            seen = {"offer_id": made.offers[0].offer_id, "scope": "storefront"}
            event_id = f"storefront/v{name}"
            facts.append(Event(event_id, "view_promotion", when + 2 * SECOND, **seen))
        if draw.random() < 0.7:
            wanted = draw.random() < (0.1 if control else 0.2)
            items = [PurchaseItem("cup", 1, 9_000)] + [PurchaseItem("mug", 1, 5_000)] * wanted
            facts.append(
                Event(
                    f"p{name}",
                    "purchase",
                    when + 60 * SECOND,
                    checkout_id=f"k{name}",
                    customer_id=who,
                    transaction_id=f"t{name}",
                    currency="NOK",
                    items=tuple(items),
                    scope="server",
                )
            )
    return facts


def calls(begin: int, n: int, *, named: str, control: bool | None = None) -> list[Fact]:
    """A stranger's calls, of an arm where it computed which units are drawn into it.

    Parameters
    ----------
    named
        `own` for buyers who do not exist, `buyers` for those of the shop, `ahead` for buyers who do
        not exist, in control just before the shop asks for the checkout, whose number was guessed.
    """
    facts: list[Fact] = []
    for number in range(n):
        who = f"c{number % BUYERS}" if named == "buyers" else f"x{number}"
        when = begin + (BUYERS * 10 * SECOND * number) // n
        in_control = number % 10 < 3 if control is None else control
        name = f"{named}-{number}"
        made = decision(name, when, who, "storefront", control=in_control)
        if named == "ahead" and in_control:
            guessed = number // 10 * 3 + number % 10
            when = begin + guessed * 20 * SECOND - SECOND
            made = replace(made, checkout_id=f"kshop-{guessed}", occurred_at=when)
        facts.append(made)
        seen = {"offer_id": made.offers[0].offer_id, "scope": "storefront"}
        if not in_control:
            facts.append(Event(f"storefront/x{name}", "view_promotion", when + SECOND, **seen))
    # Each session is said to be that of several customers, and of so many calls that of a bot.
    for number in range(100):
        tied = {"session_id": f"sc{number}", "customer_id": "stranger", "scope": "storefront"}
        event_id = f"storefront/tie{named}{number}"
        facts.append(Event(event_id, "view_promotion", begin + SECOND, offer_id="o", **tied))
    first = decision("bot", begin, "c0", "storefront", control=False)
    facts += [
        replace(first, event_id=f"b{n}", decision_id=f"b{n}", checkout_id="kshop-0", offers=())
        for n in range(150)
    ]
    return facts


ATTACKS: dict[str, dict[str, Any]] = {
    "1,900 calls ahead of the shop's": {"n": 1_900, "named": "ahead"},
    "800 calls of one arm": {"n": 800, "named": "own", "control": True},
    "600 calls in buyers' names": {"n": 600, "named": "buyers"},
    "4,200 calls in buyers' names": {"n": 4_200, "named": "buyers"},
}


def n_strange(sent: list[Fact]) -> int:
    """The number of checkouts that only a stranger asked for."""
    decided = {fact.checkout_id for fact in sent if isinstance(fact, Decision)}
    return sum(not str(checkout_id).startswith("kshop") for checkout_id in decided)


def reports(store: Store) -> list[dict[str, Any]]:
    today = clock.to_datetime(NOW).date()
    queries = (
        ReportQuery(by=("day",), watched=True),
        ReportQuery(by=("item", "arm"), adjusted=True),
        ReportQuery(since=today, until=today, compare="previous"),
    )
    return [json.loads(json.dumps(build_report(store, query))) for query in queries]


def without_quality(made: list[dict[str, Any]]) -> str:
    for report in made:
        del report["quality"]
        report.get("comparison", {}).pop("quality", None)
    return json.dumps(made)


@pytest.mark.parametrize("attack", ATTACKS)
def test_strangers_change_no_number_that_counts_vouched_checkouts(
    store: Store, attack: str
) -> None:
    store.reports.save_settings({"count": "vouched"})
    store.facts.append(visits(NOW - DAY, seed="before"))
    store.facts.append(visits(NOW))
    before = reports(store)
    assert before[0]["total"]["cross_sell"]["incremental"]["status"] == "ok"
    sent = calls(NOW, **ATTACKS[attack])
    result = store.facts.append(sent)
    assert (result.recorded, result.rejected) == (len(sent), ())
    after = reports(store)
    quality = after[0]["quality"]
    assert quality["unvouched"] == n_strange(sent)
    assert quality["checkouts"] == 2 * BUYERS + quality["unvouched"]
    assert without_quality(after) == without_quality(before)


@pytest.mark.parametrize("attack", ATTACKS)
def test_strangers_change_numbers_that_count_all_and_are_said_there(
    store: Store, attack: str
) -> None:
    store.facts.append(visits(NOW))
    before = build_report(store, ReportQuery())
    sent = calls(NOW, **ATTACKS[attack])
    store.facts.append(sent)
    after: Any = build_report(store, ReportQuery())
    assert after["count"] == "all"
    assert after["quality"]["unvouched"] == n_strange(sent)
    assert without_quality([after]) != without_quality([before])


@pytest.mark.parametrize("count", ["vouched", "all"])
def test_strangers_do_not_pause_the_shop(store: Store, count: Literal["vouched", "all"]) -> None:
    store.reports.save_settings({"count": count})
    assert check(store, "m1", LIMITS, NOW).paused is None
    store.facts.append(visits(NOW + DAY))
    store.facts.append(calls(NOW + DAY, 1_900, named="ahead"))
    state = check(store, "m1", LIMITS, NOW + 2 * DAY)
    assert state.paused is None
    if count == "vouched":
        assert state.asked is None
        return
    assert "less often" in (state.asked or ""), "a person should look"
    assert check(store, "m1", LIMITS, NOW + 2 * DAY) == state
    assert resume(store, NOW + 2 * DAY).asked is None


@pytest.mark.parametrize("attack", ["own", "ahead"])
def test_harm_that_vouched_checkouts_show_is_paused_whatever_strangers_do(
    store: Store, attack: str
) -> None:
    check(store, "m1", LIMITS, NOW)
    facts = visits(NOW + DAY)
    decided = [each for each in facts if isinstance(each, Decision)]
    spared = {each.checkout_id for each in decided if each.arm == "control"}
    # Half of those who see offers turn away.
    lost = {f"pshop-{number}" for number in range(0, BUYERS, 2)}
    facts = [each for each in facts if each.event_id not in lost or each.checkout_id in spared]
    # Of one arm alone the strangers' calls are uneven, so that all together show nothing.
    control = False if attack == "own" else None
    store.facts.append([*facts, *calls(NOW + DAY, 1_900, named=attack, control=control)])
    state = check(store, "m1", LIMITS, NOW + 2 * DAY)
    assert "less often" in (state.paused or "")
    assert "of 1,400 against" in (state.paused or ""), "the shop's own checkouts"
    assert state.asked is None
