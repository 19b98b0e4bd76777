"""Facts: decisions, promotion events, purchases, refunds and cancellations, and their JSON form.

The names and fields follow Google Analytics 4's e-commerce events. One parser serves the HTTP
API and the file import, so a fact means the same whichever door it came through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast, get_args

from engine import clock, money
from engine.errors import FactRejected
from engine.offers import KINDS, CartLine, Decision, Offer, Quantity, Replaces

PromotionType = Literal["view_promotion", "select_promotion", "add_to_cart", "dismiss_promotion"]
OrderType = Literal["purchase", "refund", "cancel"]
EventType = PromotionType | OrderType

PROMOTION_TYPES: frozenset[str] = frozenset(get_args(PromotionType))
ORDER_TYPES: frozenset[str] = frozenset(get_args(OrderType))
ACCEPT_TYPES: frozenset[str] = frozenset({"select_promotion", "add_to_cart"})
"""The buyer clicked the offer or put it in the cart."""

_LONGEST_ID = 200
_MOST_ITEMS = 10_000
_LARGEST_QUANTITY = 10**9


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
    record = _object(data, "fact")
    kind = record.get("type")
    if kind == "decision":
        return _parse_decision(record)
    if kind in PROMOTION_TYPES or kind in ORDER_TYPES:
        return _parse_event(record, cast(EventType, kind))
    known = ", ".join(sorted(PROMOTION_TYPES | ORDER_TYPES | {"decision"}))
    raise _invalid("type", f"must be one of {known}")


def _parse_event(record: Mapping[str, object], kind: EventType) -> Event:
    ordered = kind in ORDER_TYPES
    currency = _currency(record)
    offer_id = _text(record, "offer_id") or _text(record, "promotion_id")
    transaction_id = _text(record, "transaction_id", required=ordered)
    items: tuple[PurchaseItem, ...] = ()
    if ordered:
        items = tuple(
            _parse_item(entry, f"items[{place}]", currency)
            for place, entry in enumerate(_array(record, "items"))
        )
        if kind == "purchase" and not items:
            raise _invalid("items", "a purchase needs at least one item")
    elif offer_id is None:
        raise _invalid("offer_id", f"is required for {kind}")
    return Event(
        event_id=_required(record, "event_id"),
        type=kind,
        occurred_at=_instant(record),
        offer_id=offer_id,
        checkout_id=_text(record, "checkout_id"),
        session_id=_text(record, "session_id"),
        customer_id=_text(record, "customer_id"),
        transaction_id=transaction_id,
        currency=currency,
        items=items,
        is_bot=record.get("is_bot") is True,
    )


def _parse_item(data: object, where: str, currency: str | None) -> PurchaseItem:
    record = _object(data, where)
    return PurchaseItem(
        item_id=_required(record, "item_id", where),
        quantity=_quantity(record, where),
        price_minor=_amount(record, "price", where, currency),
        discount_minor=_amount(record, "discount", where, currency) or 0,
        offer_id=_text(record, "offer_id", where) or _text(record, "promotion_id", where),
    )


def _parse_decision(record: Mapping[str, object]) -> Decision:
    currency = _currency(record)
    arm = record.get("arm")
    if arm not in ("treatment", "control"):
        raise _invalid("arm", "must be treatment or control")
    decision_id = _required(record, "decision_id")
    lines: list[CartLine] = []
    for place, entry in enumerate(_array(record, "lines")):
        where = f"lines[{place}]"
        line = _object(entry, where)
        lines.append(
            CartLine(
                _required(line, "item_id", where),
                _quantity(line, where),
                _amount(line, "unit_price", where, currency),
            )
        )
    offers = tuple(
        _parse_offer(entry, f"offers[{place}]", currency)
        for place, entry in enumerate(_array(record, "offers"))
    )
    if len({offer.offer_id for offer in offers}) != len(offers):
        raise _invalid("offers", "the same offer_id stands twice")
    share = record.get("control_share")
    if share is not None and not (_is_number(share) and 0 <= Decimal(str(share)) <= 1):
        raise _invalid("control_share", "must be a number from 0 to 1")
    return Decision(
        event_id=_text(record, "event_id") or decision_id,
        decision_id=decision_id,
        occurred_at=_instant(record),
        checkout_id=_required(record, "checkout_id"),
        session_id=_text(record, "session_id"),
        customer_id=_text(record, "customer_id"),
        arm=arm,
        model_version=_text(record, "model_version"),
        placement=_text(record, "placement") or "checkout",
        currency=currency,
        lines=tuple(lines),
        offers=offers,
        control_share=None if share is None else float(str(share)),
        is_bot=record.get("is_bot") is True,
    )


def _parse_offer(data: object, where: str, currency: str | None) -> Offer:
    record = _object(data, where)
    kind = record.get("kind")
    if kind not in KINDS:
        raise _invalid(f"{where}.kind", "must be cross_sell or upsell")
    replaces = None
    if record.get("replaces") is not None:
        base = _object(record["replaces"], f"{where}.replaces")
        replaces = Replaces(
            _required(base, "item_id", f"{where}.replaces"),
            _quantity(base, f"{where}.replaces", default=1),
            _amount(base, "price_difference", f"{where}.replaces", currency),
        )
    if kind == "upsell" and replaces is None:
        raise _invalid(f"{where}.replaces", "an upsell offer names what it replaces")
    position = record.get("position", 1)
    if not isinstance(position, int) or isinstance(position, bool) or not 1 <= position <= 10_000:
        raise _invalid(f"{where}.position", "must be a whole number from 1")
    return Offer(
        offer_id=_required(record, "offer_id", where),
        kind=kind,
        item_id=_required(record, "item_id", where),
        position=position,
        unit_price_minor=_amount(record, "unit_price", where, currency),
        name=_text(record, "name", where) or "",
        replaces=replaces,
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
            _without_none(
                {
                    "item_id": item.item_id,
                    "quantity": quantity_to_json(item.quantity),
                    "price": _money_text(item.price_minor, event.currency),
                    "discount": _money_text(item.discount_minor or None, event.currency),
                    "offer_id": item.offer_id,
                }
            )
            for item in event.items
        ]
    return _without_none(record)


def _decision_to_json(decision: Decision) -> dict[str, object]:
    return _without_none(
        {
            "type": "decision",
            "event_id": decision.event_id,
            "occurred_at": clock.to_iso(decision.occurred_at),
            "decision_id": decision.decision_id,
            "checkout_id": decision.checkout_id,
            "session_id": decision.session_id,
            "customer_id": decision.customer_id,
            "arm": decision.arm,
            "model_version": decision.model_version,
            "placement": decision.placement,
            "currency": decision.currency,
            "control_share": decision.control_share,
            "is_bot": decision.is_bot or None,
            "lines": [
                _without_none(
                    {
                        "item_id": line.item_id,
                        "quantity": quantity_to_json(line.quantity),
                        "unit_price": _money_text(line.unit_price_minor, decision.currency),
                    }
                )
                for line in decision.lines
            ],
            "offers": [_offer_to_json(offer, decision.currency) for offer in decision.offers],
        }
    )


def _offer_to_json(offer: Offer, currency: str | None) -> dict[str, object]:
    replaces = offer.replaces
    return _without_none(
        {
            "offer_id": offer.offer_id,
            "kind": offer.kind,
            "item_id": offer.item_id,
            "name": offer.name or None,
            "position": offer.position,
            "unit_price": _money_text(offer.unit_price_minor, currency),
            "replaces": None
            if replaces is None
            else _without_none(
                {
                    "item_id": replaces.item_id,
                    "quantity": quantity_to_json(replaces.quantity),
                    "price_difference": _money_text(replaces.price_difference_minor, currency),
                }
            ),
        }
    )


def body_digest(fact: Fact) -> bytes:
    """16 bytes that two deliveries of the same fact share and a changed one does not."""
    text = json.dumps(fact_to_json(fact), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def quantity_to_json(quantity: Quantity) -> int | str:
    """Whole units as a number, weights as an exact decimal string."""
    return quantity if isinstance(quantity, int) else f"{quantity.normalize():f}"


def parse_quantity(value: object) -> Quantity:
    """A positive number of units; raises ValueError."""
    if not _is_number(value) and not isinstance(value, str):
        raise ValueError("must be a number")
    try:
        quantity = Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError("must be a number") from error
    if not quantity.is_finite() or not 0 < quantity <= _LARGEST_QUANTITY:
        raise ValueError(f"must be above 0 and at most {_LARGEST_QUANTITY}")
    if quantity.adjusted() < -6:
        raise ValueError("is too small")
    whole = int(quantity)
    return whole if whole == quantity else quantity.quantize(Decimal("0.000001")).normalize()


def _quantity(record: Mapping[str, object], where: str, default: int | None = 1) -> Quantity:
    value = record.get("quantity", default)
    try:
        return parse_quantity(value)
    except ValueError as error:
        raise _invalid(f"{where}.quantity", str(error)) from error


def _amount(
    record: Mapping[str, object], field: str, where: str, currency: str | None
) -> int | None:
    value = record.get(field)
    if value is None:
        return None
    if not _is_number(value) and not isinstance(value, str):
        raise _invalid(f"{where}.{field}", "must be an amount of money")
    if currency is None:
        raise _invalid("currency", f"is required where {where}.{field} is given")
    try:
        minor = money.to_minor(cast("Decimal | int | float | str", value), currency)
    except ValueError as error:
        raise _invalid(f"{where}.{field}", str(error)) from error
    if minor < 0:
        raise _invalid(f"{where}.{field}", "must not be negative")
    return minor


def _currency(record: Mapping[str, object]) -> str | None:
    code = _text(record, "currency")
    if code is not None and not (len(code) == 3 and code.isascii() and code.isupper()):
        raise _invalid("currency", "must be an ISO 4217 code such as NOK")
    return code


def _instant(record: Mapping[str, object]) -> int:
    value = record.get("occurred_at")
    if not isinstance(value, str):
        raise _invalid("occurred_at", "is required, as ISO 8601 with an offset")
    try:
        return clock.parse_instant(value)
    except (ValueError, OverflowError) as error:
        raise _invalid("occurred_at", f"must be ISO 8601 with an offset: {error}") from error


def _required(record: Mapping[str, object], field: str, where: str = "") -> str:
    value = _text(record, field, where, required=True)
    assert value is not None
    return value


def _text(
    record: Mapping[str, object], field: str, where: str = "", *, required: bool = False
) -> str | None:
    value = record.get(field)
    name = f"{where}.{field}" if where else field
    if value is None or value == "":
        if required:
            raise _invalid(name, "is required")
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # many shops number their orders and customers
    if not isinstance(value, str):
        raise _invalid(name, "must be text")
    if len(value) > _LONGEST_ID:
        raise _invalid(name, f"is longer than {_LONGEST_ID} characters")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _invalid(name, "holds characters that are not text")
    return value


def _array(record: Mapping[str, object], field: str) -> Sequence[object]:
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _invalid(field, "must be a list")
    entries = cast(list[object], value)
    if len(entries) > _MOST_ITEMS:
        raise _invalid(field, f"holds more than {_MOST_ITEMS} entries")
    return entries


def _object(data: object, where: str) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise _invalid(where, "must be a JSON object")
    return cast(Mapping[str, object], data)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _money_text(minor: int | None, currency: str | None) -> str | None:
    return None if minor is None or currency is None else money.to_text(minor, currency)


def _without_none(record: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if value is not None}


def _invalid(field: str, message: str) -> FactRejected:
    return FactRejected("invalid", f"{field} {message}")
