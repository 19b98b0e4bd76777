"""Caps on a slate: places of a category, margins, prices beside the cart, stock."""

from __future__ import annotations

from typing import Any

import pytest

from mersalg.engine.facts import CartLine
from mersalg.engine.slate import Recommenders, build_slate
from tests.engine.merchandising.test_pins_and_blocks import offered, reason, shop, upsold
from tests.support.models import TinyItem, TinyRule

BREAD = (
    TinyItem("coffee", "Coffee", "40.00", "Drinks", n_orders=1000),
    TinyItem("bun", "Bun", "30.00", "Bakery", n_orders=500),
    TinyItem("scone", "Scone", "28.00", "Bakery", n_orders=450),
    TinyItem("roll", "Roll", "25.00", "Bakery", n_orders=400),
    TinyItem("juice", "Juice", "35.00", "Drinks", n_orders=300),
    TinyItem("mug", "Mug", "120.00", "", n_orders=200),
    TinyItem("cup", "Cup", "110.00", "", n_orders=200),
    TinyItem("tea", "Tea", "39.00", "Drinks", n_orders=900),
)
RULES = (
    TinyRule(("coffee",), "bun", 300, 1000),
    TinyRule(("coffee",), "scone", 250, 1000),
    TinyRule(("coffee",), "roll", 200, 1000),
    TinyRule(("coffee",), "juice", 150, 1000),
)
CAFE: dict[str, Any] = {
    "items": BREAD,
    "rules": RULES,
    "repelled": {},
    "n_orders": 5000,
    "combining_families": ["Drinks", "Bakery"],
}


def test_a_cap_is_never_exceeded() -> None:
    model = shop(max_per_category=1, **CAFE)
    # Mug and cup have no category, so nothing counts them.
    assert offered(model, "coffee", cross_sell=8) == ["bun", "juice", "mug", "cup"]
    assert reason(model, "scone", "coffee", cross_sell=3) == "category_cap"
    assert reason(model, "tea", "coffee", cross_sell=8) == "category_cap"


def test_by_default_a_category_has_half_of_the_places_while_others_want_them() -> None:
    model = shop(**CAFE)
    assert offered(model, "coffee") == ["bun", "scone", "juice"]
    assert reason(model, "roll", "coffee") == "category_cap"
    assert offered(model, "coffee", cross_sell=2) == ["bun", "scone"]
    assert reason(model, "roll", "coffee", cross_sell=2) == "category_cap"


def test_the_default_gives_way_before_places_stay_empty() -> None:
    rules = [*RULES[:3], TinyRule(("coffee",), "tea", 250, 1000)]
    only_bakery = shop(**{**CAFE, "rules": RULES[:3]})
    assert offered(only_bakery, "coffee") == ["bun", "scone", "roll"]
    assert offered(only_bakery, "coffee", cross_sell=1) == ["bun"]
    assert reason(only_bakery, "roll", "coffee", cross_sell=1) == "lower_score"
    # What was learnt comes before what is merely popular, whatever its category.
    assert offered(shop(**{**CAFE, "rules": rules}), "coffee", cross_sell=5) == [
        *("bun", "scone", "tea", "roll", "juice"),
    ]


def test_pins_count_in_their_category() -> None:
    model = shop(max_per_category=1, pins=[{"item": "roll", "position": 2}], **CAFE)
    assert offered(model, "coffee", cross_sell=2) == ["juice", "roll"]
    assert reason(model, "bun", "coffee", cross_sell=2) == "category_cap"


def test_pins_may_exceed_the_cap() -> None:
    pins = [{"item": "roll"}, {"item": "scone"}]
    model = shop(max_per_category=1, pins=pins, **CAFE)
    assert offered(model, "coffee") == ["roll", "scone", "juice"]


def test_a_long_list_is_searched_to_its_end() -> None:
    many = [TinyItem(f"bun-{n}", "Bun", "10.00", "Bakery", n_orders=600) for n in range(60)]
    rules = [TinyRule(("coffee",), item.item_id, 400, 1000) for item in many]
    rules.append(TinyRule(("coffee",), "juice", 150, 1000))
    model = shop(max_per_category=1, **{**CAFE, "items": [*BREAD, *many], "rules": rules})
    assert offered(model, "coffee", cross_sell=2) == ["bun-0", "juice"]


