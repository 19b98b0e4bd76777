"""The JSON form of facts, as `msgspec` structs: one tagged union for every source of facts.

Names and fields follow Google Analytics 4's e-commerce events. A struct's fields are declared in
the order in which they are written. The structs take what shops send (numbered ids, amounts and
quantities as numbers or as text) and refuse all other types; `mersalg.engine.fact_json` makes facts
of them. `mersalg.engine.fact_bodies` makes of facts the same structs in their canonical form: ids
and amounts as text, no nulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from mersalg.engine.fact_values import LONGEST_ID
from mersalg.engine.facts import (
    Arm,
    Change,
    Evidence,
    Kind,
    Limits,
    Mode,
    Scope,
    Text,
)

LONGEST_LIST = 10_000
_LARGEST_ROW = 2**31 - 1
_LARGEST_REVISION = 2**53

Id = Annotated[str, Meta(max_length=LONGEST_ID)] | int | None
Number = Annotated[
    Any,
    Meta(
        extra_json_schema={
            "anyOf": [{"type": "number"}, {"type": "string", "maxLength": LONGEST_ID}]
        }
    ),
]
"""A number or its text; a JSON number too long for a float comes as a Decimal."""
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""ISO 8601 with an offset; `fact_values` reads it."""
Ids = Annotated[Sequence[Id], Meta(max_length=LONGEST_LIST)] | None


class ItemBody(Struct, gc=False, omit_defaults=True):
    """A line of a purchase or refund."""

    item_id: Id = None
    quantity: Number = UNSET
    price: Number = None
    discount: Number = None
    tax: Number = None
    offer_id: Id = None
    promotion_id: Id = None


class LineBody(Struct, gc=False, omit_defaults=True):
    """A line of a cart."""

    item_id: Id = None
    quantity: Number = UNSET
    unit_price: Number = None
    discount: Number = None


class ReplacesBody(Struct, gc=False, omit_defaults=True):
    """The item an upsell would replace."""

    item_id: Id = None
    quantity: Number = UNSET
    price_difference: Number = None


class OfferBody(Struct, gc=False, omit_defaults=True):
    """An offer without its explanation, as its digest covers it."""

    offer_id: Id = None
    kind: Kind | None = None
    item_id: Id = None
    name: Id = None
    family: Id = None
    position: Annotated[int, Meta(ge=1, le=LONGEST_LIST)] | UnsetType = UNSET
    unit_price: Number = None
    replaces: ReplacesBody | None = None


class ExplainedOfferBody(OfferBody, omit_defaults=True):
    """An offer with its score, text, evidence and changes."""

    score: float | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    evidence: Evidence | None = None
    gains: Sequence[Change] | None = None
    losses: Sequence[Change] | None = None
    step: str | None = None
    total_difference: Number = None


class EventBody(Struct, gc=False, omit_defaults=True, tag_field="type"):
    """A promotion event: what happened to an offer."""

    event_id: Id = None
    occurred_at: Instant | None = None
    offer_id: Id = None
    checkout_id: Id = None
    session_id: Id = None
    customer_id: Id = None
    transaction_id: Id = None
    currency: Id = None
    is_bot: bool | None = None
    scope: Scope | None = None
    stated_at: Instant | None = None
    promotion_id: Id = None
    consent: bool | None = None
    checkout_token: Id = None


class OrderBody(EventBody, omit_defaults=True):
    """A purchase, refund or cancellation of an order."""

    items: Annotated[Sequence[ItemBody], Meta(max_length=LONGEST_LIST)] | None = None
    refund_id: Id = None
    amount: Number = None
    prices_include_tax: bool | None = None
    revision: Annotated[int, Meta(ge=0, le=_LARGEST_REVISION)] | None = None


class ViewPromotion(EventBody, tag="view_promotion"):
    """The offer was shown."""


class SelectPromotion(EventBody, tag="select_promotion"):
    """The offer was clicked."""


class AddToCart(EventBody, tag="add_to_cart"):
    """The offer was accepted."""


class DismissPromotion(EventBody, tag="dismiss_promotion"):
    """The offer was dismissed."""


class Purchase(OrderBody, tag="purchase"):
    """An order was paid."""


class Refund(OrderBody, tag="refund"):
    """Items of an order were returned, or an amount given back; with neither, all of it."""


class Cancel(OrderBody, tag="cancel"):
    """An order was cancelled."""


class DecisionBody(Struct, gc=False, omit_defaults=True, tag_field="type", tag="decision"):
    """A decision with its cart and offers."""

    event_id: Id = None
    occurred_at: Instant | None = None
    decision_id: Id = None
    checkout_id: Id = None
    session_id: Id = None
    customer_id: Id = None
    arm: Arm | None = None
    model_version: Id = None
    placement: Id = None
    currency: Id = None
    control_share: float | None = None
    is_bot: bool | None = None
    scope: Scope | None = None
    limits: Limits | None = None
    excluded_item_ids: Ids = None
    declined_item_ids: Ids = None
    mode: Mode | None = None
    model_customer: Annotated[int, Meta(ge=0, le=_LARGEST_ROW)] | None = None
    store_id: Id = None
    segment: Id = None
    lines: Annotated[Sequence[LineBody], Meta(max_length=LONGEST_LIST)] | None = None
    lines_omitted: Annotated[int, Meta(ge=0, le=LONGEST_LIST)] | None = None
    offers: Annotated[Sequence[ExplainedOfferBody], Meta(max_length=LONGEST_LIST)] | None = None
    consent: bool | None = None


FactBody = (
    ViewPromotion
    | SelectPromotion
    | AddToCart
    | DismissPromotion
    | Purchase
    | Refund
    | Cancel
    | DecisionBody
)
"""Any fact; `type` says which."""

EVENT_BODIES: Final[dict[str, type[EventBody]]] = {
    str(body.__struct_config__.tag): body
    for body in (
        *(ViewPromotion, SelectPromotion, AddToCart, DismissPromotion),
        *(Purchase, Refund, Cancel),
    )
}
"""By `type`."""
