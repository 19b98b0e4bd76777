"""Facts: decisions with their carts and offers, and the events that follow them.

These are the values the engine calculates with: money in minor units, instants in microseconds.
`mersalg.engine.fact_schema` declares their JSON form, `mersalg.engine.fact_json` reads and writes
it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Kind = Literal["cross_sell", "upsell"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Arm = Literal["treatment", "control"]

Mode = Literal["discovery", "complete"]

Step = Literal["size", "tier"]
"""Of an upsell: `size` is a bigger pack at a lower unit price, `tier` any other dearer version."""

Scope = Literal["server", "token", "storefront"]
"""Who sent a fact: a server key, or a storefront key with or without a valid checkout token."""

Tracking = Literal["recorded", "deferred", "off"]
"""Where the fact of a decision is: in the database, waiting on disk, or not kept."""

Quantity = int | Decimal
"""Units of an item: whole, or a Decimal for goods sold by weight."""

UnitPrice = int | Decimal
"""Minor units of the price of one unit: whole, or a Decimal where the price is finer."""

PromotionType = Literal["view_promotion", "select_promotion", "add_to_cart", "dismiss_promotion"]
OrderType = Literal["purchase", "refund", "cancel"]
EventType = PromotionType | OrderType

PROMOTION_TYPES: frozenset[str] = frozenset(get_args(PromotionType))
ORDER_TYPES: frozenset[str] = frozenset(get_args(OrderType))
ACCEPT_TYPES: frozenset[str] = frozenset({"select_promotion", "add_to_cart"})
"""The buyer clicked the offer or put it in the cart."""

NOT_STATED = -1
"""Of `Event.stated_at`, where an event came without an instant of its own."""

OWN_OFFER_PREFIX = "off_"
"""What the ids of all offers begin with that the service makes; imported ones may be any text."""

OFFER_LOG = "offer log"
"""Placement of the decisions that are read from the offer log of another system."""


class CartLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a cart. `unit_price_minor` is None where the shop did not say.

    `discount_minor` is taken off the whole line, all its units together.
    """

    item_id: str
    quantity: Quantity
    unit_price_minor: UnitPrice | None = None
    discount_minor: int = 0


LONGEST_TEXT = 2_000
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
OfferCount = Annotated[int, Meta(ge=0, le=10_000)]


class Limits(msgspec.Struct, frozen=True, gc=False):
    """Maximum number of offers of each kind.

    `upsell` is also 0 where the cart is priced in a currency other than the shop's.
    """

    cross_sell: OfferCount
    upsell: OfferCount


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """The counts behind a cross-sell offer, and the measures derived from them.

    `antecedent_item_ids` is empty for a popular complement, offered to a cart of which no rule is
    known; its counts are then those of the item among all orders, and its lift is 1 by definition.
    """

    antecedent_item_ids: tuple[Text, ...]
    n_joint: Count
    n_antecedent: Count
    confidence: float
    lift: float
    lift_lower: float


class Replaces(msgspec.Struct, frozen=True, gc=False):
    """The item an upsell would replace, and how many of it, all lines of the cart together.

    `price_difference_minor` is for one unit: the better item's price less what the buyer pays for
    one of the base item after the lines' discounts, on average over its lines.
    """

    item_id: str
    quantity: Quantity
    price_difference_minor: int | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """One attribute gained or lost by an upgrade, as catalogue texts."""

    attribute: Text
    before: Text = msgspec.field(name="from")
    after: Text = msgspec.field(name="to")


class Offer(msgspec.Struct, frozen=True, gc=False):
    """One suggested item. `position` is 1-based inside its kind; `score` is in [0, 1].

    Attributes
    ----------
    step, total_difference_minor
        Of an upsell: what kind of step it is, and what the whole swap adds to the cart (the price
        of the better item for every unit replaced, less what the buyer pays for the lines
        replaced). None of a cross-sell, and of upsells of which they were not recorded.
    family
        Name of the item's family when it was offered, None where it has none.
    """

    offer_id: str
    kind: Kind
    item_id: str
    position: int
    unit_price_minor: int | None
    name: str = ""
    score: float = 0.0
    text: str = ""
    evidence: Evidence | None = None
    replaces: Replaces | None = None
    gains: tuple[Change, ...] = ()
    losses: tuple[Change, ...] = ()
    step: Step | None = None
    total_difference_minor: int | None = None
    family: str | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One answer to one suggestion call, as a fact.

    Attributes
    ----------
    occurred_at
        Microseconds since the epoch.
    offers
        In the control arm these are the ghosts: what would have been shown.
    control_share
        The hold-out share the unit was drawn with, None where not known, as in imported histories.
    limits
        Those that held, None where not known.
    excluded_item_ids, declined_item_ids
        Items of the call's own lists that would have been candidates.
    mode
        The call's, None where not known.
    model_customer
        Row of the model's own memory of customers that was used.
    store_id, segment
        The shop's own words for where the buyer was and which group of buyers it belonged to.
    scope
        Of the suggestion call; None where it is not known, or the service has no keys.
    lines_omitted
        Lines of a long cart that are not in `lines`; nothing that was offered concerns them.
    """

    event_id: str
    decision_id: str
    occurred_at: int
    checkout_id: str
    session_id: str | None
    customer_id: str | None
    arm: Arm
    model_version: str | None
    placement: str
    currency: str | None
    lines: tuple[CartLine, ...]
    offers: tuple[Offer, ...]
    control_share: float | None = None
    is_bot: bool = False
    limits: Limits | None = None
    excluded_item_ids: tuple[str, ...] = ()
    declined_item_ids: tuple[str, ...] = ()
    mode: Mode | None = None
    model_customer: int | None = None
    store_id: str | None = None
    segment: str | None = None
    scope: Scope | None = None
    lines_omitted: int = 0


class PurchaseItem(msgspec.Struct, frozen=True, gc=False):
    """One line of a purchase or refund; `discount_minor` is for the whole line.

    `price_minor` is None where the price is not known, which is not the same as 0. `tax_minor` is
    the tax of the whole line after its discount, None where it is not known.
    """

    item_id: str
    quantity: Quantity
    price_minor: UnitPrice | None = None
    discount_minor: int = 0
    offer_id: str | None = None
    tax_minor: int | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """Anything that happened after a decision; `occurred_at` in microseconds since the epoch.

    Attributes
    ----------
    refund_id
        Of a refund: it counts once in its transaction, whatever systems report it.
    amount_minor
        Of a refund: the money given back. Without `items` no unit was returned.
    prices_include_tax
        Of a purchase: whether the prices of its lines do; None where it is as the shop says.
    revision
        Of a purchase: which state of its transaction it is; the highest counts.
    scope
        Of who sent it; None where it is not known, or the service has no keys.
    stated_at
        What was stated, where `occurred_at` is the instant of arrival in place of it: an instant
        that is not possible, or `NOT_STATED`.
    """

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
    refund_id: str | None = None
    amount_minor: int | None = None
    prices_include_tax: bool | None = None
    scope: Scope | None = None
    stated_at: int | None = None
    revision: int = 0

    @property
    def returns_all(self) -> bool:
        """Whether it takes back a whole order: a cancellation, or a refund of nothing stated."""
        return self.type == "cancel" or (not self.items and self.amount_minor is None)


Fact = Decision | Event


def is_vouched(fact: Fact) -> bool:
    """Return whether the shop's server, and not only a page, vouches for a fact."""
    return fact.scope != "storefront"
