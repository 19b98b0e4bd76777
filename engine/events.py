"""Facts: decisions, promotion events, purchases, refunds and cancellations, and their JSON form.

The names and fields follow Google Analytics 4's e-commerce events. One parser serves the HTTP
API and the file import, so a fact means the same whichever door it came through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import orjson

from engine import clock, fields, money
from engine.offers import KINDS, CartLine, Decision, Limits, Mode, Offer, Quantity, Replaces

PromotionType = Literal["view_promotion", "select_promotion", "add_to_cart", "dismiss_promotion"]
OrderType = Literal["purchase", "refund", "cancel"]
EventType = PromotionType | OrderType

PROMOTION_TYPES: frozenset[str] = frozenset(get_args(PromotionType))
ORDER_TYPES: frozenset[str] = frozenset(get_args(OrderType))
ACCEPT_TYPES: frozenset[str] = frozenset({"select_promotion", "add_to_cart"})
"""The buyer clicked the offer or put it in the cart."""
_MOST_OFFERS = 10_000
# The lines of one item together; decisions that hold more than one line may are in databases.
_MOST_REPLACED = 10_000 * fields.LARGEST_QUANTITY


@dataclass(frozen=True, slots=True)
class PurchaseItem:
    """One line of a purchase or refund; `discount_minor` is for the whole line."""

    item_id: str
    quantity: Quantity
    price_minor: int | None = None
    discount_minor: int = 0
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Anything that happened after a decision; `occurred_at` in microseconds since the epoch."""

    event_id: str
    type: EventType
    occurred_at: int
    offer_id: str | None = None
    checkout_id: str | None = None
    session_id: str | None = None
    customer_id: str | None = None
    transaction_id: str | None = None
    currency: str | None = None
    items: tuple[PurchaseItem, ...] = ()
    is_bot: bool = False


Fact = Decision | Event


def parse_fact(data: object) -> Fact:
    """One JSON object as a fact. Numbers may be int, float, Decimal or decimal strings.

    Raises:
        FactRejected: reason `invalid`, with a message that names the field.
    """
    record = fields.json_object(data, "fact")
    kind = record.get("type")
    if kind == "decision":
        return _parse_decision(record)
    # Only a text can be looked for: a list or an object is not hashable.
    if isinstance(kind, str) and (kind in PROMOTION_TYPES or kind in ORDER_TYPES):
        return _parse_event(record, cast(EventType, kind))
    known = ", ".join(sorted(PROMOTION_TYPES | ORDER_TYPES | {"decision"}))
    raise fields.invalid("type", f"must be one of {known}")


def _parse_event(record: Mapping[str, object], kind: EventType) -> Event:
    ordered = kind in ORDER_TYPES
    currency = fields.currency_of(record)
    offer_id = fields.text(record, "offer_id") or fields.text(record, "promotion_id")
    transaction_id = fields.text(record, "transaction_id", required=ordered)
    items: tuple[PurchaseItem, ...] = ()
    if ordered:
        items = tuple(
            _parse_item(entry, f"items[{place}]", currency)
            for place, entry in enumerate(fields.array(record, "items"))
        )
        if kind == "purchase" and not items:
            raise fields.invalid("items", "a purchase needs at least one item")
    elif offer_id is None:
        raise fields.invalid("offer_id", f"is required for {kind}")
    return Event(
        event_id=fields.required(record, "event_id"),
        type=kind,
        occurred_at=fields.instant(record),
        offer_id=offer_id,
        checkout_id=fields.text(record, "checkout_id"),
        session_id=_person(record, "session_id"),
        customer_id=_person(record, "customer_id"),
        transaction_id=transaction_id,
        currency=currency,
        items=items,
        is_bot=fields.flag(record, "is_bot"),
    )


def _person(record: Mapping[str, object], field: str) -> str | None:
    """Who it was; nobody where `consent` is false: then the fact counts for its checkout alone."""
    named = fields.text(record, field)
    return None if fields.refused(record, "consent") else named


def _parse_item(data: object, where: str, currency: str | None) -> PurchaseItem:
    record = fields.json_object(data, where)
    return PurchaseItem(
        item_id=fields.required(record, "item_id", where),
        quantity=fields.quantity(record, where),
        price_minor=fields.amount(record, "price", where, currency),
        discount_minor=fields.amount(record, "discount", where, currency) or 0,
        offer_id=fields.text(record, "offer_id", where)
        or fields.text(record, "promotion_id", where),
    )


