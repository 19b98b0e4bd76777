"""The simulated buyers: what they do is what the behaviour says, and the truth kept is true."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mersalg.engine.errors import ServiceFailed
from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Event
from mersalg.engine.progress import SilentProgress
from mersalg.training.simulation.replay import Replay, replay
from mersalg.training.simulation.shoppers import Behaviour, Outcome, Truth, Visit, play

NOW = datetime(2026, 3, 10, 10, tzinfo=UTC)
CERTAIN = Behaviour(seen=1, clicks=1, dismisses=0, abandons=0, refunds=0)
PRICES = {"pho-s": 599000, "pho-l": 699000, "case": 19900, "glass": 14900, "buds": 59900}


def visit(
    number: int = 0,
    *,
    cart: Mapping[str, int] | None = None,
    intended: Mapping[str, int] | None = None,
) -> Visit:
    return Visit(
        checkout_id=f"visit-{number}",
        customer_id=f"customer-{number % 700}",
        session_id=f"session-{number}",
        currency="NOK",
        cart=cart or {"pho-s": 1},
        intended=intended or {"pho-s": 1, "buds": 1},
        prices=PRICES,
        seed=7,
    )


CASE = {"offer_id": "o-case", "kind": "cross_sell", "item_id": "case", "unit_price": "199.00"}
BUDS = {"offer_id": "o-buds", "kind": "cross_sell", "item_id": "buds", "unit_price": "599.00"}
LARGER = {
    "offer_id": "o-larger",
    "kind": "upsell",
    "item_id": "pho-l",
    "unit_price": "6990.00",
    "replaces": {"item_id": "pho-s", "quantity": 1, "price_difference": "1000.00"},
}


def answer_with(
    *offers: dict[str, Any], arm: str = "treatment", score: float = 0.5
) -> dict[str, Any]:
    return {"arm": arm, "offers": [{**offer, "score": score} for offer in offers]}


def types(outcome: Outcome) -> list[str]:
    return [event["type"] for event in outcome.events]


def bought(outcome: Outcome) -> dict[str, int]:
    """What the purchase fact says, read apart from the simulation's own books."""
    (purchase,) = (event for event in outcome.events if event["type"] == "purchase")
    return {item["item_id"]: item["quantity"] for item in purchase["items"]}


def test_who_cannot_be_persuaded_buys_what_she_came_for() -> None:
    nobody = replace(CERTAIN, cross_sell_floor=0, cross_sell_slope=0, upsell_at_par=0)
    outcome = play(visit(), answer_with(CASE, BUDS, LARGER), nobody, NOW)
    assert bought(outcome) == {"pho-s": 1, "buds": 1}
    # What she had in mind is clicked when seen, and counts as a conversion but not as an effect.
    assert types(outcome) == ["view_promotion"] * 3 + [types(outcome)[3], "purchase"]
    assert types(outcome)[3] in ("select_promotion", "add_to_cart")
    cross_sell, upsell = outcome.truth.kinds["cross_sell"], outcome.truth.kinds["upsell"]
    assert (cross_sell.n_eligible, cross_sell.n_with, cross_sell.n_without) == (1, 1, 1)
    assert cross_sell.incremental == 0
    assert (upsell.n_eligible, upsell.n_with, upsell.n_without) == (1, 0, 0)


def test_who_is_persuaded_of_everything_takes_it_all() -> None:
    everything = replace(CERTAIN, cross_sell_floor=1, upsell_at_par=1, upsell_decay=0)
    outcome = play(
        visit(cart={"pho-s": 2}, intended={"pho-s": 2}),
        answer_with(CASE, LARGER),
        everything,
        NOW,
    )
    assert bought(outcome) == {"pho-l": 2, "case": 1}
    lines = {item["item_id"]: item for item in outcome.events[-1]["items"]}
    assert lines["pho-l"]["offer_id"] == "o-larger"
    assert lines["pho-l"]["price"] == "6990.00"
    assert lines["case"]["offer_id"] == "o-case"
    # Two phones, each 1000 dearer; one case.
    assert outcome.truth.kinds["upsell"].extra_minor == 200_000
    assert outcome.truth.kinds["cross_sell"].extra_minor == 19_900
    assert outcome.truth.kinds["upsell"].incremental == 1


