"""Bodies of the HTTP API; the command line reads and writes the same.

`SuggestionRequest` is what a checkout sends (`mersalg.serving.answers` answers it), and
`ExplainedDecision` is a fact of `mersalg.engine.fact_schema` with what was not offered. The OpenAPI
document is made of these structs, and `openapi.toml` says what their fields mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from mersalg.engine.fact_schema import LONGEST_LIST, DecisionBody
from mersalg.engine.fact_values import (
    LONGEST_ID,
    LONGEST_NUMBER,
    invalid,
    is_label,
    parse_number,
    parse_quantity,
    read_id,
    read_required_id,
)
from mersalg.engine.facts import Kind, Mode, Quantity
from mersalg.engine.merchandising.reasons import REJECTIONS
from mersalg.engine.words import customer_of

_PRICE_DIGITS = 12
_LONGEST_LABEL = 100
_SPELT: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0"), False),
}


if TYPE_CHECKING:
    # Many shops number their orders, items and customers: a struct, once made, holds texts.
    Id = str
    OptionalId = str | None
    Label = str | None
    Units = Quantity
    Price = Decimal
    Consent = bool
else:
    _NUMBER = {"type": "string", "maxLength": LONGEST_NUMBER}
    Id = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)] | int
    # An empty text says as little as none.
    OptionalId = Annotated[str, Meta(max_length=LONGEST_ID)] | int | None
    Label = Annotated[str, Meta(max_length=_LONGEST_LABEL)] | int | None
    Units = Annotated[
        Any,
        Meta(extra_json_schema={"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _NUMBER]}),
    ]
    Price = Annotated[
        Any, Meta(extra_json_schema={"anyOf": [{"type": "number", "minimum": 0}, _NUMBER]})
    ]
    # Shops whose language has no booleans spell them.
    Consent = (
        bool
        | Literal[0, 1]
        | Annotated[str, Meta(max_length=5, extra_json_schema={"enum": [*_SPELT]})]
    )

_Limit = Annotated[int, Meta(ge=0, le=20)]


class RequestLine(Struct):
    """A line of the cart of a suggestion call."""

    item_id: Id
    quantity: Units = 1
    unit_price: Price | None = None
    discount: Price | None = None

    def __post_init__(self) -> None:
        """Check and convert what the types of the fields do not."""
        self.item_id = read_required_id(self.item_id, "item_id")
        self.quantity = _units(self.quantity)
        if self.unit_price is not None:
            self.unit_price = _price(self.unit_price, "unit_price")
        if self.discount is not None:
            self.discount = _price(self.discount, "discount")


class OfferLimits(Struct, frozen=True):
    """Maximum number of offers of each kind; the shop's own limits where they are not given."""

    cross_sell: _Limit | None = None
    upsell: _Limit | None = None


class SuggestionRequest(Struct):
    """One cart at one moment of one checkout. Fields that are not known are ignored and named."""

    # A newer client may send what this version does not know, and a checkout must not break on it.

    checkout_id: Id
    session_id: OptionalId = None
    customer_id: OptionalId = None
    placement: Label = None
    store_id: Label = None
    segment: Label = None
    locale: str | None = None
    lines: Annotated[tuple[RequestLine, ...], Meta(max_length=LONGEST_LIST)] | None = None
    limits: OfferLimits | None = None
    mode: Mode | None = None
    exclude_item_ids: Annotated[tuple[Id, ...], Meta(max_length=LONGEST_LIST)] | None = None
    declined_item_ids: Annotated[tuple[Id, ...], Meta(max_length=LONGEST_LIST)] | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    checkout_token: OptionalId = None
    preview: bool = False
    consent: Consent | None = None

    def __post_init__(self) -> None:
        """Check and convert what the types of the fields do not."""
        self.checkout_id = read_required_id(self.checkout_id, "checkout_id")
        self.session_id = read_id(self.session_id, "session_id")
        self.customer_id = read_id(self.customer_id, "customer_id")
        self.checkout_token = read_id(self.checkout_token, "checkout_token")
        self.placement = _label(self.placement, "placement")
        self.store_id = _label(self.store_id, "store_id")
        self.segment = _label(self.segment, "segment")
        if self.exclude_item_ids:
            self.exclude_item_ids = tuple(
                [read_required_id(each, "exclude_item_ids") for each in self.exclude_item_ids]
            )
        if self.declined_item_ids:
            self.declined_item_ids = tuple(
                [read_required_id(each, "declined_item_ids") for each in self.declined_item_ids]
            )
        if self.consent is not None and type(self.consent) is not bool:
            self.consent = _consent(self.consent)

    def leave_out_nobody(self) -> list[str]:
        """Take a word for no customer out of the call; return a warning where there was one."""
        word, self.customer_id = self.customer_id, customer_of(self.customer_id)
        if word == self.customer_id:
            return []
        return [f"customer_id {word!r} is a word for no customer and was ignored"]


def _label(value: str | int | None, field: str) -> str | None:
    label = read_id(value, field)
    if label is not None and not is_label(label):
        raise invalid(field, "holds control characters")
    return label


def _consent(value: str | int) -> bool:
    consent = _SPELT.get(str(value).lower())
    if consent is None:
        raise invalid("consent", "must be true or false")
    return consent


def _units(value: object) -> Quantity:
    try:
        return parse_quantity(_bounded(value))
    except ValueError as error:
        raise invalid("quantity", str(error)) from error


def _price(value: object, field: str) -> Decimal:
    try:
        price = parse_number(_bounded(value))
    except ValueError as error:
        raise invalid(field, "must be a decimal string or a number") from error
    if not price.is_finite() or price < 0:
        raise invalid(field, "must be a finite amount of at least 0")
    if price.adjusted() >= _PRICE_DIGITS:
        raise invalid(field, f"must have at most {_PRICE_DIGITS} digits before the point")
    return price


def _bounded(value: object) -> object:
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        raise ValueError(f"must have at most {LONGEST_NUMBER} characters")
    return value


class RejectedCandidate(Struct):
    """A candidate that was not offered as `kind`."""

    kind: Kind
    item_id: str
    name: str
    score: float
    reason: Annotated[
        str,
        Meta(
            description="The first that applies, in this order: "
            + "; ".join(f"`{reason.code}`: {reason.meaning}" for reason in REJECTIONS),
            extra_json_schema={"enum": [reason.code for reason in REJECTIONS]},
        ),
    ]


class DecisionExplanation(Struct):
    """Offers that the decision's model would make now, with the pins and blocks of its moment."""

    status: Literal["complete", "differs", "model_gone", "model_unusable", "no_model"]
    message: str | None
    pinned_item_ids: Sequence[str]
    counts: dict[str, int]
    rejected: Sequence[RejectedCandidate]


class ExplainedDecision(DecisionBody, omit_defaults=True, kw_only=True, tag="decision"):
    """One decision as recorded; what was not known then is left out.

    Ids of customers and sessions are pseudonyms.
    """

    explanation: DecisionExplanation


class ModelReference(Struct):
    """A version in the models folder."""

    version: Annotated[str, Meta(max_length=200)]
