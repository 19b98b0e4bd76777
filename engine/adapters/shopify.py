"""Shopify's webhooks of orders and refunds, and the proof that they are Shopify's.

A shop hands on what it knows in note attributes of the cart (`mersalg_checkout_id`,
`mersalg_session_id`) and, on a line that came of an offer, in the property `_mersalg_offer_id`
(properties that start with an underscore are hidden from buyers). Items are known by `sku`, else
by variant, else by product. Prices include tax where `taxes_included` says so, and the tax of a
line is the sum of its `tax_lines`. Discounts on the order are spread over its lines by what they
cost, as Shopify does in `discount_allocations`, where it does not. Source: Shopify's reference of
the resources Order and Refund.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.adapters.reading import (
    Record,
    amount_of,
    flag_of,
    list_of,
    record_of,
    text_of,
    with_discount_of_order,
    without_none,
)
from engine.errors import FactRejected

OWN_PREFIX = "shopify/"
"""Of event ids that are made of what Shopify calls an order: anybody can work them out."""

OFFER_PROPERTY = "_mersalg_offer_id"
_MONEY = ("price", "discount", "tax")
_PAID_BACK = ("refund", "success")
"""Kind and status of a transaction that gave money back."""
CHECKOUT_ATTRIBUTE, SESSION_ATTRIBUTE = "mersalg_checkout_id", "mersalg_session_id"


def is_from_shopify(body: bytes, signature: str, secret: bytes) -> bool:
    """Whether the header X-Shopify-Hmac-Sha256 is that of the raw body; in constant time."""
    try:
        told = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(told, hmac.digest(secret, body, hashlib.sha256))


def translate(payload: object, topic: str | None = None) -> list[Record]:
    """An order becomes a purchase (and a cancellation, once it is cancelled), a refund a refund.

    Args:
        topic: of the webhook, such as `orders/paid`; without it the payload tells what it is.

    Raises:
        FactRejected: the payload is neither an order nor a refund.
    """
    body = record_of(payload, "the payload")
    kind = (topic or "").partition("/")[0]
    if kind == "refunds" or (not kind and "refund_line_items" in body):
        return _refund(body)
    if kind in ("", "orders") and "line_items" in body:
        return _order(body)
    if kind not in ("", "orders"):
        return []
    raise FactRejected("invalid", "the payload is neither an order nor a refund")


def _order(order: Mapping[str, object]) -> list[Record]:
    number = _required(order, "id")
    told = {
        text_of(each, "name"): text_of(each, "value")
        for each in (record_of(one, "note_attributes") for one in list_of(order, "note_attributes"))
    }
    customer = order.get("customer")
    common: Record = {
        "transaction_id": number,
        "checkout_id": told.get(CHECKOUT_ATTRIBUTE) or text_of(order, "checkout_token"),
        "session_id": told.get(SESSION_ATTRIBUTE),
        "customer_id": text_of(record_of(customer, "customer"), "id") if customer else None,
        "currency": text_of(order, "currency"),
    }
    found = [
        without_none(
            {
                "type": "purchase",
                # Later webhooks of the order (paid, updated) tell of the same purchase.
                "event_id": f"{OWN_PREFIX}order/{number}",
                "occurred_at": _required(order, "created_at"),
                "items": _lines(order),
                "prices_include_tax": flag_of(order, "taxes_included"),
                **common,
            }
        )
    ]
    cancelled = text_of(order, "cancelled_at")
    if cancelled is not None:
        found.append(
            without_none(
                {
                    "type": "cancel",
                    "event_id": f"{OWN_PREFIX}cancel/{number}",
                    "occurred_at": cancelled,
                    **common,
                }
            )
        )
    return found


def _refund(refund: Mapping[str, object]) -> list[Record]:
    lines = [record_of(each, "refund_line_items") for each in list_of(refund, "refund_line_items")]
    items: list[Record] = []
    for line in lines:
        item = _line(record_of(line.get("line_item", {}), "line_item"))
        quantity = amount_of(line, "quantity")
        # Refunds name no currency: what the line cost is the purchase's to tell.
        item = {name: part for name, part in item.items() if name not in _MONEY}
        items.append({**item, "quantity": item["quantity"] if quantity is None else str(quantity)})
    paid = [record_of(each, "transactions") for each in list_of(refund, "transactions")]
    paid = [each for each in paid if (each.get("kind"), each.get("status")) == _PAID_BACK]
    amount = max(_given_back(refund, paid), Decimal(0)) if paid else None
    if not items and not amount:
        # Only shipping was paid back: nothing of what was bought.
        return []
    return [
        without_none(
            {
                "type": "refund",
                "event_id": f"{OWN_PREFIX}refund/{_required(refund, 'id')}",
                "refund_id": _required(refund, "id"),
                "occurred_at": _required(refund, "created_at"),
                "transaction_id": _required(refund, "order_id"),
                "items": items or None,
                "amount": None if amount is None else str(amount),
                "currency": None if amount is None else _required(paid[0], "currency"),
            }
        )
    ]


def _given_back(refund: Mapping[str, object], paid: Sequence[Mapping[str, object]]) -> Decimal:
    """The money paid back, less that for shipping, which nothing credits."""
    amount = sum((amount_of(each, "amount") or Decimal(0) for each in paid), Decimal(0))
    for each in list_of(refund, "order_adjustments"):
        change = record_of(each, "order_adjustments")
        if change.get("kind") == "shipping_refund":
            # Both are negative.
            for part in ("amount", "tax_amount"):
                amount -= abs(amount_of(change, part) or Decimal(0))
    return amount


def _lines(order: Mapping[str, object]) -> list[Record]:
    """The lines, with discounts on the order where no line says what it has of them."""
    lines = [record_of(line, "line_items") for line in list_of(order, "line_items")]
    items, currency = [_line(line) for line in lines], text_of(order, "currency")
    if currency is None or any("discount_allocations" in line for line in lines):
        return items
    on_lines = sum((amount_of(each, "discount") or Decimal(0) for each in items), Decimal(0))
    discount = (amount_of(order, "total_discounts") or Decimal(0)) - on_lines
    return with_discount_of_order(items, max(discount, Decimal(0)), currency)


def _line(line: Mapping[str, object]) -> Record:
    properties = (record_of(each, "properties") for each in list_of(line, "properties"))
    offers = (text_of(each, "value") for each in properties if each.get("name") == OFFER_PROPERTY)
    allocated = [
        amount_of(record_of(each, "discount_allocations"), "amount") or Decimal(0)
        for each in list_of(line, "discount_allocations")
    ]
    discount = sum(allocated, Decimal(0)) if allocated else amount_of(line, "total_discount")
    taxes = [record_of(each, "tax_lines") for each in list_of(line, "tax_lines")]
    tax = sum((amount_of(each, "price") or Decimal(0) for each in taxes), Decimal(0))
    quantity, price = amount_of(line, "quantity"), amount_of(line, "price")
    return without_none(
        {
            "item_id": text_of(line, "sku", "variant_id", "product_id"),
            "quantity": "1" if quantity is None else str(quantity),
            "price": None if price is None else str(price),
            "discount": str(discount) if discount else None,
            # A list that is empty says that there is none; without a list it is not known.
            "tax": None if line.get("tax_lines") is None else str(tax),
            "offer_id": next(offers, None),
        }
    )


def _required(record: Mapping[str, object], field: str) -> str:
    found = text_of(record, field)
    if found is None:
        raise FactRejected("invalid", f"{field} is required")
    return found
