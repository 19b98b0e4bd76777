"""Segment's e-commerce events, version 2, as `track` messages or batches of them.

`offer_id`, else `promotion_id`, is the `offer_id` of a suggestion, on a promotion's properties or
on a product; a product without `sku` and `product_id` is known by its `name`. `session_id` may be
among the properties, else the anonymous id is the session. An `Order Updated` has the order as it
is then: its `revision` is its time, unless the properties have one. The `discount` and the `tax` of
an order are spread over its products by what they cost. Whether prices include tax is as
`[shop] prices_include_tax` says, unless the properties have a `prices_include_tax` of their own.
Source: Segment's specification of e-commerce events v2.
"""

from __future__ import annotations

from collections.abc import Iterator

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

_TYPES = {
    "promotion viewed": "view_promotion",
    "promotion clicked": "select_promotion",
    "product added": "add_to_cart",
    "order completed": "purchase",
    "order updated": "purchase",
    "order refunded": "refund",
    "order cancelled": "cancel",
}
_ORDERS = frozenset({"purchase", "refund", "cancel"})


def translate(payload: object, received_at: int) -> list[Record]:
    """Return events in our schema; messages that say nothing of offers or orders are left out.

    A payload is one message, or `{"batch": [...]}`. One without a time is of `received_at`
    (microseconds). Raise FactRejected for a message of these kinds without its id or its order.
    """
    body = record_of(payload, "the message")
    messages = records_of(body, "batch") if "batch" in body else [body]
    return [each for message in messages for each in _translated(message, received_at)]


def _translated(message: Fields, received_at: int) -> Iterator[Record]:
    name = text_of(message, "event") or ""
    kind = _TYPES.get(name.casefold())
    if kind is None or message.get("type", "track") != "track":
        return
    properties = record_of(message.get("properties", {}), "properties")
    message_id = text_of(message, "messageId")
    if message_id is None:
        raise FactRejected("invalid", f"{name} needs a messageId")
    stated = text_of(message, "timestamp", "originalTimestamp")
    record: Record = {
        "type": kind,
        "event_id": f"segment/{message_id}",
        **instant_of(stated, received_at),
        "checkout_id": text_of(properties, "checkout_id"),
        "session_id": text_of(properties, "session_id") or text_of(message, "anonymousId"),
        "customer_id": text_of(message, "userId"),
    }
    if kind in _ORDERS:
        order = text_of(properties, "order_id")
        if order is None:
            raise FactRejected("invalid", f"{name} needs an order_id")
        lines = [_line(product) for product in records_of(properties, "products")]
        currency = text_of(properties, "currency")
        of_order = {name: amount_of(properties, name) for name in ("discount", "tax")}
        lines = goods_of_order(lines, currency, **(of_order if kind == "purchase" else {}))
        # An update is newer than what it updates.
        newer = micros_of(stated) if stated and name.casefold() == "order updated" else None
        record |= {
            "transaction_id": order,
            "refund_id": text_of(properties, "refund_id"),
            "currency": currency,
            "items": lines if kind != "cancel" else None,
            "revision": properties.get("revision", newer),
            "prices_include_tax": flag_of(properties, "prices_include_tax"),
        }
    else:
        record["offer_id"] = text_of(properties, "offer_id", "promotion_id")
        if record["offer_id"] is None:
            return
    yield without_none(**record)


def _line(product: Fields) -> Record:
    quantity, price = amount_of(product, "quantity"), amount_of(product, "price")
    return without_none(
        item_id=text_of(product, "sku", "product_id", "name"),
        quantity="1" if quantity is None else str(quantity),
        price=None if price is None else str(price),
        offer_id=text_of(product, "offer_id", "promotion_id"),
    )
