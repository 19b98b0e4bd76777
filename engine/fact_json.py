"""Facts from JSON and to JSON: one reader and one writer for every source and every store.

A fact is written in two forms. The *body* is what is stored: all of the fact, a decision with
what explains its offers. The *digest* covers the outward schema without the explanation, keys in
order and prices in whole minor units, so that two deliveries of one fact share it and a changed
fact does not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar, cast

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from mersalg.engine import clock, money
from mersalg.engine import fact_schema as schema
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_bodies import decision_body, event_body, explained_bodies, offer_bodies
from mersalg.engine.fact_fields import (
    LARGEST_ID,
    LARGEST_QUANTITY,
    NUMBERS,
    is_text,
    parse_quantity,
    storefront_id,
)
from mersalg.engine.facts import (
    CartLine,
    Change,
    Decision,
    Event,
    EventType,
    Evidence,
    Fact,
    Offer,
    PurchaseItem,
    Quantity,
    Replaces,
    Step,
    UnitPrice,
)
from mersalg.engine.sold_lines import sold_lines
from mersalg.engine.words import customer_of

# The lines of one item together, for decisions with more than one line of it.
_LARGEST_REPLACED = schema.LONGEST_LIST * LARGEST_QUANTITY
_NO_TEXT = "holds characters that are not text"
_STEPS: dict[str | None, Step] = {"size": "size", "tier": "tier"}

_Minor = TypeVar("_Minor", int, UnitPrice)

_body_encoder = msgspec.json.Encoder()
_digest_encoder = msgspec.json.Encoder(order="sorted")


def parse_fact(data: object) -> Fact:
    """Return one JSON object as a fact. Numbers may be int, float, Decimal or decimal strings.

    Raises
    ------
    FactRejected
        Reason `invalid`, with a message that names the field.
    """
    return fact_of(schema.convert_fact(data))


def unpack(record: bytes | str) -> Fact:
    """Return a fact from its JSON text; raise as `parse_fact`."""
    return fact_of(schema.decode_fact(record))


def fact_of(body: schema.FactBody) -> Fact:
    """Return the fact a body states; raise as `parse_fact`."""
    return _decision(body) if isinstance(body, schema.DecisionBody) else _event(body)


def names_nobody(body: schema.FactBody, fact: Fact) -> bool:
    """Return whether the customer that the body of a fact names is a word for none."""
    is_named = body.customer_id is not None and body.consent is not False
    return is_named and fact.customer_id is None


def _event(body: schema.EventBody) -> Event:
    kind = cast(EventType, body.__struct_config__.tag)
    currency = _currency(body.currency)
    offer_id = _id(body.offer_id, "offer_id") or _id(body.promotion_id, "promotion_id")
    transaction_id = _id(body.transaction_id, "transaction_id")
    items: tuple[PurchaseItem, ...] = ()
    refund_id, amount, prices_include_tax, revision = None, None, None, 0
    if isinstance(body, schema.OrderBody):
        if transaction_id is None:
            raise _invalid("transaction_id", "is required")
        lines = sold_lines(body.items or (), currency)
        items = tuple([_item(entry, f"items[{at}]", currency) for at, entry in enumerate(lines)])
        if kind == "refund":
            refund_id = _id(body.refund_id, "refund_id")
            amount = _amount(body.amount, currency, "refund", "amount")
        if kind == "purchase":
            prices_include_tax, revision = body.prices_include_tax, body.revision or 0
            if not items:
                raise _invalid("items", "a purchase needs at least one item")
    elif offer_id is None:
        raise _invalid("offer_id", f"is required for {kind}")
    session_id, customer_id = _people(body)
    event_id = _required_id(body.event_id, "event_id")
    if body.scope in ("token", "storefront"):
        event_id = storefront_id(event_id)
    return Event(
        event_id,
        kind,
        _instant(body.occurred_at),
        offer_id,
        _id(body.checkout_id, "checkout_id"),
        session_id,
        customer_id,
        transaction_id,
        currency,
        items,
        body.is_bot is True,
        refund_id,
        amount,
        prices_include_tax,
        body.scope,
        None if body.stated_at is None else _instant(body.stated_at),
        revision,
    )


def _people(body: schema.EventBody | schema.DecisionBody) -> tuple[str | None, str | None]:
    """Return session and customer; neither without consent: the fact counts for its checkout."""
    people = _id(body.session_id, "session_id"), customer_of(_id(body.customer_id, "customer_id"))
    return (None, None) if body.consent is False else people


def _item(body: schema.ItemBody, where: str, currency: str | None) -> PurchaseItem:
    return PurchaseItem(
        _required_id(body.item_id, "item_id", where),
        _quantity(body.quantity, where),
        _price(body.price, currency, where, "price"),
        _amount(body.discount, currency, where, "discount") or 0,
        _id(body.offer_id, "offer_id", where) or _id(body.promotion_id, "promotion_id", where),
        _amount(body.tax, currency, where, "tax"),
    )


def _quantity(value: object, where: str, maximum: int = LARGEST_QUANTITY) -> Quantity:
    try:
        return parse_quantity(1 if value is UNSET else value, maximum)
    except ValueError as error:
        raise _invalid("quantity", str(error), where) from error


def _decision(body: schema.DecisionBody) -> Decision:
    currency = _currency(body.currency)
    if body.arm is None:
        raise _invalid("arm", "must be treatment or control")
    if body.control_share is not None and not 0 <= body.control_share <= 1:
        raise _invalid("control_share", "must be a number from 0 to 1")
    decision_id = _required_id(body.decision_id, "decision_id")
    lines = [_line(entry, f"lines[{at}]", currency) for at, entry in enumerate(body.lines or ())]
    offers = [
        _offer(entry, f"offers[{index}]", currency) for index, entry in enumerate(body.offers or ())
    ]
    if len({offer.offer_id for offer in offers}) != len(offers):
        raise _invalid("offers", "the same offer_id is listed twice")
    session_id, customer_id = _people(body)
    return Decision(
        event_id=_id(body.event_id, "event_id") or decision_id,
        decision_id=decision_id,
        occurred_at=_instant(body.occurred_at),
        checkout_id=_required_id(body.checkout_id, "checkout_id"),
        session_id=session_id,
        customer_id=customer_id,
        arm=body.arm,
        model_version=_id(body.model_version, "model_version"),
        placement=_id(body.placement, "placement") or "checkout",
        currency=currency,
        lines=tuple(lines),
        offers=tuple(offers),
        control_share=body.control_share,
        is_bot=body.is_bot is True,
        limits=body.limits,
        excluded_item_ids=_ids(body.excluded_item_ids, "excluded_item_ids"),
        declined_item_ids=_ids(body.declined_item_ids, "declined_item_ids"),
        mode=body.mode,
        model_customer=body.model_customer,
        lines_omitted=body.lines_omitted or 0,
        store_id=_id(body.store_id, "store_id"),
        segment=_id(body.segment, "segment"),
        scope=body.scope,
    )


def _line(body: schema.LineBody, where: str, currency: str | None) -> CartLine:
    return CartLine(
        _required_id(body.item_id, "item_id", where),
        _quantity(body.quantity, where),
        _price(body.unit_price, currency, where, "unit_price"),
        _amount(body.discount, currency, where, "discount") or 0,
    )


def _offer(body: schema.ExplainedOfferBody, where: str, currency: str | None) -> Offer:
    kind = body.kind
    if kind is None:
        raise _invalid("kind", "must be cross_sell or upsell", where)
    replaces = None
    if body.replaces is not None:
        base, at = body.replaces, f"{where}.replaces"
        replaces = Replaces(
            _required_id(base.item_id, "item_id", at),
            _quantity(base.quantity, at, _LARGEST_REPLACED),
            _amount(base.price_difference, currency, at, "price_difference"),
        )
    upsell = kind == "upsell"
    if upsell and replaces is None:
        raise _invalid("replaces", "an upsell offer names what it replaces", where)
    total = body.total_difference
    return Offer(
        _required_id(body.offer_id, "offer_id", where),
        kind,
        _required_id(body.item_id, "item_id", where),
        1 if body.position is UNSET else body.position,
        _amount(body.unit_price, currency, where, "unit_price"),
        _id(body.name, "name", where) or "",
        0.0 if body.score is UNSET else _finite(body.score, "score", where),
        "" if body.text is UNSET else _text(body.text, "text", where),
        None if body.evidence is None else _evidence(body.evidence, f"{where}.evidence"),
        replaces,
        _changes(body.gains, f"{where}.gains") if upsell else (),
        _changes(body.losses, f"{where}.losses") if upsell else (),
        _STEPS.get(body.step) if upsell else None,
        _amount(total, currency, where, "total_difference") if upsell else None,
        _id(body.family, "family", where),
    )


def _evidence(evidence: Evidence, where: str) -> Evidence:
    for item in evidence.antecedent_item_ids:
        _text(item, "antecedent_item_ids", where)
    _finite(evidence.confidence, "confidence", where)
    _finite(evidence.lift, "lift", where)
    _finite(evidence.lift_lower, "lift_lower", where)
    return evidence


def _changes(changes: Sequence[Change] | None, where: str) -> tuple[Change, ...]:
    for change in changes or ():
        _text(change.attribute, "attribute", where)
        _text(change.before, "from", where)
        _text(change.after, "to", where)
    return tuple(changes or ())


def _id(value: str | int | None, field: str, where: str = "") -> str | None:
    """Return an id as text, for many shops number their orders and customers; None where empty."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if is_text(value):
            return value
        raise _invalid(field, _NO_TEXT, where)
    if abs(value) >= LARGEST_ID:
        raise _invalid(field, "must be text", where)
    return str(value)


