"""Shopify's webhooks of products and stock, as what is stated of items.

Items are known as in orders: a variant by `sku`, else by its id. A change of stock names only an
inventory item and a location, so each variant keeps the ids it goes by in Shopify. An item is sold
out once no location has any of it, as far as locations are known; every product that changes says
how many there are in all. Source: Shopify's reference of the resources Product and InventoryLevel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mersalg.engine.adapters.loose_json import (
    Record,
    amount_of,
    list_of,
    micros_of,
    record_of,
    text_of,
)
from mersalg.engine.errors import FactRejected
from mersalg.engine.live_items import LiveItem, Stated, checked

STOCK, DELETED = "inventory_levels/update", "products/delete"
TOPICS = frozenset({"products/create", "products/update", DELETED, STOCK})

_PRODUCT, _INVENTORY = "shopify.product", "shopify.inventory_item"
_OVERSELLS, _AT_LOCATION = "shopify.oversells", "shopify.available."
_MAX_VARIANTS = 100
"""A webhook of a product has no more; of a product with fewer, the others are deleted."""
_ONLY_VARIANT = "Default Title"


def stated_items(
    payload: object, topic: str, received_at: int, known: Mapping[str, LiveItem]
) -> list[Stated]:
    """Return what a webhook of one of TOPICS states of items.

    That is nothing of stock whose product never came. `known` are the items as they are now, by id.
    A deletion is of `received_at` (microseconds), for it states no instant.

    Raises
    ------
    FactRejected
        The payload is not what its topic has.
    """
    body = record_of(payload, "the payload")
    if topic == STOCK:
        return _stock(body, known)
    variants = () if topic == DELETED else list_of(body, "variants")
    stated = [_variant(body, record_of(variant, "variants"), received_at) for variant in variants]
    if len(stated) >= _MAX_VARIANTS:
        return stated
    product, listed = text_of(body, "id"), {each.item_id for each in stated}
    at = max((each.at for each in stated), default=received_at)
    return stated + [
        Stated(item_id, {"active": False}, at)
        for item_id, item in known.items()
        if product is not None and item.get(_PRODUCT) == product and item_id not in listed
    ]


def _variant(product: Mapping[str, object], variant: Mapping[str, object], at: int) -> Stated:
    item_id = text_of(variant, "sku", "id")
    if item_id is None:
        raise FactRejected("invalid", "a variant has neither sku nor id")
    title = [text_of(product, "title"), text_of(variant, "title")]
    names = [part for part in title if part and part != _ONLY_VARIANT]
    kind, image, price = (
        text_of(product, "product_type"),
        product.get("image"),
        variant.get("price"),
    )
    stated: Record = {
        "name": " - ".join(names),
        "brand": text_of(product, "vendor"),
        "price": price,
    }
    stated["category"] = [kind] if kind else None
    if image:
        stated["image_url"] = text_of(record_of(image, "image"), "src")
    if (status := text_of(product, "status")) is not None:
        stated["active"] = status == "active"
    oversells = variant.get("inventory_policy") == "continue"
    units = amount_of(variant, "inventory_quantity")
    if units is not None:
        is_counted = variant.get("inventory_management") is not None
        stated["in_stock"] = units > 0 or oversells or not is_counted
    fields = checked({name: value for name, value in stated.items() if value not in (None, "")})
    for name, value in ((_PRODUCT, text_of(product, "id")), (_INVENTORY, _inventory(variant))):
        if value is not None:
            fields[name] = value
    changed = text_of(variant, "updated_at"), text_of(product, "updated_at")
    stamps = [micros_of(each) for each in changed if each is not None]
    return Stated(item_id, {**fields, _OVERSELLS: oversells}, max(stamps, default=at))


def _inventory(record: Mapping[str, object]) -> str | None:
    return text_of(record, "inventory_item_id")


def _stock(level: Mapping[str, object], known: Mapping[str, LiveItem]) -> list[Stated]:
    inventory, location = _inventory(level), text_of(level, "location_id")
    changed = text_of(level, "updated_at")
    if inventory is None or location is None or changed is None:
        raise FactRejected("invalid", "inventory_item_id, location_id and updated_at are required")
    units = amount_of(level, "available") or 0
    own, at = _AT_LOCATION + location, micros_of(changed)
    statements: list[Stated] = []
    for item_id, item in known.items():
        if item.get(_INVENTORY) != inventory:
            continue
        there = {n: v for n, (v, _) in item.fields.items() if n.startswith(_AT_LOCATION)}
        there[own] = int(units)
        fields: dict[str, Any] = {own: there[own]}
        fields["in_stock"] = item.get(_OVERSELLS, False) or any(n > 0 for n in there.values())
        statements.append(Stated(item_id, fields, at))
    return statements
