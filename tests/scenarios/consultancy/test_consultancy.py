"""Nordlys Rådgivning: market research with a strategy project, or the larger project."""

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
from tests.scenarios.consultancy.planted import PLAN
from tests.scenarios.history import Line, through_offer
from tests.scenarios.trained_shop import TrainedShop

CARTS = [
    {"strategy-small": 1},
    {"strategy-medium": 1},
    {"strategy-large": 1},
    {"leadership-course": 1},
    {"market-research": 1},
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainedShop:
    return TrainedShop(PLAN, Path(__file__).with_name("shop.toml"), tmp_path_factory.mktemp("shop"))


def test_nothing_offered_is_wrong(shop: TrainedShop) -> None:
    for cart, answer in zip(CARTS, shop.suggest(CARTS), strict=True):
        check_answer(shop, cart, answer)


def test_market_research_with_every_strategy_project(shop: TrainedShop) -> None:
    small, medium, large, course, research = (
        offers_of(answer, "cross_sell") for answer in shop.suggest(CARTS)
    )
    assert next(iter(small)) == "market-research"
    assert list(medium)[:2] == ["market-research", "competitor-scan"]
    assert list(large)[:2] == ["market-research", "competitor-scan"]
    assert next(iter(course)) == "coaching"
    assert small["market-research"]["text"].startswith(
        "Bought together with “Strategy project, small”"
    )
    # The other way round it is the project that goes with the research.
    assert any(item_id.startswith("strategy-") for item_id in research)


def test_the_larger_project(shop: TrainedShop) -> None:
    small, medium, large, *_ = (offers_of(answer, "upsell") for answer in shop.suggest(CARTS))
    upgrade = next(iter(small.values()))
    assert upgrade["item_id"] == "strategy-medium"
    assert upgrade["replaces"] == {
        "item_id": "strategy-small",
        "quantity": 1,
        "price_difference": "33000.00",
    }
    gains = changes(upgrade, "gains")
    assert gains["workshops"] == ("2", "4")
    assert gains["weeks"] == ("4", "8")
    assert "business case" in gains["deliverables"][1]
    assert list(medium) == ["strategy-large"]
    assert large == {}


def test_the_rates_of_a_spring_month(shop: TrainedShop) -> None:
    """Eleven proposals and one sale without any; discounts, cancelled and refunded work."""
    cart = {"strategy-small": 1}
    (answer,) = shop.suggest([cart])
    research, larger = "market-research", "strategy-medium"
    assert next(iter(offers_of(answer, "cross_sell"))) == research
    assert list(offers_of(answer, "upsell")) == [larger]
    history = shop.history("2026-03-10T10:00:00+01:00")

    def proposal(name: str, client: str, *, control: bool = False):
        return history.checkout(name, answer, cart=cart, customer=client, control=control)

    proposal("c1", "alfa").sees(research, larger).clicks(research).buys(
        "strategy-small", through_offer(research, discount="3000.00")
    )
    proposal("c2", "bravo").sees(research, larger).clicks(larger).buys(
        through_offer(larger)
    ).cancels()
    proposal("c3", "charlie").sees(research).buys("strategy-small", research)
    proposal("c4", "delta").sees(larger).buys(larger)
    proposal("c5", "echo", control=True).buys("strategy-small", research)
    proposal("c6", "foxtrot", control=True).buys(larger)
    proposal("c7", "golf").sees(research, larger).clicks(larger)
    proposal("c8", "hotel").sees(research, larger).buys("strategy-small")
    # Dearer still, but not what was offered.
    proposal("c9", "alfa").sees(research, larger).buys("strategy-large")
    proposal("c10", "india").sees(research, larger).clicks(research).buys(
        "strategy-small", through_offer(research)
    ).refunds(research)
    proposal("c11", "juliett").sees(research, larger).clicks(research, larger).buys(
        through_offer(larger), through_offer(research)
    )
    history.add(
        "purchase",
        customer_id="kilo",
        transaction_id="t-kilo",
        currency="NOK",
        items=history.items([Line("coaching")], "none"),
    )

    report = shop.report(history.facts)

    # Shown in c1 c2 c3 c7 c8 c9 c10 c11; converted in c1, c3, c10 (refunded), c11.
    check_rates(
        report,
        "cross_sell",
        {
            "offer": "4/8",
            "net_offer": "3/8",
            # alfa bravo charlie hotel india juliett; of them alfa charlie india juliett.
            "customer": "4/6",
            "net_customer": "3/6",
            # Without c7.
            "order": "4/7",
            "net_order": "3/7",
            "checkout": "4/8",
            "net_checkout": "3/8",
            # alfa bravo charlie delta echo foxtrot hotel india juliett kilo.
            "penetration": "4/10",
            "net_penetration": "3/10",
            "click_through": "3/8",
            # 38000 - 3000 (c1) + 38000 (c3) + 38000 (c10) + 38000 (c11); net without c10.
            "revenue": "149000.00",
            "net_revenue": "111000.00",
        },
    )
    # Shown in c1 c2 c4 c7 c8 c9 c10 c11; converted in c2 (cancelled), c4, c11.
    check_rates(
        report,
        "upsell",
        {
            "offer": "3/8",
            "net_offer": "2/8",
            # alfa bravo delta hotel india juliett; of them bravo delta juliett.
            "customer": "3/6",
            "net_customer": "2/6",
            "order": "3/7",
            "net_order": "2/7",
            "checkout": "3/8",
            "net_checkout": "2/8",
            "penetration": "3/10",
            "net_penetration": "2/10",
            # c2, c7, c11.
            "click_through": "3/8",
            # Three times 78000 - 45000; net twice.
            "revenue": "99000.00",
            "net_revenue": "66000.00",
        },
    )
    # Treated: c1-c4 and c7-c11, nine; control: c5 and c6.
    check_incremental(report, "cross_sell", treatment="4/9", control="1/2")
    check_incremental(report, "upsell", treatment="3/9", control="1/2")
