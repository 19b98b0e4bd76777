"""Bodies of the HTTP API as the outside sees them; the command line reads and writes the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from engine import fact_fields
from engine.facts import Arm, Kind, Mode, Quantity, Step, Tracking
from engine.merchandising.reasons import REJECTIONS

_MOST_LINES = 10_000
_PRICE_DIGITS = 12
_LONGEST_NUMBER = 200


def _as_text(value: object) -> object:
    # Many shops number their orders, items and customers.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_control(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds characters that are not text")
    return text


def _empty_as_missing(value: object) -> object:
    return None if value == "" else value


def _bounded(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        raise ValueError(f"must have at most {_LONGEST_NUMBER} characters")
    return value


def _price(value: object) -> Decimal:
    try:
        price = fact_fields.parse_number(value)
    except ValueError as error:
        raise ValueError("must be a decimal string or a number") from error
    if not price.is_finite() or price < 0:
        raise ValueError("must be a finite amount of at least 0")
    if price.adjusted() >= _PRICE_DIGITS:
        raise ValueError(f"must have at most {_PRICE_DIGITS} digits before the decimal point")
    return price


_ID_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer"}]}

Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    BeforeValidator(_as_text),
    AfterValidator(_without_control),
    WithJsonSchema(_ID_SCHEMA),
]
OptionalId = Annotated[
    Id | None,
    BeforeValidator(_empty_as_missing),
    # An empty text says as little as none.
    WithJsonSchema(
        {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "integer"}, {"type": "null"}]}
    ),
]
Units = Annotated[
    Quantity,
    PlainValidator(lambda value: fact_fields.parse_quantity(_bounded(value))),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "maxLength": 200}]}
    ),
]
Price = Annotated[
    Decimal,
    PlainValidator(lambda value: _price(_bounded(value))),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "number", "minimum": 0}]}
    ),
]
Several = list[Annotated[str, StringConstraints(max_length=200)]]
"""A parameter of an address that may be repeated."""
_SPELT = ("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0")
Consent = Annotated[
    bool, WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1, *_SPELT]}]})
]
"""Shops whose language has no booleans spell them."""
Limit = Annotated[int, Field(strict=True, ge=0, le=20)]


class _Body(BaseModel):
    # A newer client may send what this version does not know; a checkout must not break on it.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class RequestLine(_Body):
    item_id: Id
    quantity: Units = 1
    """Whole, or a decimal for goods sold by weight."""
    unit_price: Price | None = None
    """What one costs before the line's discount; the catalogue's price where not given."""
    discount: Price | None = None
    """Taken off the whole line, all its units together, as in a purchase."""


class Limits(_Body):
    """At most so many offers of each kind; the shop's own limits where not given."""

    cross_sell: Limit | None = None
    upsell: Limit | None = None


