"""Facts from JSON: one reader for every source and every store.

`mersalg.engine.decoding` makes structs of the JSON, this module facts of the structs, and
`mersalg.engine.fact_bodies` writes facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from msgspec import UNSET
from msgspec.structs import replace

from mersalg.engine import decoding
from mersalg.engine import fact_schema as schema
from mersalg.engine.fact_values import (
    LARGEST_QUANTITY,
    invalid,
    lenient_number,
    lenient_units,
    read_amount,
    read_currency,
    read_finite,
    read_id,
    read_ids,
    read_instant,
    read_quantity,
    read_required_id,
    read_text,
    spread,
    storefront_id,
    to_price,
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
    Replaces,
    Step,
)
from mersalg.engine.words import customer_of

# The lines of one item together, for decisions with more than one line of it.
_LARGEST_REPLACED = schema.LONGEST_LIST * LARGEST_QUANTITY
_STEPS: dict[str | None, Step] = {"size": "size", "tier": "tier"}
_GIFT_CARD = re.compile(r"gift[\W_]*card|gavekort|geschenk[\W_]*karte|gutschein", re.IGNORECASE)


def parse_fact(data: object) -> Fact:
    """Return one JSON object as a fact. Numbers may be int, float, Decimal or decimal strings.

    Raise FactRejected, reason `invalid`, with a message that names the field.
    """
    return fact_of(decoding.convert_fact(data))


def unpack(record: bytes | str) -> Fact:
    """Return a fact from its JSON text; raise as `parse_fact`."""
    return fact_of(decoding.decode_fact(record))


def fact_of(body: schema.FactBody) -> Fact:
    """Return the fact a body states; raise as `parse_fact`."""
    return _decision(body) if isinstance(body, schema.DecisionBody) else event_of(body)


def names_nobody(body: schema.FactBody, fact: Fact) -> bool:
    """Return whether the customer that the body of a fact names is a word for none."""
    is_named = body.customer_id is not None and body.consent is not False
    return is_named and fact.customer_id is None


def event_of(body: schema.EventBody) -> Event:
    """Return the event a body states; raise as `parse_fact`."""
    kind = cast(EventType, body.__struct_config__.tag)
    order = body if isinstance(body, schema.OrderBody) else None
    lines = () if order is None else sold_lines(order.items or (), order.currency)
    currency = read_currency(body.currency)
    offer_id = read_id(body.offer_id, "offer_id") or read_id(body.promotion_id, "promotion_id")
    transaction_id = read_id(body.transaction_id, "transaction_id")
    items: tuple[PurchaseItem, ...] = ()
    refund_id, amount, prices_include_tax, revision = None, None, None, 0
    if order is not None:
        if transaction_id is None:
            raise invalid("transaction_id", "is required")
        sold: list[PurchaseItem] = []
        for at, line in enumerate(lines):
            where = f"items[{at}]"
            sold.append(
                PurchaseItem(
                    read_required_id(line.item_id, "item_id", where),
                    read_quantity(line.quantity, where),
                    read_amount(line.price, currency, "price", where, to_price),
                    read_amount(line.discount, currency, "discount", where) or 0,
                    read_id(line.offer_id, "offer_id", where)
                    or read_id(line.promotion_id, "promotion_id", where),
                    read_amount(line.tax, currency, "tax", where),
                )
            )
        items = tuple(sold)
        if kind == "refund":
            refund_id = read_id(order.refund_id, "refund_id")
            amount = read_amount(order.amount, currency, "amount", "refund")
        if kind == "purchase":
            prices_include_tax, revision = order.prices_include_tax, order.revision or 0
            if not items:
                raise invalid("items", "a purchase needs at least one item")
    elif offer_id is None:
        raise invalid("offer_id", f"is required for {kind}")
    session_id = read_id(body.session_id, "session_id")
    customer_id = read_id(body.customer_id, "customer_id")
    if body.consent is False:  # The fact counts for its checkout alone.
        session_id = customer_id = None
    event_id = read_required_id(body.event_id, "event_id")
    if body.scope in ("token", "storefront"):
        event_id = storefront_id(event_id)
    occurred_at = read_instant(body.occurred_at)
    checkout_id = read_id(body.checkout_id, "checkout_id")
    stated_at = None if body.stated_at is None else read_instant(body.stated_at)
    return Event(
        event_id,
        kind,
        occurred_at,
        offer_id,
        checkout_id,
        session_id,
        customer_of(customer_id),
        transaction_id,
        currency,
        items,
        body.is_bot is True,
        refund_id,
        amount,
        prices_include_tax,
        body.scope,
        stated_at,
        revision,
    )


def sold_lines(
    lines: Sequence[schema.ItemBody], currency: str | int | None
) -> Sequence[schema.ItemBody]:
    """Return the lines of an order that sell an item; all of them where none does.

    Shops send more lines than they sell items: tips and fees without an id, coupons with a negative
    price, gift cards that paid. None of them may cost an order its other lines. What lines of a
    negative price take off the order, other than gift cards, is a discount on the others, spread by
    what they cost.
    """
    if all(line.item_id not in (None, "") and _is_plainly_positive(line.price) for line in lines):
        return lines
    sold: list[schema.ItemBody] = []
    costs: list[Decimal | None] = []
    off = Decimal(0)
    for line in lines:
        price, units = lenient_number(line.price), lenient_units(line.quantity)
        if line.item_id in (None, "") or price < 0 < units:
            if price < 0 and not _GIFT_CARD.search(str(line.item_id or "")):
                off -= price * max(units, Decimal(0))
        else:
            sold.append(line)
            cost = price * units - lenient_number(line.discount)
            costs.append(None if line.price is None else cost)
    if not sold:
        return lines
    shares = spread(off, costs, str(currency)) if off and currency else None
    if shares is None:
        return sold
    return [
        replace(line, discount=str(lenient_number(line.discount) + share))
        for line, share in zip(sold, shares, strict=True)
    ]


def _is_plainly_positive(price: object) -> bool:
    return price is None or (isinstance(price, str) and "-" not in price)


def _decision(body: schema.DecisionBody) -> Decision:
    currency = read_currency(body.currency)
    if body.arm is None:
        raise invalid("arm", "must be treatment or control")
    if body.control_share is not None and not 0 <= body.control_share <= 1:
        raise invalid("control_share", "must be a number from 0 to 1")
    decision_id = read_required_id(body.decision_id, "decision_id")
    lines: list[CartLine] = []
    for at, line in enumerate(body.lines or ()):
        where = f"lines[{at}]"
        lines.append(
            CartLine(
                read_required_id(line.item_id, "item_id", where),
                read_quantity(line.quantity, where),
                read_amount(line.unit_price, currency, "unit_price", where, to_price),
                read_amount(line.discount, currency, "discount", where) or 0,
            )
        )
    offers = [
        _offer(entry, f"offers[{index}]", currency) for index, entry in enumerate(body.offers or ())
    ]
    if len({offer.offer_id for offer in offers}) != len(offers):
        raise invalid("offers", "the same offer_id is listed twice")
    session_id = read_id(body.session_id, "session_id")
    customer_id = read_id(body.customer_id, "customer_id")
    if body.consent is False:
        session_id = customer_id = None
    return Decision(
        event_id=read_id(body.event_id, "event_id") or decision_id,
        decision_id=decision_id,
        occurred_at=read_instant(body.occurred_at),
        checkout_id=read_required_id(body.checkout_id, "checkout_id"),
        session_id=session_id,
        customer_id=customer_of(customer_id),
        arm=body.arm,
        model_version=read_id(body.model_version, "model_version"),
        placement=read_id(body.placement, "placement") or "checkout",
        currency=currency,
        lines=tuple(lines),
        offers=tuple(offers),
        control_share=body.control_share,
        is_bot=body.is_bot is True,
        limits=body.limits,
        excluded_item_ids=read_ids(body.excluded_item_ids, "excluded_item_ids"),
        declined_item_ids=read_ids(body.declined_item_ids, "declined_item_ids"),
        mode=body.mode,
        model_customer=body.model_customer,
        lines_omitted=body.lines_omitted or 0,
        store_id=read_id(body.store_id, "store_id"),
        segment=read_id(body.segment, "segment"),
        scope=body.scope,
    )


def _offer(body: schema.ExplainedOfferBody, where: str, currency: str | None) -> Offer:
    kind = body.kind
    if kind is None:
        raise invalid("kind", "must be cross_sell or upsell", where)
    replaces = None
    if body.replaces is not None:
        base, at = body.replaces, f"{where}.replaces"
        replaces = Replaces(
            read_required_id(base.item_id, "item_id", at),
            read_quantity(base.quantity, at, _LARGEST_REPLACED),
            read_amount(base.price_difference, currency, "price_difference", at),
        )
    upsell = kind == "upsell"
    if upsell and replaces is None:
        raise invalid("replaces", "an upsell offer names what it replaces", where)
    total = body.total_difference
    return Offer(
        read_required_id(body.offer_id, "offer_id", where),
        kind,
        read_required_id(body.item_id, "item_id", where),
        1 if body.position is UNSET else body.position,
        read_amount(body.unit_price, currency, "unit_price", where),
        read_id(body.name, "name", where) or "",
        0.0 if body.score is UNSET else read_finite(body.score, "score", where),
        "" if body.text is UNSET else read_text(body.text, "text", where),
        None if body.evidence is None else _evidence(body.evidence, f"{where}.evidence"),
        replaces,
        _changes(body.gains, f"{where}.gains") if upsell else (),
        _changes(body.losses, f"{where}.losses") if upsell else (),
        _STEPS.get(body.step) if upsell else None,
        read_amount(total, currency, "total_difference", where) if upsell else None,
        read_id(body.family, "family", where),
    )


def _evidence(evidence: Evidence, where: str) -> Evidence:
    for item in evidence.antecedent_item_ids:
        read_text(item, "antecedent_item_ids", where)
    read_finite(evidence.confidence, "confidence", where)
    read_finite(evidence.lift, "lift", where)
    read_finite(evidence.lift_lower, "lift_lower", where)
    return evidence


def _changes(changes: Sequence[Change] | None, where: str) -> tuple[Change, ...]:
    for change in changes or ():
        read_text(change.attribute, "attribute", where)
        read_text(change.before, "from", where)
        read_text(change.after, "to", where)
    return tuple(changes or ())