@pytest.mark.parametrize(
    ("floor", "kept"),
    [
        ({}, {"thin", "exact", "fat", "unknown", "free"}),
        # Of nothing a share is nothing, so what is free passes.
        ({"min_margin": 0.3}, {"exact", "fat", "unknown", "free"}),
        ({"min_margin_amount": "40"}, {"fat", "unknown"}),
        ({"min_margin": 0.3, "min_margin_amount": "5.00"}, {"exact", "fat", "unknown"}),
        ({"min_margin": 0.0}, {"thin", "exact", "fat", "unknown", "free"}),
    ],
)
def test_the_margin_floor_holds_where_cost_is_known(
    floor: dict[str, object], kept: set[str]
) -> None:
    items = [
        TinyItem("thin", "Thin", "100.00", cost="90.00", n_orders=100),
        TinyItem("exact", "Exact", "100.00", cost="70.00", n_orders=100),
        TinyItem("fat", "Fat", "100.00", cost="10.00", n_orders=100),
        TinyItem("unknown", "Unknown", "100.00", n_orders=100),
        TinyItem("free", "Free", "0.00", cost="0.00", n_orders=100),
    ]
    model = shop(items=items, rules=(), repelled={}, **floor)
    found = set(offered(model, cross_sell=9))
    assert found == kept


def test_the_margin_floor_holds_for_upsell_and_says_so() -> None:
    phones = [
        TinyItem("p1", "Phone", "100.00", family="p", n_orders=100),
        TinyItem("p2", "Phone plus", "150.00", family="p", cost="149.00", n_orders=100),
        TinyItem("p3", "Phone max", "200.00", family="p", cost="100.00", n_orders=100),
    ]
    model = shop(items=phones, rules=(), repelled={}, min_margin=0.1)
    assert upsold(model, "p1") == ["p3"]
    assert reason(model, "p2", "p1", kind="upsell", upsell=3) == "below_margin"


def test_a_loss_is_below_every_floor() -> None:
    items = [TinyItem("loss", "Loss", "10.00", cost="12.00", n_orders=100)]
    assert offered(shop(items=items, rules=(), repelled={})) == ["loss"]
    assert offered(shop(items=items, rules=(), repelled={}, min_margin=0.0)) == []


def test_nothing_dearer_than_the_cart_allows() -> None:
    model = shop(max_price_to_cart_ratio=0.75, **CAFE)
    # 40.00 in the cart: at most 30.00.
    assert offered(model, "coffee", cross_sell=9) == ["bun", "scone", "roll"]
    assert reason(model, "juice", "coffee", cross_sell=9) == "too_dear"
    # More in the cart, more room: 3 x 40.00.
    recommenders = Recommenders.prepare(model)

    def bought(*lines: CartLine) -> set[str]:
        slate = build_slate(recommenders, lines, cross_sell=9, upsell=0)
        return {model.catalogue.items[chosen.item] for chosen in slate.cross_sell}

    assert {"juice", "tea"} <= bought(CartLine("coffee", 3))
    assert "mug" not in bought(CartLine("coffee", 3))
    assert "mug" in bought(CartLine("coffee", 4))
    # What the line says it costs counts before the catalogue, also of items nobody knows.
    assert "mug" in bought(CartLine("coffee", 1), CartLine("a-gift-card", 1, 12_000))
    assert "juice" not in bought(CartLine("coffee", 1, 2_000))
    # Where a price is missing the cart has none, and nothing is too dear for it.
    assert "mug" in bought(CartLine("coffee", 1), CartLine("nobody-knows", 1))
    assert "mug" in bought()


def test_the_price_of_an_unknown_price_is_no_obstacle() -> None:
    items = [*BREAD, TinyItem("gift", "Gift", None, n_orders=950)]
    model = shop(max_price_to_cart_ratio=0.75, **{**CAFE, "items": items})
    assert "gift" in offered(model, "coffee", cross_sell=9)