class SuggestionRequest(_Body):
    """One cart at one moment of one checkout."""

    checkout_id: Id
    session_id: OptionalId = None
    customer_id: OptionalId = None
    """Who is drawn into an arm: the customer, else the session, else the checkout."""
    placement: OptionalId = None
    """Where the offers will stand; `checkout` where not given."""
    store_id: OptionalId = None
    segment: OptionalId = None
    """Where the buyer is and who it is, in the shop's own words: reports can be split by them."""
    locale: str | None = None
    """Language of the texts (`en`, `nb`); the shop's own where not given or not spoken."""
    lines: Annotated[tuple[RequestLine, ...], Field(max_length=_MOST_LINES)] | None = None
    limits: Limits | None = None
    mode: Mode | None = None
    """`discovery` leaves repeat purchases out, `complete` lets them in: what the
    customer is known to have bought, by the orders of training and by `purchase` events since."""
    exclude_item_ids: Annotated[tuple[Id, ...], Field(max_length=_MOST_LINES)] | None = None
    declined_item_ids: Annotated[tuple[Id, ...], Field(max_length=_MOST_LINES)] | None = None
    """What the buyer waved away in this checkout: left out too, under a reason of its own. What
    `dismiss_promotion` events told of late is known without it."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """Of the prices, ISO 4217; the shop's where not given. Prices in another are passed over,
    and nothing is upsold beside them."""
    consent: Consent | None = None
    """Whether the buyer agreed to being remembered; as `tracking.consent` of the shop says where
    not given. Without it the decision is kept without customer and session, and nothing that is
    remembered of them is used; they still decide the arm."""


class EvidenceBody(_Body):
    """Counts of orders; no antecedent means a popular item, counted among all orders."""

    antecedent_item_ids: tuple[str, ...]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


class ReplacesBody(_Body):
    item_id: str
    quantity: int | str
    """A decimal string for goods sold by weight."""
    price_difference: str
    """For one unit: the better item's price less what the buyer pays for one after the discounts of
    its lines, on average where several lines differ."""


class ChangeBody(_Body):
    """Catalogue texts of one attribute, before and after."""

    attribute: str
    from_: str = Field(alias="from")
    to: str


class CrossSellOffer(_Body):
    offer_id: str
    kind: Literal["cross_sell"]
    item_id: str
    name: str
    position: int
    unit_price: str | None
    """Null only where the catalogue knows no price."""
    currency: str
    score: float
    evidence: EvidenceBody
    text: str


class UpsellOffer(_Body):
    offer_id: str
    kind: Literal["upsell"]
    item_id: str
    name: str
    position: int
    unit_price: str
    currency: str
    score: float
    replaces: ReplacesBody
    gains: tuple[ChangeBody, ...]
    losses: tuple[ChangeBody, ...]
    text: str
    step: Step = "tier"
    """`size`: a bigger pack at a lower unit price; `tier`: any other dearer version."""
    total_difference: str | None = None
    """What the whole swap adds to the cart: the better item's price for every unit replaced, less
    what the buyer pays for the lines replaced."""


class SuggestionResponse(_Body):
    """One decision. In the control arm, and where nothing fits, `offers` is empty."""

    decision_id: str
    arm: Arm
    model_version: str | None
    """Null where no model is published yet."""
    tracking: Tracking
    """`recorded` on disk, `deferred` while the database is away, `off` where it is not kept."""
    offers: tuple[Annotated[CrossSellOffer | UpsellOffer, Field(discriminator="kind")], ...]


ReasonCode = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "enum": [reason.code for reason in REJECTIONS],
            "description": "The first that applies, in this order: "
            + "; ".join(f"`{reason.code}`: {reason.meaning}" for reason in REJECTIONS),
        }
    ),
]


class RejectedCandidate(_Body):
    """Something that was in the running, and was not offered as `kind`."""

    kind: Kind
    item_id: str
    name: str
    score: float
    reason: ReasonCode


class DecisionExplanation(_Body):
    """The decision's own model asked again, with the pins and blocks of its moment."""

    status: Literal["complete", "differs", "model_gone", "model_unusable", "no_model"]
    """`differs`: asked again, the model offers something else than was recorded; `model_gone` and
    `model_unusable`: the version is not on disk any more or cannot be read."""
    message: str | None
    pinned_item_ids: tuple[str, ...]
    """Cross-sell offers that the shop placed itself."""
    counts: dict[str, int]
    """Rejected candidates by reason."""
    rejected: tuple[RejectedCandidate, ...]
    """Best first, as many as were asked for."""


class ExplainedLine(_Body):
    item_id: str
    quantity: int | str
    unit_price: str | None = None
    discount: str | None = None


class ExplainedReplaces(ReplacesBody):
    price_difference: str | None = None
    """Not known of some imported decisions."""


class ExplainedOffer(_Body):
    """As recorded; a ghost where the arm is `control`."""

    offer_id: str
    kind: Kind
    item_id: str
    position: int
    score: float
    text: str
    name: str | None = None
    family: str | None = None
    unit_price: str | None = None
    evidence: EvidenceBody | None = None
    replaces: ExplainedReplaces | None = None
    gains: tuple[ChangeBody, ...] | None = None
    losses: tuple[ChangeBody, ...] | None = None
    step: Step | None = None
    total_difference: str | None = None


class ExplainedDecision(_Body):
    """One decision as recorded; what was not known then is left out."""

    type: Literal["decision"]
    event_id: str
    occurred_at: str
    decision_id: str
    checkout_id: str
    arm: Arm
    placement: str
    lines: tuple[ExplainedLine, ...]
    offers: tuple[ExplainedOffer, ...]
    explanation: DecisionExplanation
    session_id: str | None = None
    """A pseudonym, like `customer_id`."""
    customer_id: str | None = None
    model_version: str | None = None
    currency: str | None = None
    control_share: float | None = None
    is_bot: bool | None = None
    limits: Limits | None = None
    excluded_item_ids: tuple[str, ...] | None = None
    """Those the call excluded that would have been in the running, at most 100."""
    declined_item_ids: tuple[str, ...] | None = None
    mode: Mode | None = None
    model_customer: int | None = None
    """Where the model remembers the customer; says nothing without that model."""
    store_id: str | None = None
    segment: str | None = None
