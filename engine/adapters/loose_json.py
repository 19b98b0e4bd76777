"""Read loose JSON and make ids for events that bring none, for all adapters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast

from msgspec import ValidationError, convert, to_builtins

from mersalg.engine import clock
from mersalg.engine.decoding import problem_of
from mersalg.engine.errors import FactRejected, shown
from mersalg.engine.fact_json import sold_lines
from mersalg.engine.fact_schema import ItemBody
from mersalg.engine.fact_values import lenient_units, parse_instant, spread
from mersalg.engine.facts import NOT_STATED

Record = dict[str, object]
Fields = Mapping[str, object]
"""A JSON object that is read."""
_LARGEST_EXPONENT = 20


def record_of(data: object, where: str) -> Fields:
    """Return a JSON object; raise FactRejected where it is something else."""
    if not isinstance(data, dict):
        raise FactRejected("invalid", f"{where} must be an object")
    return cast("Fields", data)


def list_of(record: Fields, field: str) -> Sequence[object]:
    """Return a list that may be missing, without entries that are null."""
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FactRejected("invalid", f"{field} must be a list")
    return [each for each in cast("Sequence[object]", value) if each is not None]


def records_of(record: Fields, field: str) -> list[Fields]:
    """Return a list of JSON objects, as `list_of`."""
    return [record_of(each, field) for each in list_of(record, field)]


def text_of(record: Fields, *fields: str) -> str | None:
    """Return the first of `fields` that has a value; numbers are ids too."""
    for field in fields:
        value = record.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    return None


def amount_of(record: Fields, field: str) -> Decimal | None:
    """Money or a quantity as exact as it was written; None where there is none."""
    value = record.get(field)
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise FactRejected("invalid", f"{field}: {shown(value)} is no number") from error
    if not amount.is_finite() or amount.adjusted() > _LARGEST_EXPONENT:
        raise FactRejected("invalid", f"{field}: {shown(value)} is no number")
    return amount


def flag_of(record: Fields, field: str) -> bool | None:
    """Return true or false, None where it is neither."""
    value = record.get(field)
    return value if isinstance(value, bool) else None


def instant_of(stated: str | None, received_at: int) -> Record:
    """Return when an event occurred: as its payload says, else when it came.

    Sent again later it is the same event: that it states no instant is a part of it.
    """
    if stated is not None:
        return {"occurred_at": stated}
    return {"occurred_at": clock.to_iso(received_at), "stated_at": clock.to_iso(NOT_STATED)}


def micros_of(stated: str) -> int:
    """Return the microseconds of an instant; raise FactRejected where it is none."""
    try:
        return parse_instant(stated)
    except ValueError as error:
        raise FactRejected("invalid", f"{shown(stated)} is no instant: {error}") from error


def goods_of_order(
    lines: Sequence[Record],
    currency: str | None,
    *,
    discount: Decimal | None = None,
    tax: Decimal | None = None,
) -> list[Record]:
    """Return the lines of an order that sell an item, with what is of the whole order.

    `discount` is spread by what the lines cost, beside their own discounts; then `tax`, by what is
    left of it.
    """
    try:
        bodies = convert([*lines], list[ItemBody])
    except ValidationError as error:
        raise FactRejected("invalid", "items{} {}".format(*problem_of(error))) from error
    # An edit leaves lines of no unit, a till has returns among what it sold.
    bodies = [line for line in bodies if lenient_units(line.quantity) > 0] or bodies
    goods = [to_builtins(line) for line in sold_lines(bodies, currency)]
    if currency is None:
        return goods
    if discount:
        goods = _with_shares(goods, "discount", discount, currency)
    return goods if tax is None else _with_shares(goods, "tax", tax, currency)


def _with_shares(lines: list[Record], field: str, amount: Decimal, currency: str) -> list[Record]:
    """Return lines with an amount spread over them, as far as it is known what they cost."""
    shares = spread(amount, [_cost(line) for line in lines], currency)
    if shares is None:
        return lines
    return [
        {**line, field: str((amount_of(line, field) or Decimal(0)) + share)}
        for line, share in zip(lines, shares, strict=True)
    ]


def _cost(line: Record) -> Decimal | None:
    price, quantity = amount_of(line, "price"), amount_of(line, "quantity")
    if price is None or quantity is None:
        return None
    return price * quantity - (amount_of(line, "discount") or 0)


def without_none(**fields: object) -> Record:
    """Return a record of the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def derived_id(prefix: str, content: object) -> str:
    """Return an id that the same content always has, so that a repeated delivery is a duplicate."""
    text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return f"{prefix}/{hashlib.sha256(text.encode()).hexdigest()[:32]}"