def test_three_times_the_cart_is_the_limit_of_a_shop_that_sets_none() -> None:
    items = [
        *BREAD,
        TinyItem("bike", "Bike", "24990.00", "Bikes", n_orders=950),
        TinyItem("machine", "Machine", "120.01", "Bikes", n_orders=940),
    ]
    cafe = {**CAFE, "items": items}
    assert "mug" in offered(shop(**cafe), "coffee", cross_sell=9)
    assert {"bike", "machine"}.isdisjoint(offered(shop(**cafe), "coffee", cross_sell=9))
    assert reason(shop(**cafe), "machine", "coffee", cross_sell=9) == "too_dear"
    assert "bike" in offered(shop(max_price_to_cart_ratio=1000, **cafe), "coffee", cross_sell=9)
    # Nothing is known of what these carts cost.
    assert "bike" in offered(shop(**cafe), cross_sell=9)
    assert "bike" in offered(shop(**cafe), "coffee", "nobody-knows", cross_sell=9)
    # What the shop places itself may cost anything.
    for pin in ({"item": "bike"}, {"category": "Bikes"}):
        assert offered(shop(pins=[pin], **cafe), "coffee")[0] == "bike"


def test_a_sensitive_category_is_offered_beside_itself_alone() -> None:
    items = [
        *BREAD,
        TinyItem("red", "Red", "30.00", "Grocery > Wine", n_orders=900),
        TinyItem("white", "White", "30.00", "Grocery > wine > White", n_orders=890),
        TinyItem("beer", "Beer", "20.00", "Grocery > Beer", n_orders=880),
    ]
    wines = {**CAFE, "items": items, "combining_families": ["Grocery > Wine"]}
    model = shop(sensitive=["Wine", "Beer"], max_per_category=9, **wines)
    drinks = {"red", "white", "beer"}
    assert drinks < {*offered(shop(**wines), "coffee", cross_sell=20)}
    assert drinks.isdisjoint(offered(model, "coffee", cross_sell=20))
    assert reason(model, "red", "coffee", cross_sell=20) == "sensitive"
    assert drinks.isdisjoint(offered(model, cross_sell=20))
    assert drinks & {*offered(model, "red", cross_sell=20)} == {"white"}
    for others in (["red", "coffee"], ["red", "beer"], ["red", "nobody-knows"]):
        assert drinks.isdisjoint(offered(model, *others, cross_sell=20))
    # The shop's own word goes first.
    pinned = shop(sensitive=["Wine"], pins=[{"item": "red"}], **wines)
    assert offered(pinned, "coffee")[0] == "red"


def test_of_what_replaces_each_other_one_is_offered() -> None:
    items = [
        *BREAD,
        TinyItem("kettle-1", "Kettle", "60.00", "Kettles", "kettles", n_orders=950),
        TinyItem("kettle-2", "Kettle 2", "70.00", "Kettles", "kettles", n_orders=940),
        TinyItem("kettle-3", "Kettle 3", "80.00", "Kettles", "kettles", n_orders=930),
    ]
    rules = [*RULES, *(TinyRule(("coffee",), f"kettle-{n}", 500, 1000) for n in (1, 2))]
    kettles = {**CAFE, "items": items, "rules": rules}
    model = shop(**kettles)
    found = offered(model, "coffee", cross_sell=20)
    assert [item for item in found if "kettle" in item] == ["kettle-1"]
    assert reason(model, "kettle-2", "coffee", cross_sell=3) == "family_offered"
    assert reason(model, "kettle-3", "coffee", cross_sell=20) == "family_offered"
    # A pin counts; the shop may place two of them.
    pinned = shop(pins=[{"item": "kettle-3"}, {"item": "kettle-2", "position": 2}], **kettles)
    found = offered(pinned, "coffee", cross_sell=20)
    assert [item for item in found if "kettle" in item] == ["kettle-3", "kettle-2"]
    together = shop(**{**kettles, "combining_families": ["kettles"]})
    assert {"kettle-1", "kettle-2"} <= {*offered(together, "coffee", cross_sell=20)}


def test_out_of_stock_is_distinguished_from_off_sale() -> None:
    items = [
        *BREAD,
        TinyItem("old", "Old", "1.00", offerable=False, n_orders=800),
        TinyItem("sold", "Sold", "1.00", offerable=False, sold_out=True, n_orders=800),
    ]
    model = shop(**{**CAFE, "items": items})
    assert reason(model, "old", "coffee", cross_sell=20) == "not_active"
    assert reason(model, "sold", "coffee", cross_sell=20) == "out_of_stock"
