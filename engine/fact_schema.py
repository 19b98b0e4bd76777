"""The JSON form of facts, as `msgspec` structs: one tagged union for every source of facts.

Names and fields follow Google Analytics 4's e-commerce events. A struct's fields are declared in
the order in which they are written. The structs take what shops send (numbered ids, amounts and
quantities as numbers or as text) and refuse all other types; `mersalg.engine.fact_json` makes facts
of them, and of facts the same structs in their canonical form: ids and amounts as text, no nulls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Union, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from mersalg.engine.errors import FactRejected, shown
from mersalg.engine.fact_fields import LONGEST_ID, LONGEST_NUMBER
from mersalg.engine.facts import (
    ORDER_TYPES,
    PROMOTION_TYPES,
    Arm,
    Change,
    Evidence,
    Kind,
    Limits,
    Mode,
    Scope,
    Text,
)
from mersalg.engine.known_fields import is_of_unknown, strictly, unknown_fields

LONGEST_LIST = 10_000
_LARGEST_ROW = 2**31 - 1
_LARGEST_REVISION = 2**53
_NOT_TAKEN = float("nan")
"""What no field takes."""
_EXACT_DIGITS = 15
"""A float holds every number of so many digits."""

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
"""ISO 8601 with an offset; `fact_json` checks it."""
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


def exact_number(digits: str) -> float | Decimal:
    """Return a JSON number as it was written, which a float cannot always hold."""
    if len(digits) <= _EXACT_DIGITS:
        return float(digits)
    if len(digits) > LONGEST_NUMBER:
        return _NOT_TAKEN
    try:
        return Decimal(digits)
    except InvalidOperation:
        # Its exponent is beyond all bounds: infinity, which no field takes, or zero.
        return float(digits)


_decoder = msgspec.json.Decoder(FactBody, float_hook=exact_number)
_strict_decoder: msgspec.json.Decoder[FactBody] = msgspec.json.Decoder(
    Union[(*map(strictly, EVENT_BODIES.values()), DecisionBody)], float_hook=exact_number
)
_any_decoder = msgspec.json.Decoder(float_hook=exact_number)


def decode_fact(raw: bytes | str | msgspec.Raw, unknown: set[str] | None = None) -> FactBody:
    """Return the body of a fact from its JSON.

    `unknown` takes the fields of events that are not known, which are left out.

    Raises
    ------
    FactRejected
        Reason `invalid`, with a message that names the field.
    """
    try:
        try:
            return _strict_decoder.decode(raw)
        except msgspec.ValidationError as error:
            if not is_of_unknown(error):
                raise
        body = _decoder.decode(raw)
        if unknown is not None and not isinstance(raw, str):
            unknown.update(unknown_fields(decode_any(raw), body.__class__))
        return body
    except msgspec.ValidationError as error:
        raise _refusal(error) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _no_json(error, raw) from error


def decode_any(raw: bytes | msgspec.Raw) -> object:
    """Return any JSON, its numbers as exact as in a fact; raise FactRejected where it is none."""
    try:
        return _any_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _no_json(error, raw) from error


def people_in(events: Iterable[msgspec.Raw | dict[str, object]]) -> Iterator[object]:
    """Yield the customers and sessions that JSON objects name, facts or not, unchecked."""
    for event in events:
        try:
            named = decode_any(event) if isinstance(event, msgspec.Raw) else event
        except FactRejected:
            continue
        if isinstance(named, dict):
            yield cast("dict[str, object]", named).get("customer_id")
            yield cast("dict[str, object]", named).get("session_id")


def _no_json(error: Exception, raw: bytes | str | msgspec.Raw = "") -> FactRejected:
    is_text = not isinstance(error, UnicodeError)
    if not isinstance(raw, str):
        try:
            # The decoder stops at the first byte that is no JSON, whatever the encoding is.
            bytes(raw).decode()
        except UnicodeDecodeError:
            is_text = False
    return FactRejected("invalid", f"not JSON: {error}" if is_text else "not UTF-8 text")


def convert_fact(data: object) -> FactBody:
    """Return the body of a fact from a decoded JSON object; raise as `decode_fact`."""
    try:
        return cast(FactBody, msgspec.convert(data, FactBody))
    except msgspec.ValidationError as error:
        raise _refusal(error) from error
    except (UnicodeError, RecursionError) as error:
        raise _no_json(error) from error


_WHERE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_TYPES = ", ".join(sorted(PROMOTION_TYPES | ORDER_TYPES | {"decision"}))
_COUNTS = "cross_sell upsell model_customer lines_omitted revision n_joint n_antecedent".split()
_BY_FIELD = {
    "type": f"must be one of {_TYPES}",
    "occurred_at": "is required, as ISO 8601 with an offset",
    "arm": "must be treatment or control",
    **dict.fromkeys(("consent", "prices_include_tax"), "must be true or false"),
    "kind": "must be cross_sell or upsell",
    "mode": "must be one of discovery, complete",
    "scope": "must be one of server, token, storefront",
    "control_share": "must be a number from 0 to 1",
    "position": "must be a whole number from 1",
    **dict.fromkeys(_COUNTS, "must be a whole number from 0"),
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`", re.DOTALL)
_TOO_LARGE = re.compile(r"Expected `int` <= (\d+)")
_BY_TYPE = (
    (re.compile(r"Expected `str` of length <= (\d+)"), r"is longer than \1 characters"),
    (re.compile(r"Expected `str` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `str` matching"), "must be an ISO 4217 code such as NOK"),
    (re.compile(r"Expected `array` of length <= (\d+)"), r"holds more than \1 entries"),
    (re.compile(r"Expected `array"), "must be a list"),
    (re.compile(r"Expected `object"), "must be a JSON object"),
    (re.compile(r"Expected `bool"), "must be true or false"),
    (re.compile(r"Expected `float|Number out of range"), "must be a number"),
    (re.compile(r"Expected `(int \| )?str"), "must be text"),
)


def problem_of(error: msgspec.ValidationError, whole: str = "") -> tuple[str, str]:
    """Return the field that `msgspec` refused and why, in plain words.

    `whole` is the field whose value was converted: the one that is returned is inside it, and empty
    where the value itself was refused.
    """
    problem = str(error)
    location = _WHERE.search(problem)
    field = location.group(1) if location else ""
    missing = _MISSING.match(problem)
    if missing:
        field = f"{field}.{missing.group(1)}" if field else missing.group(1)
        if field != "type":
            return field, "is required"
    if unknown := _UNKNOWN.match(problem):
        return field, f"has no field {shown(unknown[1])}"
    if too_large := _TOO_LARGE.match(problem):
        return field, too_large.expand(r"must be at most \1")
    message = _BY_FIELD.get((field or whole).rpartition(".")[2])
    for pattern, words in _BY_TYPE if message is None else ():
        if match := pattern.match(problem):
            message = match.expand(words)
            break
    return field, message or problem


def _refusal(error: msgspec.ValidationError) -> FactRejected:
    field, message = problem_of(error)
    return FactRejected("invalid", f"{field or 'fact'} {message}")