def _required_id(value: str | int | None, field: str, where: str = "") -> str:
    if (identifier := _id(value, field, where)) is None:
        raise _invalid(field, "is required", where)
    return identifier


def _ids(values: Sequence[str | int | None] | None, field: str) -> tuple[str, ...]:
    return tuple([_required_id(value, f"{field}[{at}]") for at, value in enumerate(values or ())])


def _text(value: str, field: str, where: str) -> str:
    if not is_text(value):
        raise _invalid(field, _NO_TEXT, where)
    return value


def _amount(value: object, currency: str | None, where: str, field: str) -> int | None:
    """Return an amount of money in minor units, None where there is none."""
    return _money(value, currency, where, field, money.to_minor)


def _price(value: object, currency: str | None, where: str, field: str) -> UnitPrice | None:
    """Return the price of one unit as `_amount`, however much finer than a minor unit."""
    return _money(value, currency, where, field, money.to_price)


def _money(
    value: object,
    currency: str | None,
    where: str,
    field: str,
    to_minor: Callable[[Decimal | int | float | str, str], _Minor],
) -> _Minor | None:
    if value is None:
        return None
    if type(value) is not str and type(value) not in NUMBERS:
        raise _invalid(field, "must be an amount of money", where)
    if currency is None:
        raise _invalid("currency", f"is required where {where}.{field} is given")
    try:
        minor = to_minor(cast("Decimal | int | float | str", value), currency)
    except ValueError as error:
        raise _invalid(field, str(error), where) from error
    if minor < 0:
        raise _invalid(field, "must not be negative", where)
    return minor


