"""Facts to JSON, in canonical form: structs of `mersalg.engine.fact_schema` from facts.

A fact is written in two forms. The *body* is what is stored: all of the fact, a decision with
what explains its offers. The *digest* covers the outward schema without the explanation, keys in
order and prices in whole minor units, so that two deliveries of one fact share it and a changed
fact does not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import astuple

from mersalg.engine import clock, money
from mersalg.engine import fact_schema as schema
from mersalg.engine.fact_values import amount_text, display, quantity_text
from mersalg.engine.facts import (
    LONGEST_TEXT,
    Change,
    Decision,
    Event,
    Evidence,
    Fact,
    Offer,
    UnitPrice,
)

_body_encoder = msgspec.json.Encoder()
_N_OUTWARD = len(schema.OfferBody.__struct_fields__)
_digest_encoder = msgspec.json.Encoder(order="sorted")


def digest_and_pack(fact: Fact) -> tuple[bytes, bytes]:
    """Return the digest of 16 bytes and the body."""
    if isinstance(fact, Event):
        body = event_body(fact)
        packed = _body_encoder.encode(body)
        # Sent again it is the same event: its token may have expired, and it arrives later.
        body.scope = None
        body.occurred_at = body.stated_at or body.occurred_at
        body.stated_at = None
        if isinstance(body, schema.OrderBody):
            for item, line in zip(fact.items, body.items or (), strict=True):
                line.price = _whole(item.price_minor, fact.currency) or line.price
    else:
        body = decision_body(fact)
        packed = _body_encoder.encode(body)
        body.offers = without_explanation(body)
        for item, line in zip(fact.lines, body.lines or (), strict=True):
            line.unit_price = _whole(item.unit_price_minor, fact.currency) or line.unit_price
    return hashlib.blake2b(_digest_encoder.encode(body), digest_size=16).digest(), packed


def _whole(price: UnitPrice | None, currency: str | None) -> str | None:
    """Return a price that is finer than the minor unit rounded to it, None for any other.

    Version 0.1.0 stored prices so: a fact that it stored is the same when it comes again.
    """
    if not isinstance(price, Decimal):
        return None
    return amount_text(money.scale(price, 1, 1), currency)


def pack(fact: Fact) -> bytes:
    """Return a fact as JSON that `unpack` gives back whole."""
    return digest_and_pack(fact)[1]


def event_body(event: Event) -> schema.EventBody:
    """Return all of an event."""
    body = schema.EVENT_BODIES[event.type](
        event.event_id,
        clock.to_iso(event.occurred_at),
        event.offer_id,
        event.checkout_id,
        event.session_id,
        event.customer_id,
        event.transaction_id,
        event.currency,
        event.is_bot or None,
        event.scope,
        None if event.stated_at is None else clock.to_iso(event.stated_at),
    )
    if isinstance(body, schema.OrderBody):
        currency = event.currency
        body.items = [
            schema.ItemBody(
                item.item_id,
                quantity_text(item.quantity),
                amount_text(item.price_minor, currency),
                amount_text(item.discount_minor or None, currency),
                amount_text(item.tax_minor, currency),
                item.offer_id,
            )
            for item in event.items
        ]
        body.refund_id = event.refund_id
        body.amount = amount_text(event.amount_minor, currency)
        body.prices_include_tax = event.prices_include_tax
        body.revision = event.revision or None
    return body


def decision_body(decision: Decision) -> schema.DecisionBody:
    """Return all of a decision."""
    currency = decision.currency
    return schema.DecisionBody(
        decision.event_id,
        clock.to_iso(decision.occurred_at),
        decision.decision_id,
        decision.checkout_id,
        decision.session_id,
        decision.customer_id,
        decision.arm,
        decision.model_version,
        decision.placement,
        currency,
        decision.control_share,
        decision.is_bot or None,
        decision.scope,
        decision.limits,
        decision.excluded_item_ids or None,
        decision.declined_item_ids or None,
        decision.mode,
        decision.model_customer,
        decision.store_id,
        decision.segment,
        [
            schema.LineBody(
                line.item_id,
                quantity_text(line.quantity),
                amount_text(line.unit_price_minor, currency),
                amount_text(line.discount_minor or None, currency),
            )
            for line in decision.lines
        ],
        decision.lines_omitted or None,
        [_offer_body(offer, currency) for offer in decision.offers],
    )


def without_explanation(body: schema.DecisionBody) -> list[schema.ExplainedOfferBody]:
    """Return the offers of a decision as the outward schema has them, without explanation."""
    return [schema.ExplainedOfferBody(*astuple(each)[:_N_OUTWARD]) for each in body.offers or ()]


def _offer_body(offer: Offer, currency: str | None) -> schema.ExplainedOfferBody:
    base, evidence = offer.replaces, offer.evidence
    body = schema.ExplainedOfferBody(
        offer.offer_id,
        offer.kind,
        offer.item_id,
        display(offer.name) or None,
        None if offer.family is None else display(offer.family) or None,
        offer.position,
        amount_text(offer.unit_price_minor, currency),
        None
        if base is None
        else schema.ReplacesBody(
            base.item_id,
            quantity_text(base.quantity),
            amount_text(base.price_difference_minor, currency),
        ),
        _written(offer.score),
        display(offer.text, LONGEST_TEXT),
        None if evidence is None else _mended_evidence(evidence),
    )
    if offer.kind == "upsell":
        body.gains, body.losses = _mended_changes(offer.gains), _mended_changes(offer.losses)
        body.step = offer.step
        body.total_difference = amount_text(offer.total_difference_minor, currency)
    return body


def _mended_evidence(evidence: Evidence) -> Evidence:
    return Evidence(
        tuple([display(item, LONGEST_TEXT) for item in evidence.antecedent_item_ids]),
        evidence.n_joint,
        evidence.n_antecedent,
        _written(evidence.confidence),
        _written(evidence.lift),
        _written(evidence.lift_lower),
    )


def _mended_changes(changes: Sequence[Change]) -> list[Change]:
    return [Change(*(display(word, LONGEST_TEXT) for word in astuple(each))) for each in changes]


def _written(number: float) -> float:
    # JSON has no word for what is not finite: null would be written, and could not be read.
    return number if math.isfinite(number) else 0.0
