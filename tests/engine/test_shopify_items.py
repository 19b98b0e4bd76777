"""Shopify's webhooks of products and stock as what is stated of items."""

from __future__ import annotations

from typing import Any

import pytest

from mersalg.engine.adapters.shopify import STOCK, stated_items
from mersalg.engine.errors import FactRejected
from mersalg.engine.live_items import LiveItem

NOW = 1_800_000_000_000_000
VARIANT = {
    "id": 11,
    "sku": "case-1",
    "title": "Black",
    "price": "199.00",
    "inventory_item_id": 71,
    "inventory_management": "shopify",
    "inventory_policy": "deny",
    "inventory_quantity": 3,
    "updated_at": "2026-03-02T10:00:00+01:00",
}
PRODUCT = {
    "id": 1,
    "title": "Case",
    "vendor": "Maker",
    "product_type": "Accessories",
    "status": "active",
    "image": {"src": "https://cdn.example/case.png"},
    "updated_at": "2026-03-02T10:00:05+01:00",
    "variants": [VARIANT, {"id": 12, "title": "Default Title", "price": "99.00"}],
}


def take(items: dict[str, LiveItem], payload: object, topic: str) -> dict[str, LiveItem]:
    for stated in stated_items(payload, topic, NOW, items):
        items.setdefault(stated.item_id, LiveItem()).take(stated)
    return items


def level(available: int | None, at: str, location: int = 5) -> dict[str, Any]:
    ids = {"inventory_item_id": 71, "location_id": location}
    return {**ids, "available": available, "updated_at": f"2026-03-02T{at}+01:00"}


def test_a_product_states_all_its_variants() -> None:
    items = take({}, PRODUCT, "products/update")
    case, other = items["case-1"], items["12"]
    stated = {name: case.get(name) for name in ("name", "price", "brand", "category", "in_stock")}
    assert stated == {
        "name": "Case - Black",
        "price": "199.00",
        "brand": "Maker",
        "category": ["Accessories"],
        "in_stock": True,
    }
    assert case.get("image_url") == "https://cdn.example/case.png"
    assert (other.get("name"), other.get("in_stock")) == ("Case", None)
    draft = {**PRODUCT, "status": "draft", "updated_at": "2026-03-02T10:00:06+01:00"}
    assert take(items, draft, "products/update")["case-1"].get("active") is False


@pytest.mark.parametrize(
    ("change", "in_stock"),
    [
        ({"inventory_quantity": 0}, False),
        ({"inventory_quantity": -2}, False),
        ({"inventory_quantity": 0, "inventory_policy": "continue"}, True),
        ({"inventory_quantity": 0, "inventory_management": None}, True),
    ],
)
def test_what_is_counted_and_gone_is_sold_out(change: dict[str, Any], in_stock: bool) -> None:
    product = {**PRODUCT, "variants": [{**VARIANT, **change}]}
    items = take({}, product, "products/create")
    assert items["case-1"].get("in_stock") is in_stock
    # Of what is not counted Shopify states no number.
    assert take(items, level(None, "11:00:00"), STOCK)["case-1"].get("in_stock") is in_stock


def test_stock_of_all_locations_together_decides() -> None:
    items = take({}, PRODUCT, "products/update")
    for body, in_stock in (
        (level(0, "11:00:00"), False),
        (level(4, "11:00:01", location=6), True),
        (level(0, "11:00:02"), True),
        (level(None, "11:00:03", location=6), False),
        (level(9, "10:59:00", location=6), False),  # late: nothing newer is changed
    ):
        assert take(items, body, STOCK)["case-1"].get("in_stock") is in_stock
    assert stated_items({**level(1, "12:00:00"), "inventory_item_id": 99}, STOCK, NOW, items) == []


def test_a_product_that_is_deleted_is_not_sold() -> None:
    items = take(take({}, PRODUCT, "products/update"), {"id": 1}, "products/delete")
    assert [item.get("active") for item in items.values()] == [False, False]


def test_a_variant_that_a_product_has_no_more_is_not_sold() -> None:
    def states(second: int, *variants: dict[str, Any]) -> list[object]:
        product = {**PRODUCT, "updated_at": f"2026-03-02T10:01:{second:02}+01:00"}
        take(items, {**product, "variants": [*variants]}, "products/update")
        return [items[name].get("active") for name in ("case-1", "12")]

    items = take({}, PRODUCT, "products/update")
    other = PRODUCT["variants"][1]
    assert states(2, VARIANT) == [True, False]
    assert states(1, VARIANT, other) == [True, False], "an older message changes nothing"
    assert states(3, other) == [False, True]
    # Of so many variants Shopify sends no more; the others may be there.
    many = [{"id": 100 + number, "price": "9.00"} for number in range(100)]
    assert states(4, *many) == [False, True]


@pytest.mark.parametrize(
    ("payload", "topic"),
    [
        ([], "products/update"),
        ({"variants": [{"title": "x"}]}, "products/update"),
        ({"variants": [{**VARIANT, "price": "much"}]}, "products/update"),
        ({"inventory_item_id": 71}, STOCK),
    ],
)
def test_what_is_no_product_is_refused(payload: object, topic: str) -> None:
    with pytest.raises(FactRejected):
        stated_items(payload, topic, NOW, {})
