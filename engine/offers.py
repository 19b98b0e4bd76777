"""Carts, offers and decisions: what is asked, what is answered, why.

Of the small ones each call makes dozens: tuples with names, which are made in no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from engine.fragments import Fragments

Kind = Literal["cross_sell", "upsell"]
KINDS: tuple[Kind, ...] = ("cross_sell", "upsell")

Arm = Literal["treatment", "control"]

Mode = Literal["discovery", "complete"]

Step = Literal["size", "tier"]
"""Of an upsell: `size` is a bigger pack at a lower unit price, `tier` any other dearer version."""

Tracking = Literal["recorded", "deferred", "off"]
"""Where the fact of a decision is: in the database, waiting on disk, or not kept."""

Quantity = int | Decimal
"""Units of an item: whole, or a Decimal for goods sold by weight."""


class CartLine(NamedTuple):
    """One line of a cart. `unit_price_minor` is None where the shop did not say.

    `discount_minor` is taken off the whole line, all its units together.
    """

    item_id: str
    quantity: Quantity
    unit_price_minor: int | None = None
    discount_minor: int = 0


class Limits(NamedTuple):
    """At most so many offers of each kind; 0 upsell too where the cart's currency forbids it."""

    cross_sell: int
    upsell: int


class Evidence(NamedTuple):
    """The counts behind a cross-sell offer, and the measures derived from them.

    `antecedent_item_ids` is empty for a popular complement offered to a cart nothing is known of;
    its counts are then those of the item among all orders, and its lift is 1 by definition.
    """

    antecedent_item_ids: tuple[str, ...]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


class Replaces(NamedTuple):
    """What an upsell would replace: an item of the cart and how many of it, all lines together.

    Attributes:
        price_difference_minor: for one unit: the better item's price less what the buyer pays for
            one of the base item after the lines' discounts, on average over its lines.
    """

    item_id: str
    quantity: Quantity
    price_difference_minor: int | None = None


class Change(NamedTuple):
    """One attribute gained or lost by an upgrade, as catalogue texts."""

    attribute: str
    before: str
    after: str


class Offer(NamedTuple):
    """One suggested item. `position` is 1-based inside its kind; `score` is in [0, 1].

    Of an upsell `total_difference_minor` is what the whole swap adds to the cart: the price of the
    better item for every unit replaced, less what the buyer pays for the lines replaced. `step` and
    it are None of a cross-sell, and of upsells of which they were not recorded. `family` is the
    name of the item's family when it was offered, None where it has none.
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

    def under(self, offer_id: str) -> Offer:
        """The same offer with an id of its own."""
        return Offer(offer_id, *self[1:])


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer to one suggestion call, as a fact.

    In the control arm `offers` holds the ghosts: what would have been shown.
    `control_share` is the hold-out share the unit was drawn with (None where not known, as in
    imported histories); `occurred_at` is in microseconds since the epoch. `limits` are those that
    held, None where not known; `excluded_item_ids` and `declined_item_ids` are the items of the
    call's own lists that would have been in the running. `mode` is the call's, None where not
    known; `model_customer` is the row of the model's own memory of customers that was looked at.
    `store_id` and `segment` are the shop's own words for where it was and who was asked.
    `fragments` are its lines and offers as JSON where they were written before, the ids aside; a
    changed copy of the decision (`dataclasses.replace`) has none.
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
    fragments: Fragments | None = field(default=None, init=False, compare=False, repr=False)

    def with_fragments(self, fragments: Fragments | None) -> Decision:
        """This decision, of whose lines and offers they were written."""
        object.__setattr__(self, "fragments", fragments)
        return self
