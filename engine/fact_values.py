"""Values as shops send them: ids, quantities, amounts of money, instants, words.

A value of a fact is read by a function that names its field in its error (`read_id`, `read_amount`,
...); requests and order files, which have errors of their own, use what these are made of. At the
end is how values are written in JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import UNSET

from mersalg.engine import clock, money
from mersalg.engine.errors import FieldRejected, shown
from mersalg.engine.facts import Quantity, UnitPrice

LONGEST_ID = 200
STOREFRONT_PREFIX = "storefront/"
"""Of the ids of events that storefront keys send."""
LONGEST_NUMBER = 200
LARGEST_ID = 10**100  # Python itself refuses to write far longer numbers
LARGEST_QUANTITY = 10**9
_FINEST_QUANTITY = Decimal("0.000001")
_FINEST_PRICE = Decimal("1e-12")
"""In minor units: a line of the largest quantity is then exact to a thousandth of one."""
_MOST_DIGITS = 15
"""Before the point, of an amount of money."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WRITTEN = re.compile(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*")
"""A number: Python's decimals take more than a shop means, as 5_000 and digits of every script."""
_LONGEST_INSTANT = 64
"""Characters of an instant; the longest that is read has 32."""
_FIRST_INSTANT = clock.to_micros(datetime.min.replace(tzinfo=UTC))
_LAST_INSTANT = clock.to_micros(datetime.max.replace(tzinfo=UTC))
_NO_TEXT = "holds characters that are not text"
_NUMBERS = frozenset({int, float, Decimal})

_Minor = TypeVar("_Minor", int, UnitPrice)


def invalid(field: str, problem: str, where: str = "") -> FieldRejected:
    """Return the error of a field that cannot be taken; `where` is what the field belongs to."""
    return FieldRejected(f"{where}.{field}" if where else field, problem)


def is_text(value: str) -> bool:
    """Return whether every database and UTF-8 file can hold it: no NUL, no half of a pair."""
    if value.isascii():
        return "\x00" not in value
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def is_label(value: str) -> bool:
    """Return whether words have no control characters, which a terminal would obey."""
    return _CONTROLS.search(value) is None and is_text(value)


def is_id(value: str | None) -> bool:
    """Return whether facts take it unchanged as an id; None means no id."""
    return value is None or (0 < len(value) <= LONGEST_ID and is_text(value))


def read_text(value: str, field: str, where: str = "") -> str:
    """Return a text that every database can hold."""
    if is_text(value):
        return value
    raise invalid(field, _NO_TEXT, where)