def _currency(value: str | int | None) -> str | None:
    code = _id(value, "currency")
    if code is not None and not money.is_currency(code):
        raise _invalid("currency", "must be an ISO 4217 code such as NOK")
    return code


def _instant(value: str | None) -> int:
    """Return when a fact occurred, in microseconds since the epoch."""
    if value is None:
        raise _invalid("occurred_at", "is required, as ISO 8601 with an offset")
    try:
        return clock.parse_instant(value)
    except ValueError as error:
        raise _invalid("occurred_at", f"must be ISO 8601 with an offset: {error}") from error


def _finite(value: float, field: str, where: str) -> float:
    if math.isfinite(value):
        return value
    raise _invalid(field, "must be a number", where)


def _invalid(field: str, message: str, where: str = "") -> FactRejected:
    """Return the error of a field that cannot be taken; `where` is what the field belongs to."""
    return FactRejected("invalid", f"{where}{'.' if where else ''}{field} {message}")


def digest_and_pack(fact: Fact) -> tuple[bytes, bytes]:
    """Return the digest of 16 bytes and the body."""
    coarse = _in_minor_units(fact)
    if isinstance(fact, Event):
        body = event_body(fact)
        packed = _body_encoder.encode(body)
        digested = body if coarse is fact else event_body(cast(Event, coarse))
        # Sent again it is the same event: its token may have expired, and it arrives later.
        digested.scope = None
        digested.occurred_at = digested.stated_at or digested.occurred_at
        digested.stated_at = None
        return _digest(digested), packed
    decision, outward = decision_body(fact), offer_bodies(fact)
    digested = decision if coarse is fact else decision_body(cast(Decision, coarse))
    digested.offers = cast("list[schema.ExplainedOfferBody]", outward)
    digest = _digest(digested)
    decision.offers = explained_bodies(fact, outward)
    return digest, _body_encoder.encode(decision)


def _in_minor_units(fact: Fact) -> Fact:
    """Return a fact with each unit price rounded to the minor unit; mostly the fact itself.

    Version 0.1.0 stored prices so: a fact that it stored is the same when it comes again.
    """
    lines, of_lines, price = (
        (fact.items, "items", "price_minor")
        if isinstance(fact, Event)
        else (fact.lines, "lines", "unit_price_minor")
    )
    if not lines or not any(isinstance(getattr(line, price), Decimal) for line in lines):
        return fact
    coarse = tuple(
        [
            replace(line, **{price: money.scale(minor, 1, 1)})
            if isinstance(minor := getattr(line, price), Decimal)
            else line
            for line in lines
        ]
    )
    return replace(fact, **{of_lines: coarse})


def _digest(body: schema.EventBody | schema.DecisionBody) -> bytes:
    return hashlib.blake2b(_digest_encoder.encode(body), digest_size=16).digest()


def pack(fact: Fact) -> bytes:
    """Return a fact as JSON that `unpack` gives back whole."""
    return digest_and_pack(fact)[1]
