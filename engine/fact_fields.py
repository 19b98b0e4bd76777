"""Fields that facts, requests and order files share: ids, quantities, amounts of money, words."""

from __future__ import annotations

import re
from decimal import Decimal

from mersalg.engine import money
from mersalg.engine.errors import FactRejected
from mersalg.engine.facts import Quantity, UnitPrice

LONGEST_ID = 200
STOREFRONT_PREFIX = "storefront/"
"""Of the ids of events that storefront keys send."""
LONGEST_NUMBER = 200
LARGEST_ID = 10**100  # Python itself refuses to write far longer numbers
LARGEST_QUANTITY = 10**9
_FINEST_QUANTITY = Decimal("0.000001")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NUMBERS = frozenset({int, float, Decimal})


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


def storefront_id(event_id: str) -> str:
    """Return the id of an event of a storefront key, by its prefix apart from all others.

    Anybody may send such an event, and with the id of an order it would keep the order out.

    Raises
    ------
    FactRejected
        The id is too long.
    """
    if event_id.startswith(STOREFRONT_PREFIX):
        return event_id
    longest = LONGEST_ID - len(STOREFRONT_PREFIX)
    if len(event_id) > longest:
        raise FactRejected("invalid", f"event_id must have at most {longest} characters")
    return STOREFRONT_PREFIX + event_id


def display(value: str, longest: int = LONGEST_ID) -> str:
    """Return words for people, cut and mended to what can be read back. Never use it on ids."""
    if len(value) <= longest and is_text(value):
        return value
    cut = value[:longest]
    return cut if is_text(cut) else cut.encode("utf-8", "replace").decode().replace("\x00", "")


def parse_number(value: object) -> Decimal:
    """Return what a shop means by a number or its text; raise ValueError where it is neither."""
    if type(value) not in NUMBERS and not (isinstance(value, str) and money.is_written(value)):
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


def amount_text(minor: UnitPrice | None, currency: str | None) -> str | None:
    """Return an amount as its decimal string, None where it or its currency is not known."""
    return None if minor is None or currency is None else money.to_text(minor, currency)
