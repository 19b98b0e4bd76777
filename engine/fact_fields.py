"""Fields that facts, requests and order files share: ids, quantities, amounts of money, words.

The functions that read a field of a fact raise `FactRejected`, whose message names the field.
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from engine import clock, money
from engine.errors import FactRejected
from engine.facts import Quantity

LONGEST_ID = 200
LARGEST_QUANTITY = 10**9
_FINEST_QUANTITY = Decimal("0.000001")
_LARGEST_NUMBER = 10**100  # of a numbered id; Python itself refuses to write far longer ones
_NUMBERS = frozenset({int, float, Decimal})


def invalid(field: str, message: str, where: str = "") -> FactRejected:
    """Return the error of a field that cannot be taken; `where` is what the field belongs to."""
    return FactRejected("invalid", f"{where}{'.' if where else ''}{field} {message}")


def is_text(value: str) -> bool:
    """Return whether every database and UTF-8 file can hold it: no NUL, no half of a pair."""
    if value.isascii():
        return "\x00" not in value
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def is_id(value: str | None) -> bool:
    """Return whether `optional_id` would take it unchanged; None stands for no id."""
    return value is None or (0 < len(value) <= LONGEST_ID and is_text(value))


def optional_id(value: str | int | None, field: str, where: str = "") -> str | None:
    """Return an id as text: many shops number their orders and customers.

    An empty text is no id. The schema has checked the type, and the length of a text.
    """
    if value is None or value == "":
        return None
    if type(value) is not str:
        if abs(cast(int, value)) >= _LARGEST_NUMBER:
            raise invalid(field, "must be text", where)
        return str(value)
    if not is_text(value):
        raise invalid(field, "holds characters that are not text", where)
    return value


def required_id(value: str | int | None, field: str, where: str = "") -> str:
    """Return an id as `optional_id`, which has to be there."""
    identifier = optional_id(value, field, where)
    if identifier is None:
        raise invalid(field, "is required", where)
    return identifier


def display(value: str, longest: int = LONGEST_ID) -> str:
    """Return words for people, cut and mended to what can be read back. Never use it on ids."""
    if len(value) <= longest and is_text(value):
        return value
    cut = value[:longest]
    return cut if is_text(cut) else cut.encode("utf-8", "replace").decode().replace("\x00", "")


def parse_number(value: object) -> Decimal:
    """Return what a shop means by a number or its text; raise ValueError where it is neither."""
    if type(value) not in _NUMBERS and not (isinstance(value, str) and money.is_written(value)):
        raise ValueError("must be a number")
    try:
        return Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError("must be a number") from error


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


def quantity_text(quantity: Quantity) -> int | str:
    """Return whole units as a number, weights as an exact decimal string."""
    return quantity if isinstance(quantity, int) else f"{quantity.normalize():f}"


def parse_amount(value: object, currency: str | None, where: str, field: str) -> int | None:
    """Return an amount of money in minor units, None where there is none."""
    if value is None:
        return None
    if type(value) is not str and type(value) not in _NUMBERS:
        raise invalid(field, "must be an amount of money", where)
    if currency is None:
        raise invalid("currency", f"is required where {where}.{field} is given")
    try:
        minor = money.to_minor(cast("Decimal | int | float | str", value), currency)
    except ValueError as error:
        raise invalid(field, str(error), where) from error
    if minor < 0:
        raise invalid(field, "must not be negative", where)
    return minor


def amount_text(minor: int | None, currency: str | None) -> str | None:
    """Return an amount as its decimal string, None where it or its currency is not known."""
    return None if minor is None or currency is None else money.to_text(minor, currency)


def parse_currency(value: str | int | None) -> str | None:
    """Return the currency of a fact's amounts."""
    code = optional_id(value, "currency")
    if code is not None and not money.is_currency(code):
        raise invalid("currency", "must be an ISO 4217 code such as NOK")
    return code


def parse_instant(value: str | None) -> int:
    """Return when a fact occurred, in microseconds since the epoch."""
    if value is None:
        raise invalid("occurred_at", "is required, as ISO 8601 with an offset")
    try:
        return clock.parse_instant(value)
    except ValueError as error:
        raise invalid("occurred_at", f"must be ISO 8601 with an offset: {error}") from error
