"""Orders as shops send them: what an offer of a croissant brought, case by case.

A buyer with a small latte (49.00) in the cart was shown a croissant (35.00) at 10:00; each case is
what the shop sent afterwards, and what is right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from mersalg.engine import clock
from mersalg.engine.adapters.selection import adapter_named
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Fact
from mersalg.engine.tracking.report import ReportQuery, report_of

AT = "2026-03-02T10:01:00+01:00"
LATER = "2026-03-02T10:03:00+01:00"
SHOWN: list[dict[str, Any]] = [
    {
        "type": "decision",
        "decision_id": "d1",
        "occurred_at": "2026-03-02T10:00:00+01:00",
        "checkout_id": "ch1",
        "session_id": "s1",
        "arm": "treatment",
        "currency": "NOK",
        "lines": [{"item_id": "latte", "quantity": 1, "unit_price": "49.00"}],
        "offers": [
            {"offer_id": "off1", "kind": "cross_sell", "item_id": "croissant", "position": 1}
            | {"unit_price": "35.00"}
        ],
    },
    {"type": "view_promotion", "event_id": "v1", "offer_id": "off1"}
    | {"occurred_at": "2026-03-02T10:00:05+01:00"},
]


def line(item_id: str | None, price: object, quantity: object = 1, **more: Any) -> dict[str, Any]:
    """A line of `POST /v1/events`."""
    return {"item_id": item_id, "price": price, "quantity": quantity, **more}


LATTE, CROISSANT = line("latte", "49.00"), line("croissant", "35.00")


def bought(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    purchase = {"type": "purchase", "event_id": "p1", "occurred_at": AT, "checkout_id": "ch1"}
    return {**purchase, "transaction_id": "t1", "currency": "NOK", "items": [*lines], **more}


def ga4(*items: dict[str, Any], **params: Any) -> dict[str, Any]:
    params = {"transaction_id": "t1", "checkout_id": "ch1", "currency": "NOK", **params}
    return {"name": "purchase", "params": {**params, "items": [*items]}, "client_id": "c"} | {
        "timestamp_micros": parse_instant(AT)
    }


def segment(*products: dict[str, Any], event: str = "Order Completed", **more: Any) -> Any:
    properties = {"order_id": "t1", "checkout_id": "ch1", "currency": "NOK", **more}
    message = {"type": "track", "event": event, "messageId": f"m-{event}", "anonymousId": "s1"}
    at = AT if event == "Order Completed" else LATER
    return {**message, "timestamp": at, "properties": {**properties, "products": [*products]}}


def shopify_line(sku: str | None, price: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """A line of Shopify; a tip has no product."""
    ids = {"id": number, "variant_id": None if sku is None else 70 + number, "sku": sku}
    return {**ids, "title": sku or "Tip", "quantity": 1, "price": price, "properties": [], **more}


def shopify(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    noted = [{"name": "mersalg_checkout_id", "value": "ch1"}]
    order = {"id": 5001, "created_at": AT, "updated_at": AT, "currency": "NOK", "test": False}
    return {**order, "note_attributes": noted, "line_items": [*lines], **more}


COFFEE, PASTRY = shopify_line("latte", "49.00", 1), shopify_line("croissant", "35.00", 2)
REFUNDED = {
    "id": 7,
    "order_id": 5001,
    "created_at": LATER,
    "refund_line_items": [{"line_item_id": 2, "quantity": 1, "line_item": PASTRY}],
    "transactions": [{"kind": "refund", "status": "success", "amount": "35.00", "currency": "NOK"}],
}


class Case(NamedTuple):
    """What a system sent, and the conversions, revenue and net revenue that are right."""

    system: str | None
    payloads: list[Any]
    offers: int
    revenue: str
    net: str


def sold(
    system: str | None, *payloads: Any, revenue: str = "35.00", net: str | None = None
) -> Case:
    return Case(system, [*payloads], 1, revenue, revenue if net is None else net)


def nothing(system: str | None, *payloads: Any) -> Case:
    return Case(system, [*payloads], 0, "0.00", "0.00")


CASES = {
    # One odd line loses no order.
    "a tip without an id": sold(None, bought(LATTE, CROISSANT, line(None, "10.00"))),
    "an id that is empty": sold(None, bought(LATTE, line("", "5.00"), CROISSANT)),
    "ga4: a line of no unit": sold("ga4", ga4(line("latte", 49, 0), CROISSANT)),
    "shipping of a named line": sold(None, bought(LATTE, CROISSANT, line("shipping", "59.00"))),
    "ga4: a returned item among them": sold("ga4", ga4(CROISSANT, line("mug", 99, -1))),
    "a gift card that paid": sold(None, bought(LATTE, CROISSANT, line("Gift card", "-50.00"))),
    "a coupon line takes off half": sold(
        None, bought(LATTE, CROISSANT, line("HALF", "-42.00")), revenue="17.50"
    ),
    "a coupon line without an id": sold(
        None, bought(LATTE, CROISSANT, line(None, -42, discount=None)), revenue="17.50"
    ),
    "ga4: a line without any name": sold(
        "ga4", ga4({"price": 5}, {"item_id": "latte", "price": 49}, line("croissant", 35))
    ),
    "ga4: a coupon among the items": sold(
        "ga4", ga4(LATTE, CROISSANT, {"item_name": "Coupon", "price": -42}), revenue="17.50"
    ),
    "ga4: an item that is null": sold("ga4", ga4(LATTE, None, CROISSANT)),  # type: ignore[arg-type]
    "segment: a product without any name": sold(
        "segment", segment({"sku": "croissant", "price": 35}, {"price": 5, "quantity": 1})
    ),
    "shopify: a tip": sold("shopify", shopify(COFFEE, PASTRY, shopify_line(None, "10.00", 3))),
    "shopify: a gift card that was bought": sold(
        "shopify", shopify(COFFEE, PASTRY, shopify_line("card", "500.00", 3, gift_card=True))
    ),
    "shopify: only a tip": nothing("shopify", shopify(shopify_line(None, "10.00"))),
    # Discounts on the whole order.
    "segment: half off": sold(
        "segment",
        segment({"sku": "latte", "price": 49}, {"sku": "croissant", "price": 35}, discount=42),
        revenue="17.50",
    ),
    "ga4: half off": sold("ga4", ga4(LATTE, CROISSANT, discount=42), revenue="17.50"),
    "ga4: the order's discount is the sum of those of its items": sold(
        "ga4", ga4(LATTE, line("croissant", 30, discount=5), discount=5), revenue="30.00"
    ),
    "shopify: half off": sold(
        "shopify", shopify(COFFEE, PASTRY, total_discounts="42.00"), revenue="17.50"
    ),
    # Ids of other promotions beside ours.
    "a campaign of the shop": sold(None, bought(LATTE, {**CROISSANT, "promotion_id": "P_1"})),
    "a campaign beside the offer": sold(
        None, bought({**CROISSANT, "promotion_id": "P_1", "offer_id": "off1"}, checkout_id="x")
    ),
    "ga4: a campaign of the shop": sold("ga4", ga4(LATTE, {**CROISSANT, "promotion_id": "P_1"})),
    "ga4: a campaign beside the offer": sold(
        "ga4",
        ga4({**CROISSANT, "promotion_id": "P_1", "offer_id": "off1"}, checkout_id="x"),
    ),
    "segment: a campaign of the shop": sold(
        "segment", segment({"sku": "croissant", "price": 35, "promotion_id": "P_1"})
    ),
    # Items known by their name.
    "ga4: by item_name": sold("ga4", ga4({"item_name": "croissant", "price": 35})),
    "segment: by name": sold("segment", segment({"name": "croissant", "price": 35})),
    # Orders edited after they were placed.
    "a later revision adds the offer": sold(
        None, bought(LATTE), bought(LATTE, CROISSANT, event_id="p2", revision=1, occurred_at=LATER)
    ),
    "a later revision has it no more": nothing(
        None, bought(LATTE, CROISSANT), bought(LATTE, event_id="p2", revision=3)
    ),
    "an earlier revision comes last": sold(
        None,
        bought(LATTE, line("croissant", "30.00"), event_id="p3", revision=3),
        bought(LATTE, event_id="p2", revision=2),
        revenue="30.00",
    ),
    "two of one revision": sold(
        None, bought(CROISSANT, revision=1), bought(LATTE, event_id="p2", revision=1)
    ),
    "a refund of what a revision added": sold(
        None,
        bought(LATTE),
        bought(LATTE, CROISSANT, event_id="p2", revision=1),
        bought(CROISSANT, event_id="r", type="refund", occurred_at=LATER),
        net="0.00",
    ),
    "segment: Order Updated": sold(
        "segment",
        segment({"sku": "latte", "price": 49}),
        segment({"sku": "croissant", "price": 35}, event="Order Updated"),
    ),
    "ga4: a revision": sold(
        "ga4", ga4(LATTE), ga4(LATTE, CROISSANT, revision=1, event_id="second")
    ),
    "shopify: orders/updated adds it": sold(
        "shopify", shopify(COFFEE), shopify(COFFEE, PASTRY, updated_at=LATER)
    ),
    "shopify: updates in the wrong order": sold(
        "shopify", shopify(COFFEE, PASTRY, updated_at=LATER), shopify(COFFEE)
    ),
    "shopify: an edit removes it": nothing(
        "shopify",
        shopify(COFFEE, PASTRY),
        shopify(COFFEE, {**PASTRY, "current_quantity": 0}, updated_at=LATER),
    ),
    "shopify: an edit removes one of two": sold(
        "shopify",
        shopify(COFFEE, {**PASTRY, "quantity": 2, "current_quantity": 1, "total_discount": "7.00"}),
        revenue="31.50",
    ),
    "shopify: a refund is no removal": sold(
        "shopify",
        shopify(COFFEE, PASTRY),
        REFUNDED,
        shopify(*(COFFEE, {**PASTRY, "current_quantity": 0}), updated_at=LATER, refunds=[REFUNDED]),
        net="0.00",
    ),
    "shopify: all of it is removed": sold(
        "shopify",
        shopify(PASTRY),
        shopify({**PASTRY, "current_quantity": 0}, updated_at=LATER),
        net="0.00",
    ),
    "shopify: cancelled": sold(
        "shopify",
        shopify({**PASTRY, "current_quantity": 0}, cancelled_at=LATER, updated_at=LATER),
        net="0.00",
    ),
    # Tests are no sales.
    "shopify: a test order": nothing("shopify", shopify(COFFEE, PASTRY, test=True)),
    # Clocks that differ.
    "four minutes before, by name": sold(
        None, bought({**CROISSANT, "offer_id": "off1"}, occurred_at="2026-03-02T09:56:00+01:00")
    ),
    "six minutes before, by name": nothing(
        None, bought({**CROISSANT, "offer_id": "off1"}, occurred_at="2026-03-02T09:54:00+01:00")
    ),
    "a second before, of the checkout": nothing(
        None, bought(CROISSANT, occurred_at="2026-03-02T09:59:59+01:00")
    ),
    # Several orders of a checkout.
    "in the second order": sold(
        None, bought(LATTE), bought(CROISSANT, event_id="p2", transaction_id="t2")
    ),
    "a half in each order": sold(
        None,
        bought(line("croissant", "35.00", 1)),
        bought(line("croissant", "35.00", 1), event_id="p2", transaction_id="t2"),
        revenue="70.00",
    ),
    # Unit prices below a cent.
    "ten thousand at 0.0042": sold(
        None, bought(line("croissant", "0.0042", 10_000)), revenue="42.00"
    ),
    "ga4: ten thousand at 0.0042": sold(
        "ga4", ga4(line("croissant", 0.0042, 10_000)), revenue="42.00"
    ),
    "three at a third": sold(None, bought(line("croissant", "0.333333", 3)), revenue="1.00"),
}


def facts_of(case: Case) -> list[Fact]:
    if case.system is None:
        return [parse_fact(payload) for payload in case.payloads]
    adapter = adapter_named(case.system)
    return [parse_fact(fact) for payload in case.payloads for fact in adapter(payload, clock.now())]


@pytest.mark.parametrize("name", CASES)
def test_what_an_offer_brought(name: str) -> None:
    case = CASES[name]
    facts = [*map(parse_fact, ({"event_id": "d1", **fact} for fact in SHOWN)), *facts_of(case)]
    for order in (facts, facts[::-1], [*facts, *facts]):
        made = report_of(order, ReportQuery(prices_include_tax=False, currency="NOK"))
        rates = made["total"]["cross_sell"]
        assert rates["offer"]["denominator"] == 1
        found = (rates["offer"]["numerator"], rates["revenue"], rates["net_revenue"])
        assert found == (case.offers, case.revenue, case.net)