def _parse_decision(record: Mapping[str, object]) -> Decision:
    currency = fields.currency_of(record)
    arm = record.get("arm")
    if arm not in ("treatment", "control"):
        raise fields.invalid("arm", "must be treatment or control")
    decision_id = fields.required(record, "decision_id")
    lines: list[CartLine] = []
    for place, entry in enumerate(fields.array(record, "lines")):
        where = f"lines[{place}]"
        line = fields.json_object(entry, where)
        lines.append(
            CartLine(
                fields.required(line, "item_id", where),
                fields.quantity(line, where),
                fields.amount(line, "unit_price", where, currency),
                fields.amount(line, "discount", where, currency) or 0,
            )
        )
    offers = tuple(
        _parse_offer(entry, f"offers[{place}]", currency)
        for place, entry in enumerate(fields.array(record, "offers"))
    )
    if len({offer.offer_id for offer in offers}) != len(offers):
        raise fields.invalid("offers", "the same offer_id stands twice")
    return Decision(
        event_id=fields.text(record, "event_id") or decision_id,
        decision_id=decision_id,
        occurred_at=fields.instant(record),
        checkout_id=fields.required(record, "checkout_id"),
        session_id=_person(record, "session_id"),
        customer_id=_person(record, "customer_id"),
        arm=arm,
        model_version=fields.text(record, "model_version"),
        placement=fields.text(record, "placement") or "checkout",
        currency=currency,
        lines=tuple(lines),
        offers=offers,
        control_share=fields.share(record, "control_share"),
        is_bot=fields.flag(record, "is_bot"),
        limits=_parse_limits(record),
        excluded_item_ids=_parse_ids(record, "excluded_item_ids"),
        declined_item_ids=_parse_ids(record, "declined_item_ids"),
        mode=_parse_mode(record),
        model_customer=_parse_row(record),
        store_id=fields.text(record, "store_id"),
        segment=fields.text(record, "segment"),
    )


def _parse_mode(record: Mapping[str, object]) -> Mode | None:
    mode = fields.text(record, "mode")
    if mode is not None and mode not in get_args(Mode):
        raise fields.invalid("mode", f"must be one of {', '.join(get_args(Mode))}")
    return cast("Mode | None", mode)


def _parse_row(record: Mapping[str, object]) -> int | None:
    value = record.get("model_customer")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise fields.invalid("model_customer", "must be a whole number from 0")
    return value


def _parse_limits(record: Mapping[str, object]) -> Limits | None:
    if record.get("limits") is None:
        return None
    data = fields.json_object(record["limits"], "limits")
    return Limits(_parse_limit(data, "cross_sell"), _parse_limit(data, "upsell"))


def _parse_limit(record: Mapping[str, object], kind: str) -> int:
    value = record.get(kind)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_OFFERS:
        raise fields.invalid(f"limits.{kind}", "must be a whole number from 0")
    return value


def _parse_ids(record: Mapping[str, object], field: str) -> tuple[str, ...]:
    return tuple(
        fields.required({"id": entry}, "id", f"{field}[{place}]")
        for place, entry in enumerate(fields.array(record, field))
    )


def _parse_offer(data: object, where: str, currency: str | None) -> Offer:
    record = fields.json_object(data, where)
    kind = record.get("kind")
    if kind not in KINDS:
        raise fields.invalid(f"{where}.kind", "must be cross_sell or upsell")
    replaces = None
    if record.get("replaces") is not None:
        base = fields.json_object(record["replaces"], f"{where}.replaces")
        replaces = Replaces(
            fields.required(base, "item_id", f"{where}.replaces"),
            fields.quantity(base, f"{where}.replaces", default=1, most=_MOST_REPLACED),
            fields.amount(base, "price_difference", f"{where}.replaces", currency),
        )
    if kind == "upsell" and replaces is None:
        raise fields.invalid(f"{where}.replaces", "an upsell offer names what it replaces")
    position = record.get("position", 1)
    if (
        not isinstance(position, int)
        or isinstance(position, bool)
        or not 1 <= position <= _MOST_OFFERS
    ):
        raise fields.invalid(f"{where}.position", "must be a whole number from 1")
    return Offer(
        offer_id=fields.required(record, "offer_id", where),
        kind=kind,
        item_id=fields.required(record, "item_id", where),
        position=position,
        unit_price_minor=fields.amount(record, "unit_price", where, currency),
        name=fields.text(record, "name", where) or "",
        replaces=replaces,
        family=fields.text(record, "family", where),
    )