def read_id(value: str | int | None, field: str, where: str = "") -> str | None:
    """Return an id as text, for many shops number their orders and customers; None where empty."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if is_text(value):
            return value
        raise invalid(field, _NO_TEXT, where)
    if abs(value) >= LARGEST_ID:
        raise invalid(field, "must be text", where)
    return str(value)


def read_required_id(value: str | int | None, field: str, where: str = "") -> str:
    """Return an id as `read_id`, which must not be empty."""
    if (identifier := read_id(value, field, where)) is None:
        raise invalid(field, "is required", where)
    return identifier


def read_ids(values: Sequence[str | int | None] | None, field: str) -> tuple[str, ...]:
    """Return ids of which none is empty."""
    return tuple(
        [read_required_id(value, f"{field}[{at}]") for at, value in enumerate(values or ())]
    )


def storefront_id(event_id: str) -> str:
    """Return the id of an event of a storefront key, by its prefix apart from all others.

    Anybody may send such an event, and with the id of an order it would keep the order out. Raise
    FieldRejected where the id is too long.
    """
    if event_id.startswith(STOREFRONT_PREFIX):
        return event_id
    longest = LONGEST_ID - len(STOREFRONT_PREFIX)
    if len(event_id) > longest:
        raise invalid("event_id", f"must have at most {longest} characters")
    return STOREFRONT_PREFIX + event_id


def read_currency(value: str | int | None) -> str | None:
    """Return the code of a currency."""
    code = read_id(value, "currency")
    if code is not None and not money.is_currency(code):
        raise invalid("currency", "must be an ISO 4217 code such as NOK")
    return code


def parse_instant(text: str) -> int:
    """Return the microseconds of an ISO 8601 date and time with an offset.

    Raise ValueError where it is not ISO 8601, or without an offset (a local time is not an
    instant), or carried by its offset out of the years that can be written.
    """
    if len(text) > _LONGEST_INSTANT:
        raise ValueError(f"{shown(text)} is too long")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{shown(text)} has no UTC offset")
    micros = clock.to_micros(moment)
    if not _FIRST_INSTANT <= micros <= _LAST_INSTANT:
        raise ValueError(f"{shown(text)} is out of range")
    return micros


def read_instant(value: str | None) -> int:
    """Return when a fact occurred, in microseconds since the epoch."""
    if value is None:
        raise invalid("occurred_at", "is required, as ISO 8601 with an offset")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise invalid("occurred_at", f"must be ISO 8601 with an offset: {error}") from error


def parse_number(value: object) -> Decimal:
    """Return what a shop means by a number or its text; raise ValueError where it is neither."""
    if type(value) not in _NUMBERS and not (isinstance(value, str) and _is_written(value)):
        raise ValueError("must be a number")
    try:
        return Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError("must be a number") from error


def read_finite(value: float, field: str, where: str) -> float:
    """Return a number that is neither infinite nor NaN."""
    if math.isfinite(value):
        return value
    raise invalid(field, "must be a number", where)


def parse_quantity(value: object, maximum: int = LARGEST_QUANTITY) -> Quantity:
    """Return a positive number of units; raise ValueError where it is none."""
    if type(value) is int and 0 < value <= maximum:
        return value
    quantity = parse_number(value)
    if not quantity.is_finite() or not 0 < quantity <= maximum:
        raise ValueError(f"must be above 0 and at most {maximum}")
    if quantity < _FINEST_QUANTITY:
        raise ValueError("is too small")
    quantity = quantity.quantize(_FINEST_QUANTITY)
    whole = int(quantity)
    return whole if whole == quantity else quantity.normalize()


def read_quantity(value: object, where: str, maximum: int = LARGEST_QUANTITY) -> Quantity:
    """Return a positive number of units, 1 where none is stated."""
    try:
        return parse_quantity(1 if value is UNSET else value, maximum)
    except ValueError as error:
        raise invalid("quantity", str(error), where) from error


@lru_cache(8_192)  # A shop has far fewer prices than facts.
def to_minor(amount: Decimal | str | int | float, currency: str) -> int:
    """Return the integer minor units of `amount`, rounded half to even.

    Raise ValueError where it is no finite number, or beyond 2**53 minor units.
    """
    return int(_scaled(amount, currency).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@lru_cache(8_192)
def to_price(amount: Decimal | str | int | float, currency: str) -> int | Decimal:
    """Return the minor units of the price of one unit: a Decimal where it is finer than these.

    Raise as `to_minor`.
    """
    price = _scaled(amount, currency).quantize(_FINEST_PRICE, rounding=ROUND_HALF_EVEN)
    whole = int(price)
    return whole if whole == price else price.normalize()


def _is_written(text: str) -> bool:
    return len(text) <= LONGEST_NUMBER and _WRITTEN.fullmatch(text) is not None


def _scaled(amount: Decimal | str | int | float, currency: str) -> Decimal:
    if isinstance(amount, str) and not _is_written(amount):
        raise ValueError(f"not an amount of money: {shown(amount)}")
    try:
        value = Decimal(str(amount)) if isinstance(amount, float) else Decimal(amount)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise ValueError(f"not an amount of money: {shown(amount)}") from error
    # The exponent is looked at first: scaling 1e999999 would cost memory, not only time.
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        raise ValueError(f"not an amount of money: {shown(amount)}")
    minor = value.scaleb(money.minor_digits(currency))
    if abs(minor) > money.LARGEST_MINOR:
        raise ValueError(f"amount too large: {shown(amount)}")
    return minor


def read_amount(
    value: Any,
    currency: str | None,
    field: str,
    where: str,
    parse: Callable[[Any, str], _Minor] = to_minor,
) -> _Minor | None:
    """Return an amount of money in minor units, by `to_minor` or `to_price`; None for none."""
    if value is None:
        return None
    if type(value) is not str and type(value) not in _NUMBERS:
        raise invalid(field, "must be an amount of money", where)
    if currency is None:
        raise invalid("currency", f"is required where {where}.{field} is given")
    try:
        minor = parse(value, currency)
    except ValueError as error:
        raise invalid(field, str(error), where) from error
    if minor < 0:
        raise invalid(field, "must not be negative", where)
    return minor


def lenient_number(value: object, otherwise: Decimal = Decimal(0)) -> Decimal:
    """Return a number, `otherwise` where there is none that can be taken."""
    try:
        number = parse_number(value)
    except ValueError:
        return otherwise
    return number if number.is_finite() and number.adjusted() <= _MOST_DIGITS else otherwise


def lenient_units(quantity: object) -> Decimal:
    """Return the quantity of a line, 1 where none is stated, or none that can be taken."""
    return Decimal(1) if quantity is UNSET else lenient_number(quantity, Decimal(1))


def spread(amount: Decimal, costs: Sequence[Decimal | None], currency: str) -> list[Decimal] | None:
    """Return an amount spread over lines by what they cost, in whole minor units.

    None where it is not known what they cost.
    """
    bounded = [max(cost, Decimal(0)) for cost in costs if cost is not None]
    total = sum(bounded, Decimal(0))
    if len(bounded) < len(costs):
        return None
    if not total:
        return None if amount else bounded
    unit = Decimal(1).scaleb(-money.minor_digits(currency))
    shares: list[Decimal] = []
    cost = given = Decimal(0)
    for each in bounded:
        cost += each
        # Each share is what brings the sum so far nearest to its part: the sum of all is exact.
        shares.append((amount * cost / total).quantize(unit) - given)
        given += shares[-1]
    return shares


def display(value: str, longest: int = LONGEST_ID) -> str:
    """Return words for people, cut and mended to what can be read back. Never use it on ids."""
    if len(value) <= longest and is_text(value):
        return value
    cut = value[:longest]
    return cut if is_text(cut) else cut.encode("utf-8", "replace").decode().replace("\x00", "")


def quantity_text(quantity: Quantity) -> int | str:
    """Return whole units as a number, weights as an exact decimal string."""
    return quantity if isinstance(quantity, int) else f"{quantity.normalize():f}"


def amount_text(minor: UnitPrice | None, currency: str | None) -> str | None:
    """Return an amount as its decimal string, None where it or its currency is not known."""
    return None if minor is None or currency is None else money.to_text(minor, currency)