def test_who_trades_up_by_herself_is_no_effect() -> None:
    everything = replace(CERTAIN, upsell_at_par=1, upsell_decay=0)
    outcome = play(visit(intended={"pho-l": 1}), answer_with(LARGER), everything, NOW)
    assert bought(outcome) == {"pho-l": 1}
    upsell = outcome.truth.kinds["upsell"]
    assert (upsell.n_with, upsell.n_without, upsell.extra_minor) == (1, 1, 0)


def test_control_and_blindness_come_to_the_same() -> None:
    everything = replace(CERTAIN, cross_sell_floor=1, upsell_at_par=1)
    control = play(visit(), answer_with(arm="control"), everything, NOW)
    blind = play(visit(), answer_with(CASE, LARGER), replace(everything, seen=0), NOW)
    assert types(control) == types(blind) == ["purchase"]
    assert bought(control) == bought(blind) == {"pho-s": 1, "buds": 1}
    assert control.truth.n_control == 1
    assert control.truth.kinds["cross_sell"].n_eligible == 0
    assert blind.truth.kinds["cross_sell"].incremental == 0


def test_an_unclicked_offer_is_bought_without_its_name() -> None:
    shy = replace(CERTAIN, clicks=0, cross_sell_floor=1)
    outcome = play(visit(), answer_with(CASE), shy, NOW)
    assert types(outcome) == ["view_promotion", "purchase"]
    assert all("offer_id" not in item for item in outcome.events[-1]["items"])


def test_abandoned_refunded_dismissed() -> None:
    left = play(visit(), answer_with(CASE), replace(CERTAIN, abandons=1), NOW)
    assert "purchase" not in types(left)
    assert left.truth.n_purchases == 0
    assert left.truth.kinds["cross_sell"].n_eligible == 1
    cold = replace(CERTAIN, cross_sell_floor=0, cross_sell_slope=0, dismisses=1, refunds=1)
    back = play(visit(), answer_with(CASE), cold, NOW)
    assert types(back) == ["view_promotion", "dismiss_promotion", "purchase", "refund"]
    assert len(back.events[-1]["items"]) == 1


class Shelf:
    """A service that offers the same to everyone and holds out a tenth, kept in memory."""

    def __init__(self, *, holdout: float = 0.1, score: float = 0.4) -> None:
        self.holdout, self.score = holdout, score
        self.events: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def suggest(self, request: Mapping[str, Any]) -> dict[str, Any]:
        arm = assign_arm(unit_of(request["customer_id"], None), salt="t", holdout=self.holdout)
        if arm == "control":
            return answer_with(arm=arm)
        named = [
            {**offer, "offer_id": f"{request['checkout_id']}/{offer['item_id']}"}
            for offer in (CASE, BUDS, LARGER)
        ]
        return answer_with(*named, score=self.score)

    def record(self, events: list[dict[str, Any]]) -> None:
        with self._lock:
            self.events += events


def many(n_visits: int) -> list[Visit]:
    """Every third has the headphones in mind, every tenth trades up by herself."""
    return [
        visit(
            number,
            intended={
                "pho-l" if number % 10 == 0 else "pho-s": 1,
                "buds" if number % 3 == 0 else "glass": 1,
            },
        )
        for number in range(n_visits)
    ]


def run(visits: Sequence[Visit], behaviour: Behaviour, n_threads: int = 1) -> tuple[Replay, Shelf]:
    shelf = Shelf()
    return replay(visits, shelf, behaviour, SilentProgress(), n_threads=n_threads), shelf


@pytest.fixture(scope="module")
def played() -> tuple[Replay, Shelf]:
    return run(many(6000), Behaviour())


def within(count: int, n: int, share: float) -> bool:
    """Inside four standard errors of a binomial."""
    return abs(count - n * share) <= 4 * (n * share * (1 - share)) ** 0.5 + 1