def fact_to_json(fact: Fact) -> dict[str, object]:
    """The fact in the outward schema; `parse_fact` of it gives an equal fact back."""
    return _decision_to_json(fact) if isinstance(fact, Decision) else _event_to_json(fact)


def _event_to_json(event: Event) -> dict[str, object]:
    record: dict[str, object] = {
        "type": event.type,
        "event_id": event.event_id,
        "occurred_at": clock.to_iso(event.occurred_at),
        "offer_id": event.offer_id,
        "checkout_id": event.checkout_id,
        "session_id": event.session_id,
        "customer_id": event.customer_id,
        "transaction_id": event.transaction_id,
        "currency": event.currency,
        "is_bot": event.is_bot or None,
    }
    if event.type in ORDER_TYPES:
        record["items"] = [
            fields.without_none(
                {
                    "item_id": item.item_id,
                    "quantity": fields.quantity_to_json(item.quantity),
                    "price": fields.money_text(item.price_minor, event.currency),
                    "discount": fields.money_text(item.discount_minor or None, event.currency),
                    "offer_id": item.offer_id,
                }
            )
            for item in event.items
        ]
    return fields.without_none(record)


def _decision_to_json(decision: Decision) -> dict[str, object]:
    currency = decision.currency
    return {
        **decision_head(decision, decision.session_id, decision.customer_id),
        "lines": [line_to_json(line, currency) for line in decision.lines],
        "offers": [offer_to_json(offer, currency) for offer in decision.offers],
    }


def decision_head(
    decision: Decision, session_id: str | None, customer_id: str | None
) -> dict[str, object]:
    """All of a decision but its lines and offers, under the session and customer given."""
    limits = decision.limits
    head: dict[str, object] = {
        "type": "decision",
        "event_id": decision.event_id,
        "occurred_at": clock.to_iso(decision.occurred_at),
        "decision_id": decision.decision_id,
        "checkout_id": decision.checkout_id,
        "session_id": session_id,
        "customer_id": customer_id,
        "arm": decision.arm,
        "model_version": decision.model_version,
        "placement": decision.placement,
        "currency": decision.currency,
        "control_share": decision.control_share,
        "is_bot": decision.is_bot or None,
        "limits": None
        if limits is None
        else {"cross_sell": limits.cross_sell, "upsell": limits.upsell},
        "excluded_item_ids": list(decision.excluded_item_ids) or None,
        "declined_item_ids": list(decision.declined_item_ids) or None,
        "mode": decision.mode,
        "model_customer": decision.model_customer,
        "store_id": decision.store_id,
        "segment": decision.segment,
    }
    return fields.without_none(head)


def line_to_json(line: CartLine, currency: str | None) -> dict[str, object]:
    """In the outward schema."""
    record: dict[str, object] = {
        "item_id": line.item_id,
        "quantity": fields.quantity_to_json(line.quantity),
    }
    if currency is not None:
        if line.unit_price_minor is not None:
            record["unit_price"] = money.to_text(line.unit_price_minor, currency)
        if line.discount_minor:
            record["discount"] = money.to_text(line.discount_minor, currency)
    return record


def offer_to_json(offer: Offer, currency: str | None) -> dict[str, object]:
    """In the outward schema, without what explains the offer."""
    replaces = offer.replaces
    return fields.without_none(
        {
            "offer_id": offer.offer_id,
            "kind": offer.kind,
            "item_id": offer.item_id,
            "name": fields.display(offer.name) or None,
            "family": None if offer.family is None else fields.display(offer.family) or None,
            "position": offer.position,
            "unit_price": fields.money_text(offer.unit_price_minor, currency),
            "replaces": None
            if replaces is None
            else fields.without_none(
                {
                    "item_id": replaces.item_id,
                    "quantity": fields.quantity_to_json(replaces.quantity),
                    "price_difference": fields.money_text(
                        replaces.price_difference_minor, currency
                    ),
                }
            ),
        }
    )


def body_digest(fact: Fact) -> bytes:
    """16 bytes that two deliveries of the same fact share and a changed one does not."""
    return record_digest(fact_to_json(fact))


def record_digest(record: Mapping[str, object]) -> bytes:
    """`body_digest` of the fact that `fact_to_json` wrote as `record`."""
    text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()
