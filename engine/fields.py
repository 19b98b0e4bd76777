"""Fields of outward JSON records, read strictly: each reader names the field it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

from engine import clock, money
from engine.errors import FactRejected
from engine.offers import Quantity

LONGEST_ID = 200
_MOST_ITEMS = 10_000
LARGEST_QUANTITY = 10**9
_FINEST_QUANTITY = Decimal("0.000001")
_LARGEST_NUMBER = 10**100  # of a numbered id; Python itself refuses to write far longer ones


def quantity_to_json(quantity: Quantity) -> int | str:
    """Whole units as a number, weights as an exact decimal string."""
    return quantity if isinstance(quantity, int) else f"{quantity.normalize():f}"


def parse_number(value: object) -> Decimal:
    """What a shop means by a number or its text; raises ValueError."""
    if not is_number(value) and not (isinstance(value, str) and money.is_written(value)):
        raise ValueError("must be a number")
    try:
        return Decimal(str(value))
    except ArithmeticError as error:
        raise ValueError("must be a number") from error


def parse_quantity(value: object, most: int = LARGEST_QUANTITY) -> Quantity:
    """A positive number of units; raises ValueError."""
    if type(value) is int and 0 < value <= most:
        return value
    quantity = parse_number(value)
    if not quantity.is_finite() or not 0 < quantity <= most:
        raise ValueError(f"must be above 0 and at most {most}")
    if quantity < _FINEST_QUANTITY:
        raise ValueError("is too small")
    quantity = quantity.quantize(_FINEST_QUANTITY)
    whole = int(quantity)
    return whole if whole == quantity else quantity.normalize()


def quantity(
    record: Mapping[str, object],
    where: str,
    default: int | None = 1,
    most: int = LARGEST_QUANTITY,
) -> Quantity:
    value = record.get("quantity", default)
    try:
        return parse_quantity(value, most)
    except ValueError as error:
        raise invalid(f"{where}.quantity", str(error)) from error


def amount(
    record: Mapping[str, object], field: str, where: str, currency: str | None
) -> int | None:
    value = record.get(field)
    if value is None:
        return None
    if not is_number(value) and not isinstance(value, str):
        raise invalid(f"{where}.{field}", "must be an amount of money")
    if currency is None:
        raise invalid("currency", f"is required where {where}.{field} is given")
    try:
        minor = money.to_minor(cast("Decimal | int | float | str", value), currency)
    except ValueError as error:
        raise invalid(f"{where}.{field}", str(error)) from error
    if minor < 0:
        raise invalid(f"{where}.{field}", "must not be negative")
    return minor


def currency_of(record: Mapping[str, object]) -> str | None:
    code = text(record, "currency")
    if code is not None and not money.is_currency(code):
        raise invalid("currency", "must be an ISO 4217 code such as NOK")
    return code


def instant(record: Mapping[str, object]) -> int:
    value = record.get("occurred_at")
    if not isinstance(value, str):
        raise invalid("occurred_at", "is required, as ISO 8601 with an offset")
    try:
        micros = clock.parse_instant(value)
        clock.to_datetime(micros)  # an offset may carry it out of the years that can be written
        return micros
    except (ValueError, OverflowError) as error:
        raise invalid("occurred_at", f"must be ISO 8601 with an offset: {error}") from error


def required(record: Mapping[str, object], field: str, where: str = "") -> str:
    value = text(record, field, where, required=True)
    assert value is not None
    return value


def text(
    record: Mapping[str, object], field: str, where: str = "", *, required: bool = False
) -> str | None:
    value = record.get(field)
    # Nearly every id is like this, and a fact has a dozen of them.
    if type(value) is str and 0 < len(value) <= LONGEST_ID and is_text(value):
        return value
    name = f"{where}.{field}" if where else field
    if value is None or value == "":
        if required:
            raise invalid(name, "is required")
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER:
        value = str(value)  # many shops number their orders and customers
    if not isinstance(value, str):
        raise invalid(name, "must be text")
    if len(value) > LONGEST_ID:
        raise invalid(name, f"is longer than {LONGEST_ID} characters")
    if not is_text(value):
        raise invalid(name, "holds characters that are not text")
    return value


def flag(record: Mapping[str, object], field: str) -> bool:
    """True or false; false where the field is missing."""
    value = record.get(field)
    if value is not None and not isinstance(value, bool):
        raise invalid(field, "must be true or false")
    return value is True


def refused(record: Mapping[str, object], field: str) -> bool:
    """Whether a yes or no that may be left open is a no."""
    value = record.get(field)
    if value is not None and not isinstance(value, bool):
        raise invalid(field, "must be true or false")
    return value is False


def share(record: Mapping[str, object], field: str) -> float | None:
    """A number from 0 to 1; None where the field is missing."""
    value = record.get(field)
    if value is None:
        return None
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise invalid(field, "must be a number from 0 to 1")
    try:
        inside = 0 <= value <= 1
    except ArithmeticError:  # a Decimal that is no number
        inside = False
    if not inside:
        raise invalid(field, "must be a number from 0 to 1")
    return float(value)


def is_id(value: str | None) -> bool:
    """Whether `text` would take it as an id; None stands for none."""
    return value is None or (0 < len(value) <= LONGEST_ID and is_text(value))


def display(value: str, longest: int = LONGEST_ID) -> str:
    """Words for people, cut and mended to what can be read back; ids are never treated so."""
    cut = value[:longest]
    return cut if is_text(cut) else cut.encode("utf-8", "replace").decode().replace("\x00", "")


def is_text(value: str) -> bool:
    """Whether every database and every UTF-8 file can hold it: no NUL, no half of a pair."""
    if "\x00" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def array(record: Mapping[str, object], field: str) -> Sequence[object]:
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid(field, "must be a list")
    entries = cast(list[object], value)
    if len(entries) > _MOST_ITEMS:
        raise invalid(field, f"holds more than {_MOST_ITEMS} entries")
    return entries


def json_object(data: object, where: str) -> Mapping[str, object]:
    # The plain type first: asking for a Mapping costs more than all the rest.
    if not isinstance(data, dict) and not isinstance(data, Mapping):
        raise invalid(where, "must be a JSON object")
    return cast(Mapping[str, object], data)


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def money_text(minor: int | None, currency: str | None) -> str | None:
    return None if minor is None or currency is None else money.to_text(minor, currency)


def without_none(record: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if value is not None}


def invalid(field: str, message: str) -> FactRejected:
    return FactRejected("invalid", f"{field} {message}")
