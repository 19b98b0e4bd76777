"""Byrå Bølge: SEO and content beside social media, and the package with more in it."""

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
from tests.scenarios.marketing_agency.planted import PLAN
from tests.scenarios.trained_shop import TrainedShop

CARTS = [
    {"some-basis": 6},
    {"some-pluss": 12},
    {"some-basis": 3, "seo": 3},
    {"nettside": 1},
    {"annonser": 1},
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainedShop:
    return TrainedShop(PLAN, Path(__file__).with_name("shop.toml"), tmp_path_factory.mktemp("shop"))


def test_nothing_offered_is_wrong(shop: TrainedShop) -> None:
    for cart, answer in zip(CARTS, shop.suggest(CARTS), strict=True):
        check_answer(shop, cart, answer)


def test_seo_and_content_beside_social_media(shop: TrainedShop) -> None:
    basic, plus, with_seo, website, _ = (
        offers_of(answer, "cross_sell") for answer in shop.suggest(CARTS)
    )
    assert set(list(basic)[:2]) == {"seo", "innhold"}
    assert {"seo", "innhold"} <= plus.keys()
    assert next(iter(with_seo)) == "innhold"
    assert next(iter(website)) == "logo"
    assert basic["seo"]["text"].endswith("som kjøper Sosiale medier Basis, tar også denne")


def test_the_package_with_analytics_segmentation_and_follow_up(shop: TrainedShop) -> None:
    basic, plus, *_ = (offers_of(answer, "upsell") for answer in shop.suggest(CARTS))
    upgrade = next(iter(basic.values()))
    assert upgrade["item_id"] == "some-pluss"
    assert upgrade["replaces"] == {
        "item_id": "some-basis",
        "quantity": 6,
        "price_difference": "6000.00",
    }
    gains = changes(upgrade, "gains")
    for part in ("analyse", "segmentering", "dedikert oppfølging"):
        assert part in gains["contents"][1]
    assert gains["posts_per_month"] == ("8", "16")
    assert upgrade["losses"] == []
    assert plus == {}


def test_the_rates_of_a_spring_month(shop: TrainedShop) -> None:
    """Twelve contracts of an agency without a web page: what was answered counts as shown."""
    cart = {"some-basis": 6}
    (answer,) = shop.suggest([cart], limits={"cross_sell": 2})
    assert set(offers_of(answer, "cross_sell")) == {"seo", "innhold"}
    assert set(offers_of(answer, "upsell")) == {"some-pluss"}
    history = shop.history("2026-03-10T10:00:00+01:00")

    def contract(name: str, client: str, *, control: bool = False):
        return history.checkout(name, answer, cart=cart, customer=client, control=control)

    basis = Line("some-basis", 6)
    contract("a1", "arne").clicks("seo").buys(basis, through_offer("seo", 6))
    contract("a2", "berit").buys(basis, Line("innhold", 6))
    contract("a3", "carl").clicks("some-pluss").buys(through_offer("some-pluss", 6))
    contract("a4", "dag").buys(basis)
    contract("a5", "elin")
    contract("a6", "finn", control=True).buys(basis, Line("seo", 6))
    # Half of the months in the better package.
    contract("a7", "gerd").adds("some-pluss").buys(
        Line("some-basis", 3), through_offer("some-pluss", 3)
    )
    contract("a8", "hans").adds("seo", "innhold").buys(
        basis, through_offer("seo", 6), through_offer("innhold", 6)
    ).refunds(Line("innhold", 6))
    contract("a9", "arne").clicks("some-pluss").buys(through_offer("some-pluss", 6)).refunds(
        Line("some-pluss", 6)
    )
    contract("a10", "inga", control=True)
    contract("a11", "jan").buys(basis, "annonser")
    contract("a12", "kåre").clicks("some-pluss", "seo").buys(
        through_offer("some-pluss", 6), through_offer("seo", 6)
    ).cancels()

    report = shop.report(history.facts)

    # Ten treated contracts, two complements in each answer.
    # Converted: a1, a2, a8 twice (once refunded), a12 (cancelled).
    check_rates(
        report,
        "cross_sell",
        {
            "offer": "5/20",
            "net_offer": "3/20",
            # arne berit carl dag gerd hans jan kåre; of them arne berit hans kåre.
            "customer": "4/8",
            "net_customer": "3/8",
            # a1 a2 a3 a4 a7 a8 a9 a11 a12; of them a1 a2 a8 a12.
            "order": "4/9",
            "net_order": "3/9",
            "checkout": "4/10",
            "net_checkout": "3/10",
            # The eight and finn of the control arm.
            "penetration": "4/9",
            "net_penetration": "3/9",
            # a1, a8 twice, a12.
            "click_through": "4/20",
            # 6 x 6900 (a1) + 6 x 5900 (a2) + 6 x 6900 + 6 x 5900 (a8) + 6 x 6900 (a12);
            # net a1, a2 and the SEO of a8.
            "revenue": "195000.00",
            "net_revenue": "118200.00",
        },
    )
    # Converted: a3, a7, a9 (refunded), a12 (cancelled).
    check_rates(
        report,
        "upsell",
        {
            "offer": "4/10",
            "net_offer": "2/10",
            # carl gerd arne kåre of the same eight.
            "customer": "4/8",
            "net_customer": "2/8",
            "order": "4/9",
            "net_order": "2/9",
            "checkout": "4/10",
            "net_checkout": "2/10",
            "penetration": "4/9",
            "net_penetration": "2/9",
            "click_through": "4/10",
            # 6000 a month: 6 (a3) + 3 (a7) + 6 (a9) + 6 (a12) months; net a3 and a7.
            "revenue": "126000.00",
            "net_revenue": "54000.00",
        },
    )
    # Control: a6 buys SEO by itself, a10 nothing.
    check_incremental(report, "cross_sell", treatment="4/10", control="1/2")
    check_incremental(report, "upsell", treatment="4/10", control="0/2")
