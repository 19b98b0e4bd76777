"""Events in the words of GA4, Segment and Shopify, from payloads as their references show them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.adapters import ga4, segment, shopify
from mersalg.engine.adapters.selection import ADAPTERS, adapter_named
from mersalg.engine.errors import ConfigError, FactRejected
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Event

NOW = 1_772_442_005_000_000
TEE = {
    "item_id": "SKU_12345",
    "item_name": "Stan and Friends Tee",
    "affiliation": "Google Merchandise Store",
    "coupon": "SUMMER_FUN",
    "discount": 2.22,
    "index": 0,
    "item_brand": "Google",
    "item_category": "Apparel",
    "location_id": "ChIJIQBpAG2ahYAR_6128GcTUEo",
    "price": 10.01,
    "quantity": 3,
}


def facts(records: list[dict[str, object]]) -> list[Event]:
    found = [parse_fact(record) for record in records]
    assert all(isinstance(fact, Event) for fact in found)
    return found  # type: ignore[return-value]


def webhook(payload: object, topic: str | None = None) -> list[dict[str, object]]:
    return shopify.translate(payload, NOW, topic)


def test_ga4_promotions_by_their_id_wherever_it_stands() -> None:
    params = {
        "creative_name": "Summer Banner",
        "creative_slot": "featured_app_1",
        "promotion_id": "P_12345",
        "promotion_name": "Summer Sale",
        "items": [{**TEE, "promotion_id": "P_12345"}, {**TEE, "promotion_id": "P_67890"}],
    }
    body = {
        "client_id": "123.456",
        "user_id": "kari",
        "timestamp_micros": str(NOW),
        "events": [
            {"name": "view_promotion", "params": params},
            {"name": "select_promotion", "params": {**params, "ga_session_id": 77}},
            {"name": "page_view", "params": {"page_title": "Summer"}},
        ],
    }
    found = facts(ga4.translate(body, 0))
    assert [(fact.type, fact.offer_id) for fact in found] == [
        ("view_promotion", "P_12345"),
        ("view_promotion", "P_67890"),
        ("select_promotion", "P_12345"),
        ("select_promotion", "P_67890"),
    ]
    assert {fact.occurred_at for fact in found} == {NOW}
    assert {fact.customer_id for fact in found} == {"kari"}
    assert [fact.session_id for fact in found] == ["123.456"] * 2 + ["123.456.77"] * 2
    assert len({fact.event_id for fact in found}) == 4
    assert ga4.translate(body, 0) == ga4.translate(body, 99)


def test_ga4_purchases_have_the_price_before_the_discount() -> None:
    """Three socks at 6, 2 off each: GA4 tells a price of 4 and a discount of 2."""
    push: dict[str, Any] = {
        "event": "purchase",
        "ecommerce": {
            "transaction_id": "T_12345",
            "coupon": "socksSale",
            "value": 12.00,
            "currency": "USD",
            "tax": 2.2,
            "checkout_id": "ch_81",
            "items": [
                {"item_id": "SKU_12345", "discount": 2.00, "price": 4.00, "quantity": 3},
                {"item_id": "SKU_1", "price": 5, "promotion_id": "off_1"},
            ],
        },
    }
    (purchase,) = facts(ga4.translate(push, NOW))
    socks, other = purchase.items
    assert (socks.price_minor, socks.quantity, socks.discount_minor) == (600, 3, 600)
    assert (other.price_minor, other.quantity, other.offer_id) == (500, 1, "off_1")
    # 2.20 over 12 and 5.
    assert [line.tax_minor for line in purchase.items] == [155, 65]
    assert purchase.prices_include_tax is None
    push["ecommerce"]["prices_include_tax"] = False
    (net_of_tax,) = facts(ga4.translate(push, NOW))
    assert net_of_tax.prices_include_tax is False
    assert (purchase.transaction_id, purchase.checkout_id) == ("T_12345", "ch_81")
    assert (purchase.event_id, purchase.occurred_at) == ("ga4/purchase/T_12345", NOW)
    refunds = [
        {"name": "refund", "params": {"transaction_id": "T_12345", "currency": "USD"}},
        {
            "name": "refund",
            "params": {"transaction_id": "T_12345", "currency": "USD", "items": [TEE]},
        },
    ]
    whole, part = facts(ga4.translate({"client_id": "1", "events": refunds}, NOW))
    assert (whole.items, len(part.items)) == ((), 1)
    assert whole.event_id != part.event_id


SEGMENT = {
    "type": "track",
    "messageId": "m-1",
    "anonymousId": "a-1",
    "userId": "kari",
    "timestamp": "2026-03-02T10:00:05.000Z",
}


def test_segment_messages() -> None:
    batch = {
        "batch": [
            {
                **SEGMENT,
                "event": "Promotion Viewed",
                "properties": {
                    "promotion_id": "promo_1",
                    "creative": "top_banner_2",
                    "name": "75% store-wide shoe sale",
                    "position": "home_banner_top",
                },
            },
            {**SEGMENT, "messageId": "m-2", "event": "Product Viewed", "properties": {"sku": "x"}},
            {
                **SEGMENT,
                "messageId": "m-3",
                "event": "Order Completed",
                "properties": {
                    "checkout_id": "fksdjfsdjfisjf9sdfjsd9f",
                    "order_id": "50314b8e9bcf000000000000",
                    "affiliation": "Google Store",
                    "total": 27.50,
                    "revenue": 25.00,
                    "tax": 2,
                    "discount": 2.5,
                    "currency": "USD",
                    "products": [
                        {
                            "product_id": "507f1f77bcf86cd799439011",
                            "sku": "45790-32",
                            "name": "Monopoly: 3rd Edition",
                            "price": 19,
                            "quantity": 1,
                            "category": "Games",
                        },
                        {"product_id": "505bd76785ebb509fc183733", "price": 3, "quantity": 2},
                    ],
                },
            },
            {
                **SEGMENT,
                "messageId": "m-4",
                "event": "Order Refunded",
                "properties": {"order_id": "50314b8e9bcf000000000000", "currency": "USD"},
            },
            {
                **SEGMENT,
                "messageId": "m-5",
                "event": "Order Cancelled",
                "properties": {"order_id": "50314b8e9bcf000000000000"},
            },
            {**SEGMENT, "messageId": "m-6", "type": "identify", "event": "Order Completed"},
        ]
    }
    view, order, refund, cancel = facts(segment.translate(batch, 0))
    assert (view.type, view.offer_id, view.session_id) == ("view_promotion", "promo_1", "a-1")
    assert (order.type, order.transaction_id) == ("purchase", "50314b8e9bcf000000000000")
    assert order.checkout_id == "fksdjfsdjfisjf9sdfjsd9f"
    assert [(line.item_id, line.price_minor, line.quantity) for line in order.items] == [
        ("45790-32", 1900, 1),
        ("505bd76785ebb509fc183733", 300, 2),
    ]
    # 2.50 over 19 and 6, then 2.00 over 17.10 and 5.40.
    assert [line.discount_minor for line in order.items] == [190, 60]
    assert [line.tax_minor for line in order.items] == [152, 48]
    assert (refund.type, refund.items, cancel.type) == ("refund", (), "cancel")
    assert view.occurred_at == parse_instant("2026-03-02T10:00:05+00:00")
    assert [each.event_id for each in (view, order)] == ["segment/m-1", "segment/m-3"]


ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "created_at": "2026-03-02T10:01:00+01:00",
    "currency": "NOK",
    "checkout_token": "bd5a8aa1ecd019dd3520ff791ee3a24c",
    "customer": {"id": 115310627314723954},
    "note_attributes": [
        {"name": "mersalg_checkout_id", "value": "ch_81"},
        {"name": "mersalg_session_id", "value": "s_3"},
    ],
    "line_items": [
        {
            "id": 866550311766439020,
            "variant_id": 808950810,
            "sku": "IPOD2008PINK",
            "quantity": 2,
            "price": "199.00",
            "total_discount": "0.00",
            "discount_allocations": [{"amount": "10.00"}, {"amount": "5.00"}],
            "properties": [{"name": "_mersalg_offer_id", "value": "off_1"}],
        },
        {"variant_id": 49148385, "sku": "", "quantity": 1, "price": "50.00"},
    ],
}


def test_shopify_orders_and_refunds() -> None:
    (order,) = facts(webhook(ORDER))
    assert (order.type, order.transaction_id) == ("purchase", "820982911946154508")
    assert (order.checkout_id, order.session_id) == ("ch_81", "s_3")
    assert order.customer_id == "115310627314723954"
    first, second = order.items
    assert (first.item_id, first.quantity, first.price_minor) == ("IPOD2008PINK", 2, 19_900)
    assert (first.discount_minor, first.offer_id) == (1_500, "off_1")
    assert (second.item_id, second.discount_minor, second.offer_id) == ("49148385", 0, None)
    again, cancelled = facts(
        webhook({**ORDER, "cancelled_at": "2026-03-03T10:00:00+01:00"}, "orders/cancelled")
    )
    assert again == order
    assert (cancelled.type, cancelled.transaction_id) == ("cancel", order.transaction_id)
    refund = {
        "id": 509562969,
        "order_id": ORDER["id"],
        "created_at": "2026-03-05T10:00:00+01:00",
        "refund_line_items": [{"quantity": 1, "line_item": ORDER["line_items"][0]}],
    }
    (returned,) = facts(webhook(refund, "refunds/create"))
    assert (returned.type, returned.transaction_id) == ("refund", order.transaction_id)
    assert [(line.item_id, line.quantity) for line in returned.items] == [("IPOD2008PINK", 1)]
    # Shipping paid back brings no goods back.
    assert webhook({**refund, "refund_line_items": []}) == []
    assert webhook({"id": 1}, "products/update") == []


def test_only_shopify_can_sign() -> None:
    def is_signed(body: bytes, signature: str, secret: bytes) -> bool:
        return shopify.is_from_shopify(hmac.new(secret, body, "sha256"), signature)

    body, secret = b'{"id": 1}', b"hush"
    signed = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
    assert is_signed(body, signed, secret)
    for wrong_body, signature, key in (
        (body + b" ", signed, secret),
        (body, signed, b"hush hush"),
        (body, "", secret),
        (body, "not base64 at all", secret),
        (body, base64.b64encode(b"short").decode(), secret),
    ):
        assert not is_signed(wrong_body, signature, key)


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("ga4", [], "must be an object"),
        ("ga4", {"events": {}}, "must be a list"),
        ("ga4", {"events": [{"params": {}}]}, "needs a name"),
        ("ga4", {"name": "purchase", "params": {}}, "transaction_id"),
        ("ga4", {"name": "refund", "params": []}, "must be an object"),
        ("ga4", {"name": "view_promotion", "params": {}, "timestamp_micros": "now"}, "number of"),
        ("segment", {"event": "Order Completed", "properties": {}}, "messageId"),
        ("segment", {"event": "Order Completed", "messageId": "m", "properties": {}}, "order_id"),
        ("shopify", {"id": 1}, "neither an order nor a refund"),
        ("shopify", {"line_items": []}, "id is required"),
        (
            "shopify",
            {**ORDER, "line_items": [{"sku": "x", "quantity": "many", "price": "1"}]},
            "no number",
        ),
    ],
)
def test_what_cannot_be_read_is_reported(name: str, payload: object, message: str) -> None:
    with pytest.raises(FactRejected, match=message):
        adapter_named(name)(payload, NOW)


def test_an_unknown_system_is_reported() -> None:
    with pytest.raises(ConfigError, match="ga4, segment, shopify"):
        adapter_named("matomo")


FIELDS = (
    *("events", "name", "event", "params", "items", "promotion_id", "transaction_id"),
    *("batch", "messageId", "properties", "products", "order_id", "id", "line_items", "type"),
    *("refund_line_items", "line_item", "price", "quantity", "timestamp_micros"),
    *("tax", "discount", "currency", "tax_lines", "taxes_included", "total_discounts"),
    *("transactions", "amount", "order_adjustments", "kind", "status"),
)
WORDS = st.sampled_from(["purchase", "view_promotion", "Order Completed", "track", "1e9"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    ),
    max_leaves=20,
)


@given(st.sampled_from(sorted(ADAPTERS)), JSON)
def test_no_payload_breaks_an_adapter(name: str, payload: object) -> None:
    with suppress(FactRejected):
        for record in adapter_named(name)(payload, NOW):
            parse_fact(record)


@given(st.decimals(0, 1000, places=2), st.decimals(0, 100, places=2), st.integers(1, 50))
def test_ga4_lines_come_to_what_was_paid(price: Decimal, off: Decimal, quantity: int) -> None:
    item = {"item_id": "a", "price": float(price), "discount": float(off), "quantity": quantity}
    params = {"transaction_id": "t", "currency": "NOK", "items": [item]}
    (purchase,) = facts(ga4.translate({"name": "purchase", "params": params}, NOW))
    (line,) = purchase.items
    assert line.price_minor is not None
    assert line.price_minor * quantity - line.discount_minor == int(price * 100) * quantity


def test_shopify_says_whether_prices_include_tax_and_how_much() -> None:
    first, second = ORDER["line_items"]
    taxes = [{"price": "60.00", "rate": 0.2}, {"price": "16.50", "rate": 0.05}]
    lines = [{**first, "tax_lines": taxes}, {**second, "tax_lines": []}]
    order = {**ORDER, "taxes_included": False, "line_items": lines}
    (purchase,) = facts(webhook(order))
    assert purchase.prices_include_tax is False
    assert [line.tax_minor for line in purchase.items] == [7_650, 0]
    (unknown,) = facts(webhook(ORDER))
    assert [line.tax_minor for line in unknown.items] == [None, None]
    returned = {"id": 7, "order_id": 1, "created_at": "2026-02-03T12:00:00+01:00"}
    returned |= {"refund_line_items": [{"quantity": 1, "line_item": lines[0]}]}
    (refund,) = facts(webhook(returned))
    assert [line.item_id for line in refund.items] == ["IPOD2008PINK"]


def test_discounts_on_a_shopify_order_are_spread_where_no_line_has_its_part() -> None:
    lines = [{**line} for line in ORDER["line_items"]]
    del lines[0]["discount_allocations"]
    lines[0]["total_discount"] = "8.00"
    # 52 less the line's own 8, over 390 and 50.
    (order,) = facts(webhook({**ORDER, "line_items": lines, "total_discounts": "52.00"}))
    assert [line.discount_minor for line in order.items] == [4_700, 500]
    (allocated,) = facts(webhook({**ORDER, "total_discounts": "52.00"}))
    assert [line.discount_minor for line in allocated.items] == [1_500, 0]


MONEY = st.decimals(0, 1000, places=2)


@given(MONEY, st.lists(st.tuples(MONEY, st.integers(1, 9)), min_size=1, max_size=9))
def test_what_is_of_the_order_is_spread_to_the_last_coin(
    tax: Decimal, lines: list[tuple[Decimal, int]]
) -> None:
    items = [{"item_id": "a", "price": str(price), "quantity": n} for price, n in lines]
    params = {"transaction_id": "t", "currency": "NOK", "items": items, "tax": str(tax)}
    (purchase,) = facts(ga4.translate({"name": "purchase", "params": params}, NOW))
    shares = [line.tax_minor for line in purchase.items]
    total = sum(price * n for price, n in lines)
    if not total:
        assert set(shares) == {None if tax else 0}
        return
    assert sum(share or 0 for share in shares) == int(tax * 100)
    for (price, n), share in zip(lines, shares, strict=True):
        assert share == pytest.approx(float(tax * price * n * 100 / total), abs=1)


def paid_back(amount: str, status: str = "success") -> dict[str, str]:
    return {"kind": "refund", "status": status, "amount": amount, "currency": "NOK"}


def test_shopify_says_what_was_paid_back_less_that_for_shipping() -> None:
    shipping = {"kind": "shipping_refund", "amount": "-40.00", "tax_amount": "-10.00"}
    refund = {"id": 7, "order_id": 450789469, "created_at": "2026-02-03T12:00:00+01:00"}
    refund |= {"transactions": [paid_back("60.00", "failure"), paid_back("60.00")]}
    goodwill = refund | {"refund_line_items": [], "order_adjustments": [shipping]}
    (fact,) = facts(webhook(goodwill))
    assert (fact.refund_id, fact.amount_minor, fact.items) == ("7", 1_000, ())
    whole = shipping | {"amount": "-50.00"}
    assert webhook(goodwill | {"order_adjustments": [whole]}) == []
    returned = {"refund_line_items": [{"quantity": 1, "line_item": ORDER["line_items"][0]}]}
    (fact,) = facts(webhook(refund | returned))
    assert (fact.amount_minor, [line.quantity for line in fact.items]) == (6_000, [1])
    # Nothing was paid back yet: the goods are worth what they cost.
    (fact,) = facts(webhook(refund | returned | {"transactions": []}))
    assert (fact.refund_id, fact.amount_minor, len(fact.items)) == ("7", None, 1)
