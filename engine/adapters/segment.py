"""Segment's e-commerce events, version 2, as `track` messages or batches of them.

`promotion_id` is the `offer_id` of a suggestion, on a promotion's properties or on a product;
`session_id` may stand among the properties, else the anonymous id is the session. The `discount`
and the `tax` of an order are spread over its products by what they cost. Whether prices include tax
is as `[shop] prices_include_tax` says, unless the properties have a `prices_include_tax` of their
own.
Source: Segment's specification of e-commerce events v2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine import clock
from engine.adapters.reading import (
    Record,
    amount_of,
    flag_of,
    list_of,
    record_of,
    text_of,
    with_discount_of_order,
    with_tax_of_order,
    without_none,
)
from engine.errors import FactRejected

_TYPES = {
    "promotion viewed": "view_promotion",
    "promotion clicked": "select_promotion",
    "product added": "add_to_cart",
    "order completed": "purchase",
    "order refunded": "refund",
    "order cancelled": "cancel",
}
_ORDERS = frozenset({"purchase", "refund", "cancel"})


def translate(payload: object, received_at: int) -> list[Record]:
    """Events in our schema; messages that say nothing of offers or orders are left out.

    Args:
        payload: one message, or `{"batch": [...]}`.
        received_at: microseconds, when a message says no time.

    Raises:
        FactRejected: a message of these kinds lacks its id or its order.
    """
    body = record_of(payload, "the message")
    messages = list_of(body, "batch") if "batch" in body else [body]
    found: list[Record] = []
    for message in messages:
        found.extend(_translated(record_of(message, "batch"), received_at))
    return found


def _translated(message: Mapping[str, object], received_at: int) -> Iterator[Record]:
    name = text_of(message, "event") or ""
    kind = _TYPES.get(name.casefold())
    if kind is None or message.get("type", "track") != "track":
        return
    properties = record_of(message.get("properties", {}), "properties")
    message_id = text_of(message, "messageId")
    if message_id is None:
        raise FactRejected("invalid", f"{name} needs a messageId")
    record: Record = {
        "type": kind,
        "event_id": f"segment/{message_id}",
        "occurred_at": text_of(message, "timestamp", "originalTimestamp")
        or clock.to_iso(received_at),
        "checkout_id": text_of(properties, "checkout_id"),
        "session_id": text_of(properties, "session_id") or text_of(message, "anonymousId"),
        "customer_id": text_of(message, "userId"),
    }
    if kind in _ORDERS:
        order = text_of(properties, "order_id")
        if order is None:
            raise FactRejected("invalid", f"{name} needs an order_id")
        lines = [_line(record_of(each, "products")) for each in list_of(properties, "products")]
        currency = text_of(properties, "currency")
        if kind == "purchase" and currency is not None:
            lines = with_discount_of_order(lines, amount_of(properties, "discount"), currency)
            lines = with_tax_of_order(lines, amount_of(properties, "tax"), currency)
        record |= {
            "transaction_id": order,
            "refund_id": text_of(properties, "refund_id"),
            "currency": currency,
            "items": lines if kind != "cancel" else None,
            "prices_include_tax": flag_of(properties, "prices_include_tax"),
        }
    else:
        record["offer_id"] = text_of(properties, "promotion_id")
        if record["offer_id"] is None:
            return
    yield without_none(record)


def _line(product: Mapping[str, object]) -> Record:
    quantity, price = amount_of(product, "quantity"), amount_of(product, "price")
    return without_none(
        {
            "item_id": text_of(product, "sku", "product_id"),
            "quantity": "1" if quantity is None else str(quantity),
            "price": None if price is None else str(price),
            "offer_id": text_of(product, "promotion_id"),
        }
    )
