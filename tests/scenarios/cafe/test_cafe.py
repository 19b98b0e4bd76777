"""Kissaten Mori: pastry with coffee, a larger cup, a special blend; no accounts, yen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.cafe.planted import PLAN
from tests.scenarios.checks import (
    changes,
    check_answer,
    check_incremental,
    check_rates,
    offers_of,
)
from tests.scenarios.history import Line, through_offer
from tests.scenarios.trained_shop import TrainedShop

CARTS = [
    {"coffee-s": 1},
    {"coffee-l": 1},
    {"coffee-m": 2, "croissant": 1},
    {"sandwich": 1},
    {"coffee-special": 1},
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainedShop:
    return TrainedShop(PLAN, Path(__file__).with_name("shop.toml"), tmp_path_factory.mktemp("shop"))


def test_receipts_of_two_tills_are_not_joined(shop: TrainedShop) -> None:
    """The receipt number alone would make half as many, twice as large orders."""
    assert len(shop.baskets) == PLAN.n_orders


def test_nothing_offered_is_wrong(shop: TrainedShop) -> None:
    for cart, answer in zip(CARTS, shop.suggest(CARTS), strict=True):
        check_answer(shop, cart, answer)


def test_pastry_with_coffee(shop: TrainedShop) -> None:
    small, large, _, lunch, special = (
        offers_of(answer, "cross_sell") for answer in shop.suggest(CARTS)
    )
    assert list(small)[:2] == ["croissant", "cinnamon-roll"]
    assert {"croissant", "cinnamon-roll"} <= large.keys()
    assert next(iter(lunch)) == "juice"
    assert next(iter(special)) == "cinnamon-roll"
    for offers in (small, large, special):
        assert not any(item_id.startswith("coffee") for item_id in offers)


def test_a_larger_cup_and_a_special_blend(shop: TrainedShop) -> None:
    small, large, _, _, special = (offers_of(answer, "upsell") for answer in shop.suggest(CARTS))
    upgrade = next(iter(small.values()))
    assert upgrade["item_id"] == "coffee-m"
    assert upgrade["unit_price"] == "480"
    assert upgrade["replaces"] == {"item_id": "coffee-s", "quantity": 1, "price_difference": "80"}
    assert changes(upgrade, "gains") == {"size_ml": ("240", "350")}

    blend = large["coffee-special"]
    assert blend["replaces"]["price_difference"] == "140"
    assert changes(blend, "gains") == {"special_blend": ("no", "yes")}
    assert special == {}


def test_the_rates_of_a_spring_month(shop: TrainedShop) -> None:
    """Twelve visits of eleven sessions; yen have no decimals."""
    answers = dict(
        zip(
            (1, 2),
            shop.suggest([{"coffee-s": cups} for cups in (1, 2)], limits={"cross_sell": 2}),
            strict=True,
        )
    )
    for answer in answers.values():
        assert list(offers_of(answer, "cross_sell")) == ["croissant", "cinnamon-roll"]
        assert list(offers_of(answer, "upsell")) == ["coffee-m"]
    history = shop.history("2026-03-10T10:00:00+09:00")
    small, medium, croissant, roll = "coffee-s", "coffee-m", "croissant", "cinnamon-roll"

    def order(name: str, session: str, *, cups: int = 1, control: bool = False):
        return history.checkout(
            name, answers[cups], cart={small: cups}, session=session, control=control
        )

    order("f1", "s1").sees(croissant, medium).clicks(croissant).buys(
        small, through_offer(croissant)
    )
    order("f2", "s2").sees(croissant, roll, medium).clicks(medium).buys(through_offer(medium))
    order("f3", "s3").sees(croissant, medium).buys(medium, croissant)
    order("f4", "s4", control=True).buys(small)
    order("f5", "s5", control=True).buys(small, croissant)
    order("f6", "s6").sees(croissant)
    order("f7", "s1", cups=2).sees(roll, medium).clicks(medium).buys(through_offer(medium, 2))
    order("f8", "s7").sees(medium).buys(small, medium)
    order("f9", "s8").sees(croissant, medium).clicks(croissant).buys(
        small, through_offer(croissant, 2)
    ).refunds(Line(croissant, 1))
    order("f10", "s9").sees(medium).clicks(medium).buys(through_offer(medium)).refunds()
    order("f11", "s10").sees(roll, medium).buys(small)
    order("f12", "s11").buys(small)

    report = shop.report(history.facts)

    # Shown: f1 1, f2 2, f3 1, f6 1, f7 1, f9 1, f11 1 = 8. Converted: f1, f3, f9 (one of two
    # croissants stays).
    check_rates(
        report,
        "cross_sell",
        {
            "offer": "3/8",
            "net_offer": "3/8",
            # s1 s2 s3 s8 s10; of them s1 s3 s8.
            "customer": "3/5",
            "net_customer": "3/5",
            # f1 f2 f3 f7 f9 f11.
            "order": "3/6",
            "net_order": "3/6",
            "checkout": "3/7",
            "net_checkout": "3/7",
            # All sessions but s6.
            "penetration": "3/10",
            "net_penetration": "3/10",
            "click_through": "2/8",
            # 320 (f1) + 320 (f3) + 640 (f9); net 320 of f9.
            "revenue": "1280",
            "net_revenue": "960",
        },
    )
    # Shown in f1 f2 f3 f7 f8 f9 f10 f11; converted in f2, f3, f7, f10
    # (refunded); f8 is an addition.
    check_rates(
        report,
        "upsell",
        {
            "offer": "4/8",
            "net_offer": "3/8",
            # s1 s2 s3 s7 s8 s9 s10; of them s1 s2 s3 s9.
            "customer": "4/7",
            "net_customer": "3/7",
            "order": "4/8",
            "net_order": "3/8",
            "checkout": "4/8",
            "net_checkout": "3/8",
            "penetration": "4/10",
            "net_penetration": "3/10",
            "click_through": "3/8",
            # 80 (f2) + 80 (f3) + 2 x 80 (f7) + 80 (f10).
            "revenue": "400",
            "net_revenue": "320",
        },
    )
    # Treated: f1-f3 and f6-f12, ten; control: f4 and f5.
    check_incremental(report, "cross_sell", treatment="3/10", control="1/2")
    check_incremental(report, "upsell", treatment="4/10", control="0/2")