def test_shares_are_those_of_the_behaviour(played: tuple[Replay, Shelf]) -> None:
    result, shelf = played
    behaviour, truth = Behaviour(), result.truth
    n = truth.n_visits
    assert n == 6000
    assert within(n - truth.n_purchases, n, behaviour.abandons)
    assert within(truth.n_refunds, truth.n_purchases, behaviour.refunds)
    treated = n - truth.n_control
    seen = {e["checkout_id"] for e in shelf.events if e["type"] == "view_promotion"}
    assert within(len(seen), treated, behaviour.seen)

    # Persuaded of the case: nobody had it in mind, so every case in a purchase is an effect.
    cases = sum(1 for outcome in result.outcomes if _holds(outcome, "case"))
    chance = behaviour.seen * (0.02 + 0.15 * 0.4) * (1 - behaviour.abandons)
    assert within(cases, treated, chance)
    # Persuaded of the larger phone: those who did not trade up by themselves, at ratio 6990/5990.
    upgrades = sum(
        1
        for outcome in result.outcomes
        if _holds(outcome, "pho-l") and "pho-l" not in outcome.visit.intended
    )
    chance = behaviour.seen * behaviour.upsell_chance(6990 / 5990) * (1 - behaviour.abandons)
    assert within(upgrades, round(treated * 0.9), chance)
    named = sum(
        1
        for event in shelf.events
        if event["type"] == "purchase"
        for item in event["items"]
        if item["item_id"] == "case" and "offer_id" in item
    )
    assert within(named, cases, behaviour.clicks)


def _holds(outcome: Outcome, item_id: str) -> bool:
    return any(
        event["type"] == "purchase" and any(item["item_id"] == item_id for item in event["items"])
        for event in outcome.events
    )


def test_the_truth_is_the_difference_to_the_same_visits_without_offers(
    played: tuple[Replay, Shelf],
) -> None:
    """Played again in a shop that shows nothing: the same people, the other world."""
    result, _ = played
    blind, _ = run([outcome.visit for outcome in result.outcomes], replace(Behaviour(), seen=0))
    n_with = n_without = extra = 0
    for with_offers, without in zip(result.outcomes, blind.outcomes, strict=True):
        if with_offers.answer["arm"] == "control":
            assert with_offers.truth.kinds["cross_sell"].n_eligible == 0
            continue
        offered = {"case", "buds"}
        n_with += any(_holds(with_offers, item_id) for item_id in offered)
        n_without += any(_holds(without, item_id) for item_id in offered)
        extra += _value(with_offers) - _value(without)
    truth = result.truth.kinds
    assert truth["cross_sell"].n_with == n_with
    assert truth["cross_sell"].n_without == n_without
    assert truth["cross_sell"].extra_minor + truth["upsell"].extra_minor == extra
    assert n_with > n_without > 0


def _value(outcome: Outcome) -> int:
    return sum(
        round(float(item["price"]) * 100) * item["quantity"]
        for event in outcome.events
        if event["type"] == "purchase"
        for item in event["items"]
    )


def test_threads_change_nothing(played: tuple[Replay, Shelf]) -> None:
    visits = many(400)
    one, one_shelf = run(visits, Behaviour())
    four, four_shelf = run(visits, Behaviour(), n_threads=4)
    assert one.truth == four.truth

    def facts(shelf: Shelf) -> dict[str, dict[str, Any]]:
        return {e["event_id"]: {**e, "occurred_at": None} for e in shelf.events}

    assert facts(one_shelf) == facts(four_shelf)
    assert len(one_shelf.events) == len(facts(one_shelf)) == one.truth.n_events


def test_facts_are_good_and_follow_the_decision(played: tuple[Replay, Shelf]) -> None:
    result, shelf = played
    assert len(shelf.events) == result.truth.n_events
    for outcome in result.outcomes[:300]:
        facts = [parse_fact(event) for event in outcome.events]
        assert all(isinstance(fact, Event) for fact in facts)
        moments = [fact.occurred_at for fact in facts]
        assert moments == sorted(set(moments))


def test_truths_add_up(played: tuple[Replay, Shelf]) -> None:
    result, _ = played
    halves = [
        sum((outcome.truth for outcome in part), Truth())
        for part in (result.outcomes[:2500], result.outcomes[2500:])
    ]
    assert halves[0] + halves[1] == result.truth


def test_a_failing_service_stops_the_replay() -> None:
    class Broken(Shelf):
        def record(self, events: list[dict[str, Any]]) -> None:
            raise ServiceFailed("the service rejected facts")

    with pytest.raises(ServiceFailed, match="rejected"):
        replay(many(200), Broken(), Behaviour(), SilentProgress(), n_threads=3)


def test_the_acceptance_model_is_stated_in_numbers() -> None:
    text = " ".join(Behaviour(cross_sell_floor=0.031, upsell_decay=1.75).sentences())
    for number in ("0.031", "1.75", "80%", "35%", "8%", "4%"):
        assert number in text
