"""Taskboard: integrations beside a plan by the seat, and the plan with reporting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.checks import (
    changes,
    check_answer,
    check_incremental,
    check_rates,
    offers_of,
)
from tests.scenarios.history import Line, through_offer
from tests.scenarios.saas.planted import PLAN
from tests.scenarios.trained_shop import TrainedShop

CARTS = [
    {"basic": 5},
    {"premium": 10},
    {"basic": 3, "time-tracking": 3},
    {"enterprise": 50},
    {"calendar": 1},
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainedShop:
    return TrainedShop(PLAN, Path(__file__).with_name("shop.toml"), tmp_path_factory.mktemp("shop"))


def test_nothing_offered_is_wrong(shop: TrainedShop) -> None:
    for cart, answer in zip(CARTS, shop.suggest(CARTS), strict=True):
        check_answer(shop, cart, answer)


def test_integrations_beside_the_plan(shop: TrainedShop) -> None:
    basic, premium, with_tracking, *_ = (
        offers_of(answer, "cross_sell") for answer in shop.suggest(CARTS)
    )
    assert list(basic)[:2] == ["time-tracking", "automation"]
    assert "automation" in premium
    assert "automation" in with_tracking
    assert "fax" not in basic, "what is no longer sold is not offered"


def test_premium_brings_reporting_and_collaboration(shop: TrainedShop) -> None:
    basic, premium, _, enterprise, _ = (
        offers_of(answer, "upsell") for answer in shop.suggest(CARTS)
    )
    upgrade = next(iter(basic.values()))
    assert upgrade["item_id"] == "premium"
    assert upgrade["replaces"] == {
        "item_id": "basic",
        "quantity": 5,
        "price_difference": "12.00",
    }
    gains = changes(upgrade, "gains")
    assert "reporting" in gains["features"][1]
    assert "collaboration" in gains["features"][1]
    assert gains["projects"] == ("10", "100")
    assert upgrade["losses"] == []
    # Dearer plans are not better in everything.
    step = premium["enterprise"]
    assert "sso" in changes(step, "gains")["features"][1]
    assert "collaboration" in changes(step, "losses")["features"][0]
    assert enterprise == {}


def test_texts_are_english_with_the_currency_of_the_shop(shop: TrainedShop) -> None:
    (answer,) = shop.suggest([{"basic": 5}])
    cross_sell, upsell = offers_of(answer, "cross_sell"), offers_of(answer, "upsell")
    assert cross_sell["time-tracking"]["text"].startswith("Bought together with Basic")
    text = upsell["premium"]["text"]
    assert "EUR" in text or "€" in text


def test_the_rates_of_a_spring_month(shop: TrainedShop) -> None:
    """Twelve accounts; seats are quantities, one checkout asks twice."""
    seats = {"s2": 8, "s3": 3, "s4": 3}
    answers = dict(
        zip(
            (3, 5, 8),
            shop.suggest([{"basic": units} for units in (3, 5, 8)], limits={"cross_sell": 2}),
            strict=True,
        )
    )
    for answer in answers.values():
        assert list(offers_of(answer, "cross_sell")) == ["time-tracking", "automation"]
        assert list(offers_of(answer, "upsell")) == ["premium"]
    history = shop.history("2026-03-10T10:00:00+01:00")

    def checkout(name: str, account: str | None, *, control: bool = False, call: int = 1):
        units = seats.get(name, 5)
        return history.checkout(
            name,
            answers[units],
            cart={"basic": units},
            customer=account,
            session=f"session-{name}",
            control=control,
            call=call,
        )

    checkout("s1", "acme").sees("time-tracking", "automation", "premium").clicks(
        "time-tracking"
    ).buys(Line("basic", 5), through_offer("time-tracking", 5))
    checkout("s2", "beta").sees("premium").clicks("premium").buys(through_offer("premium", 8))
    # A guest, known by the session alone, buys what was never shown.
    checkout("s3", None).sees("time-tracking", "premium").buys(
        Line("basic", 3), Line("automation", 3)
    )
    checkout("s4", "delta").sees("automation", "premium").adds("automation").buys(
        Line("basic", 3), through_offer("automation", 3)
    ).cancels()
    checkout("s5", "epsilon", control=True).buys(Line("basic", 5), Line("time-tracking", 5))
    checkout("s6", "zeta", control=True).buys(Line("basic", 5))
    checkout("s7", "eta").sees("time-tracking", "automation", "premium")
    checkout("s8", "theta").sees("time-tracking", "automation", "premium").dismisses(
        "premium"
    ).buys(Line("basic", 5), Line("time-tracking", 5), Line("automation", 5))
    checkout("s9", "iota").sees("premium").buys(Line("premium", 5))
    checkout("s10", "acme").sees("time-tracking", "premium").clicks("premium").buys(
        through_offer("premium", 5)
    ).refunds()
    # The cart page asks, then the payment page; the last shown offer gets the credit.
    checkout("s11", "kappa").sees("time-tracking")
    checkout("s11", "kappa", call=2).sees("time-tracking", "premium").buys(
        Line("basic", 5), Line("time-tracking", 5)
    )
    checkout("s12", "lambda").sees("time-tracking", "premium").buys(Line("basic", 5))

    report = shop.report(history.facts)

    # Shown: s1 2, s3 1, s4 1, s7 2, s8 2, s10 1, s11 1 + 1, s12 1 = 12.
    # Converted: s1, s4 (cancelled), s8 twice, s11 once.
    check_rates(
        report,
        "cross_sell",
        {
            "offer": "5/12",
            "net_offer": "4/12",
            # acme, the guest, delta, theta, kappa, lambda; of them acme delta theta kappa.
            "customer": "4/6",
            "net_customer": "3/6",
            # s1 s3 s4 s8 s10 s11 s12; of them s1 s4 s8 s11.
            "order": "4/7",
            "net_order": "3/7",
            "checkout": "4/8",
            "net_checkout": "3/8",
            # acme beta guest delta epsilon zeta theta iota kappa lambda.
            "penetration": "4/10",
            "net_penetration": "3/10",
            "click_through": "2/12",
            # 5 x 5.50 (s1) + 3 x 8 (s4) + 5 x 5.50 + 5 x 8 (s8) + 5 x 5.50 (s11); net less s4.
            "revenue": "146.50",
            "net_revenue": "122.50",
        },
    )
    # Shown in s1 s2 s3 s4 s7 s8 s9 s10 s11 s12; converted in s2, s9, s10 (refunded).
    check_rates(
        report,
        "upsell",
        {
            "offer": "3/10",
            "net_offer": "2/10",
            # acme beta guest delta theta iota kappa lambda; of them acme beta iota.
            "customer": "3/8",
            "net_customer": "2/8",
            "order": "3/9",
            "net_order": "2/9",
            "checkout": "3/10",
            "net_checkout": "2/10",
            "penetration": "3/10",
            "net_penetration": "2/10",
            "click_through": "2/10",
            # 8 x 12 (s2) + 5 x 12 (s9) + 5 x 12 (s10); net less s10.
            "revenue": "216.00",
            "net_revenue": "156.00",
        },
    )
    # Treated: s1-s4 and s7-s12, ten checkouts (s11 asks twice); control: s5 and s6.
    # An integration is bought in s1 s3 s4 s8 s11; the better plan in s2 s9 s10.
    check_incremental(report, "cross_sell", treatment="5/10", control="1/2")
    check_incremental(report, "upsell", treatment="3/10", control="0/2")
