"""Shopify's webhooks of orders, refunds, products and stock, and the proof that they are its own.

A shop hands on what it knows in note attributes of the cart (`mersalg_checkout_id`,
`mersalg_session_id`) and, on a line that came of an offer, in the property `_mersalg_offer_id`
(properties that start with an underscore are hidden from buyers). Items are known by `sku`, else
by variant, else by product; lines with none of them (tips) are no items. Prices include tax where
`taxes_included` says so, and the tax of a line is the sum of its `tax_lines`. Discounts on the
order are spread over its lines by what they cost, as Shopify does in `discount_allocations`, where
it does not. Each state of an order is a revision of one purchase, numbered by `updated_at`.

A change of stock names only an inventory item and a location, so each variant keeps the ids it goes
by in Shopify. An item is sold out once no location has any of it, as far as locations are known;
every product that changes says how many there are in all. Source: Shopify's reference of the
resources Order, Refund, Product and InventoryLevel.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mersalg.engine import money
from mersalg.engine.adapters.loose_json import (
    Fields,
    Record,
    amount_of,
    flag_of,
    goods_of_order,
    instant_of,
    micros_of,
    record_of,
    records_of,
    text_of,
    without_none,
)
from mersalg.engine.errors import FactRejected
from mersalg.engine.live_items import LiveItem, Stated, checked

OWN_PREFIX = "shopify/"
"""Of event ids that are made of what Shopify calls an order: anybody can work them out."""

OFFER_PROPERTY = "_mersalg_offer_id"
_OF_ORDERS = frozenset(
    f"orders/{each}"
    for each in ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled")
)
"""Topics whose payload is an order; `orders/edited` and others of orders hold none."""
_MONEY = ("price", "discount", "tax")
_RETURNED = "refund_line_items"
_PAID_BACK = ("refund", "success")
"""Kind and status of a transaction that gave money back."""
CHECKOUT_ATTRIBUTE, SESSION_ATTRIBUTE = "mersalg_checkout_id", "mersalg_session_id"
STOCK, DELETED = "inventory_levels/update", "products/delete"
TOPICS = frozenset({"products/create", "products/update", DELETED, STOCK})

_PRODUCT, _INVENTORY = "shopify.product", "shopify.inventory_item"
_OVERSELLS, _AT_LOCATION = "shopify.oversells", "shopify.available."
_MAX_VARIANTS = 100
"""A webhook of a product has no more; of a product with fewer, the others are deleted."""
_ONLY_VARIANT = "Default Title"


def is_from_shopify(digest: hmac.HMAC, signature: str) -> bool:
    """Return whether the header X-Shopify-Hmac-Sha256 is that of a body; in constant time.

    `digest` is HMAC-SHA256 of the raw body, keyed with the secret.
    """
    try:
        stated = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(stated, digest.digest())


def translate(payload: object, received_at: int, topic: str | None = None) -> list[Record]:
    """Return events in our schema: none of a test order, and of topics that are no sale or return.

    An order becomes a purchase, and a cancellation once it is cancelled or deleted, a refund a
    refund. An edit has no lines of its own: the order comes again as `orders/updated`. Without a
    topic, such as `orders/paid`, the payload shows what it is; only `orders/delete` is of
    `received_at` (microseconds), for it states no instant. Raise FactRejected where the payload is
    not what its topic has.
    """
    body = record_of(payload, "the payload")
    if topic == "orders/delete":
        number = _required(body, "id")
        return [{"type": "cancel", "event_id": f"{OWN_PREFIX}delete/{number}",
                 "transaction_id": number, **instant_of(None, received_at)}]  # fmt: skip
    if topic and topic not in _OF_ORDERS and topic != "refunds/create":
        return []
    if topic == "refunds/create" or (not topic and "refund_line_items" in body):
        return _refund(body)
    if "line_items" not in body:
        raise FactRejected("invalid", "the payload is neither an order nor a refund")
    return [] if body.get("test") is True else _order(body)


def redacted_customer(payload: object) -> str:
    """Return the customer of `customers/redact`; raise FactRejected where none is named."""
    return _required(record_of(record_of(payload, "the payload").get("customer"), "customer"), "id")


def _order(order: Fields) -> list[Record]:
    number, updated = _required(order, "id"), text_of(order, "updated_at")
    revision = None if updated is None else micros_of(updated)
    attributes = {
        text_of(each, "name"): text_of(each, "value")
        for each in records_of(order, "note_attributes")
    }
    customer = order.get("customer")
    common: Record = {
        "transaction_id": number,
        "checkout_id": attributes.get(CHECKOUT_ATTRIBUTE) or text_of(order, "checkout_token"),
        "session_id": attributes.get(SESSION_ATTRIBUTE),
        "customer_id": text_of(record_of(customer, "customer"), "id") if customer else None,
        "currency": text_of(order, "currency"),
    }
    purchase: Record = {
        "type": "purchase",
        "event_id": f"{OWN_PREFIX}order/{number}{f'/{revision}' if revision else ''}",
        "occurred_at": _required(order, "created_at"),
        "prices_include_tax": flag_of(order, "taxes_included"),
        "revision": revision,
        **common,
    }
    cancelled, lines = text_of(order, "cancelled_at"), _lines(order, _kept_units(order))
    if cancelled is None and lines:
        return [without_none(**purchase, items=lines)]
    # Nothing of it is left: it is taken back as it was bought.
    state = "" if cancelled or not revision else f"/{revision}"
    cancel: Record = {"type": "cancel", "event_id": f"{OWN_PREFIX}cancel/{number}{state}", **common}
    cancel["occurred_at"] = cancelled or updated or purchase["occurred_at"]
    bought = _lines(order, {})
    records = [{**purchase, "items": bought}] if bought else []
    return [without_none(**each) for each in ([*records, cancel] if cancelled or bought else [])]


def _kept_units(order: Fields) -> dict[str, Decimal]:
    """Return the units of each line, by its id, without those that an edit removed.

    Shopify's `current_quantity` is also without those that were refunded, which come as refunds.
    """
    units: dict[str, Decimal] = {}
    for line in records_of(order, "line_items"):
        number, current = text_of(line, "id"), amount_of(line, "current_quantity")
        if number is not None and current is not None:
            units[number] = current
    for refund in records_of(order, "refunds"):
        for line in records_of(refund, _RETURNED):
            if (number := text_of(line, "line_item_id")) in units and (
                _payments(refund) or line.get("restock_type") == "return"
            ):
                units[number] += amount_of(line, "quantity") or Decimal(0)
    return units


def _refund(refund: Fields) -> list[Record]:
    paid, items = _payments(refund), list[Record]()
    amount = _refunded_amount(refund, paid)
    for line in records_of(refund, _RETURNED):
        item = _line(record_of(line.get("line_item", {}), "line_item"))
        if "item_id" in item:
            quantity = amount_of(line, "quantity")
            # Refunds name no currency: what the line cost is known from the purchase.
            item = {name: part for name, part in item.items() if name not in _MONEY}
            items.append(item if quantity is None else {**item, "quantity": str(quantity)})
        else:
            amount -= sum(amount_of(line, name) or 0 for name in ("subtotal", "total_tax"))
    if not items and amount <= 0:
        # Only shipping or a tip was paid back: nothing of what was bought.
        return []
    return [
        without_none(
            type="refund",
            event_id=f"{OWN_PREFIX}refund/{_required(refund, 'id')}",
            refund_id=_required(refund, "id"),
            occurred_at=_required(refund, "created_at"),
            transaction_id=_required(refund, "order_id"),
            items=items or None,
            amount=str(max(amount, Decimal(0))) if paid else None,
            currency=_required(paid[0], "currency") if paid else None,
        )
    ]


def _payments(refund: Fields) -> list[Fields]:
    """Return the transactions that gave money back."""
    made = records_of(refund, "transactions")
    return [each for each in made if (each.get("kind"), each.get("status")) == _PAID_BACK]


def _refunded_amount(refund: Fields, paid: Sequence[Fields]) -> Decimal:
    """Return the money paid back, less that for shipping, which nothing credits."""
    amount = sum((amount_of(each, "amount") or Decimal(0) for each in paid), Decimal(0))
    for change in records_of(refund, "order_adjustments"):
        if change.get("kind") == "shipping_refund":
            # Both are negative.
            for part in ("amount", "tax_amount"):
                amount -= abs(amount_of(change, part) or Decimal(0))
    return amount


def _lines(order: Fields, kept: Mapping[str, Decimal]) -> list[Record]:
    """Return the lines, with discounts on the order where no line says what it has of them.

    `kept` has the units of lines of which not all are.
    """
    lines = records_of(order, "line_items")
    items, currency = [_line(line) for line in lines], text_of(order, "currency")
    discount = None
    if not any("discount_allocations" in line for line in lines):
        on_lines = sum((amount_of(each, "discount") or Decimal(0) for each in items), Decimal(0))
        discount = max((amount_of(order, "total_discounts") or Decimal(0)) - on_lines, Decimal(0))
    of_lines = [
        _of_units(item, kept.get(text_of(line, "id") or ""), currency)
        for item, line in zip(items, lines, strict=True)
    ]
    sold = goods_of_order(of_lines, currency, discount=discount)
    return [item for item in sold if item.get("quantity") != "0" and "item_id" in item]


def _of_units(item: Record, units: Decimal | None, currency: str | None) -> Record:
    """Return a line of so many of its units, with their part of its discount and tax."""
    bought = amount_of(item, "quantity") or Decimal(0)
    if units is None or not 0 <= units < bought:
        return item
    unit = Decimal(1).scaleb(-money.minor_digits(currency or ""))
    parts = {
        name: str((amount * units / bought).quantize(unit))
        for name in ("discount", "tax")
        if (amount := amount_of(item, name)) is not None
    }
    return {**item, **parts, "quantity": str(units)}


def _line(line: Fields) -> Record:
    properties = records_of(line, "properties")
    offers = (text_of(each, "value") for each in properties if each.get("name") == OFFER_PROPERTY)
    allocated = [
        amount_of(each, "amount") or Decimal(0) for each in records_of(line, "discount_allocations")
    ]
    discount = sum(allocated, Decimal(0)) if allocated else amount_of(line, "total_discount")
    taxes = (amount_of(each, "price") or Decimal(0) for each in records_of(line, "tax_lines"))
    tax = sum(taxes, Decimal(0))
    quantity, price = amount_of(line, "quantity"), amount_of(line, "price")
    return without_none(
        item_id=text_of(line, "sku", "variant_id", "product_id"),
        quantity="1" if quantity is None else str(quantity),
        price=None if price is None else str(price),
        discount=str(discount) if discount else None,
        # A list that is empty says that there is none; without a list it is not known.
        tax=None if line.get("tax_lines") is None else str(tax),
        offer_id=next(offers, None),
    )


def _required(record: Fields, field: str) -> str:
    text = text_of(record, field)
    if text is None:
        raise FactRejected("invalid", f"{field} is required")
    return text


def stated_items(
    payload: object, topic: str, received_at: int, known: Mapping[str, LiveItem]
) -> list[Stated]:
    """Return what a webhook of one of TOPICS states of items.

    That is nothing of stock whose product never came. `known` are the items as they are now, by id.
    A deletion is of `received_at` (microseconds), for it states no instant. Raise FactRejected
    where the payload is not what its topic has.
    """
    body = record_of(payload, "the payload")
    if topic == STOCK:
        return _stock(body, known)
    variants = () if topic == DELETED else records_of(body, "variants")
    stated = [_variant(body, variant, received_at) for variant in variants]
    if len(stated) >= _MAX_VARIANTS:
        return stated
    product, listed = text_of(body, "id"), {each.item_id for each in stated}
    at = max((each.at for each in stated), default=received_at)
    return stated + [
        Stated(item_id, {"active": False}, at)
        for item_id, item in known.items()
        if product is not None and item.get(_PRODUCT) == product and item_id not in listed
    ]


def _variant(product: Fields, variant: Fields, at: int) -> Stated:
    item_id = text_of(variant, "sku", "id")
    if item_id is None:
        raise FactRejected("invalid", "a variant has neither sku nor id")
    title = [text_of(product, "title"), text_of(variant, "title")]
    names = [part for part in title if part and part != _ONLY_VARIANT]
    kind = text_of(product, "product_type")
    stated: Record = {
        "name": " - ".join(names),
        "brand": text_of(product, "vendor"),
        "price": variant.get("price"),
        "category": [kind] if kind else None,
    }
    if image := product.get("image"):
        stated["image_url"] = text_of(record_of(image, "image"), "src")
    if (status := text_of(product, "status")) is not None:
        stated["active"] = status == "active"
    # What is not counted is never sold out, as what is sold without stock: `null` says so.
    oversells = (
        variant.get("inventory_policy") == "continue"
        or variant.get("inventory_management", "") is None
    )
    units = amount_of(variant, "inventory_quantity")
    if units is not None:
        stated["in_stock"] = units > 0 or oversells or "inventory_management" not in variant
    fields = checked({name: value for name, value in stated.items() if value not in (None, "")})
    for name, value in ((_PRODUCT, text_of(product, "id")), (_INVENTORY, _inventory(variant))):
        if value is not None:
            fields[name] = value
    changed = text_of(variant, "updated_at"), text_of(product, "updated_at")
    stamps = [micros_of(each) for each in changed if each is not None]
    return Stated(item_id, {**fields, _OVERSELLS: oversells}, max(stamps, default=at))


def _inventory(record: Fields) -> str | None:
    return text_of(record, "inventory_item_id")


def _stock(level: Fields, known: Mapping[str, LiveItem]) -> list[Stated]:
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
