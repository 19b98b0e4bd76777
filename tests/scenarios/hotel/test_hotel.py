"""Fjordhotellet: breakfast and parking beside a room, and the suite instead of it, by the night."""

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
from tests.scenarios.hotel.planted import PLAN
from tests.scenarios.trained_shop import TrainedShop

CARTS = [
    {"rom-standard": 1},
    {"rom-standard": 3, "frokost": 3},
    {"rom-superior": 2},
    {"rom-suite": 1},
    {"konferanse": 1},
]
BOTH_ROOMS = {"cross_sell": 2, "upsell": 2}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainedShop:
    return TrainedShop(PLAN, Path(__file__).with_name("shop.toml"), tmp_path_factory.mktemp("shop"))


def test_nothing_offered_is_wrong(shop: TrainedShop) -> None:
    for cart, answer in zip(CARTS, shop.suggest(CARTS), strict=True):
        check_answer(shop, cart, answer)


def test_complements_of_each_room(shop: TrainedShop) -> None:
    standard, _, _, suite, meeting = (
        offers_of(answer, "cross_sell") for answer in shop.suggest(CARTS)
    )
    assert list(standard)[:2] == ["frokost", "parkering"]
    assert {"frokost", "spa"} <= suite.keys()
    assert next(iter(meeting)) == "lunsj"


def test_the_suite_instead_of_the_room(shop: TrainedShop) -> None:
    one, three, superior, suite, meeting = (
        offers_of(answer, "upsell") for answer in shop.suggest(CARTS)
    )
    upgrade = next(iter(one.values()))
    assert upgrade["item_id"] == "rom-suite"
    assert upgrade["replaces"] == {
        "item_id": "rom-standard",
        "quantity": 1,
        "price_difference": "1400.00",
    }
    gains, losses = changes(upgrade, "gains"), changes(upgrade, "losses")
    assert gains["size_m2"] == ("18", "42")
    assert "minibar" in gains["amenities"][1]
    assert "balkong" in gains["amenities"][1]
    assert "skrivebord" in losses["amenities"][0]
    assert three["rom-suite"]["replaces"]["quantity"] == 3
    assert list(superior) == ["rom-suite"]
    assert suite == {}
    assert meeting == {}


def test_the_rates_of_a_spring_month(shop: TrainedShop) -> None:
    """Twelve stays; nights are quantities, and a part of a stay can be upgraded or refunded."""
    nights = {"h1": 3, "h2": 2, "h5": 2}
    answers = dict(
        zip(
            (1, 2, 3),
            shop.suggest([{"rom-standard": stay} for stay in (1, 2, 3)], limits=BOTH_ROOMS),
            strict=True,
        )
    )
    for answer in answers.values():
        assert list(offers_of(answer, "cross_sell")) == ["frokost", "parkering"]
        assert offers_of(answer, "upsell").keys() == {"rom-suite", "rom-superior"}
    history = shop.history("2026-03-10T10:00:00+01:00")

    def stay(name: str, guest: str, *, control: bool = False):
        units = nights.get(name, 1)
        return history.checkout(
            name, answers[units], cart={"rom-standard": units}, customer=guest, control=control
        )

    stay("h1", "anna").sees("frokost", "parkering", "rom-suite").adds("rom-suite").buys(
        through_offer("rom-suite", 3)
    )
    # One of two nights is upgraded.
    stay("h2", "bo").sees("frokost", "rom-suite").adds("rom-suite").buys(
        "rom-standard", through_offer("rom-suite")
    )
    stay("h3", "cato").sees("frokost", "parkering", "rom-suite").clicks("frokost").buys(
        "rom-standard", through_offer("frokost"), "parkering"
    )
    # A second room, not a better one.
    stay("h4", "dina").sees("rom-suite").buys("rom-standard", "rom-suite")
    # One of the two upgraded nights comes back.
    stay("h5", "erik").sees("rom-suite").clicks("rom-suite").buys(
        through_offer("rom-suite", 2)
    ).refunds(Line("rom-suite", 1))
    stay("h6", "fia").sees("frokost").clicks("frokost").buys(
        "rom-standard", through_offer("frokost", 2)
    ).refunds()
    stay("h7", "geir", control=True).buys("rom-suite")
    stay("h8", "hege", control=True).buys("rom-standard", "frokost")
    stay("h9", "ivar").sees("frokost", "parkering", "rom-suite")
    stay("h10", "anna").sees("frokost").buys("rom-standard", "frokost")
    stay("h11", "jens").sees("rom-superior", "rom-suite").buys("rom-superior")
    stay("h12", "kaia").sees("frokost", "rom-suite").buys("rom-standard")

    report = shop.report(history.facts)

    # Shown: h1 2, h2 1, h3 2, h6 1, h9 2, h10 1, h12 1 = 10.
    # Converted: h3 breakfast and parking, h6 breakfast (refunded), h10 breakfast.
    check_rates(
        report,
        "cross_sell",
        {
            "offer": "4/10",
            "net_offer": "3/10",
            # anna bo cato fia kaia; of them anna cato fia.
            "customer": "3/5",
            "net_customer": "2/5",
            # h1 h2 h3 h6 h10 h12; of them h3 h6 h10.
            "order": "3/6",
            "net_order": "2/6",
            "checkout": "3/7",
            "net_checkout": "2/7",
            # anna bo cato dina erik fia geir hege jens kaia.
            "penetration": "3/10",
            "net_penetration": "2/10",
            "click_through": "2/10",
            # 195 + 250 (h3) + 2 x 195 (h6) + 195 (h10); net without h6.
            "revenue": "1030.00",
            "net_revenue": "640.00",
        },
    )
    # Shown: one each in h1 h2 h3 h4 h5 h9 h12, two in h11 = 9. Converted: h1 h2 h5 h11; of h5
    # one night stays.
    check_rates(
        report,
        "upsell",
        {
            "offer": "4/9",
            "net_offer": "4/9",
            # anna bo cato dina erik jens kaia; of them anna bo erik jens.
            "customer": "4/7",
            "net_customer": "4/7",
            # h1 h2 h3 h4 h5 h11 h12.
            "order": "4/7",
            "net_order": "4/7",
            "checkout": "4/8",
            "net_checkout": "4/8",
            "penetration": "4/10",
            "net_penetration": "4/10",
            "click_through": "3/9",
            # 3 x 1400 (h1) + 1400 (h2) + 2 x 1400 (h5) + 400 (h11); net less one night of h5.
            "revenue": "8800.00",
            "net_revenue": "7400.00",
        },
    )
    # Treated: h1-h6 and h9-h12, ten; control: h7 and h8.
    check_incremental(report, "cross_sell", treatment="3/10", control="1/2")
    check_incremental(report, "upsell", treatment="4/10", control="1/2")
