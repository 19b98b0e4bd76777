"""What all adapters do: reading loose JSON, and ids for events that bring none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast

from engine import money
from engine.errors import FactRejected, shown

Record = dict[str, object]
_LARGEST_EXPONENT = 20


def record_of(data: object, where: str) -> Mapping[str, object]:
    """A JSON object.

    Raises:
        FactRejected: it is something else.
    """
    if not isinstance(data, dict):
        raise FactRejected("invalid", f"{where} must be an object")
    return cast("Mapping[str, object]", data)


def list_of(record: Mapping[str, object], field: str) -> Sequence[object]:
    """A list that may be missing."""
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FactRejected("invalid", f"{field} must be a list")
    return cast("Sequence[object]", value)


def text_of(record: Mapping[str, object], *fields: str) -> str | None:
    """The first of `fields` that says something; numbers are ids too."""
    for field in fields:
        value = record.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    return None


def amount_of(record: Mapping[str, object], field: str) -> Decimal | None:
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


def flag_of(record: Mapping[str, object], field: str) -> bool | None:
    """Return true or false, None where it is neither."""
    value = record.get(field)
    return value if isinstance(value, bool) else None


def with_tax_of_order(lines: Sequence[Record], tax: Decimal | None, currency: str) -> list[Record]:
    """Return lines with the tax of their order, spread by what they cost after discounts."""
    shares = None if tax is None else _shares(tax, lines, currency)
    if shares is None:
        return [*lines]
    return [{**line, "tax": str(share)} for line, share in zip(lines, shares, strict=True)]


def with_discount_of_order(
    lines: Sequence[Record], discount: Decimal | None, currency: str
) -> list[Record]:
    """Return lines with a discount on their order, spread by what they cost, beside their own."""
    shares = _shares(discount, lines, currency) if discount else None
    if shares is None:
        return [*lines]
    return [
        {**line, "discount": str((amount_of(line, "discount") or Decimal(0)) + share)}
        for line, share in zip(lines, shares, strict=True)
    ]


def _shares(amount: Decimal, lines: Sequence[Record], currency: str) -> list[Decimal] | None:
    """Return an amount spread over lines by what they cost, in whole minor units.

    None where it is not known what they cost.
    """
    costs: list[Decimal] = []
    for line in lines:
        price, quantity = amount_of(line, "price"), amount_of(line, "quantity")
        if price is None or quantity is None:
            return None
        costs.append(max(price * quantity - (amount_of(line, "discount") or 0), Decimal(0)))
    total = sum(costs, Decimal(0))
    if not total:
        return None if amount else [Decimal(0) for _ in costs]
    unit = Decimal(1).scaleb(-money.minor_digits(currency))
    shares: list[Decimal] = []
    cost = given = Decimal(0)
    for each in costs:
        cost += each
        # Each share is what brings the sum so far nearest to its part: the sum of all is exact.
        shares.append((amount * cost / total).quantize(unit) - given)
        given += shares[-1]
    return shares


def without_none(record: Mapping[str, object]) -> Record:
    return {name: value for name, value in record.items() if value is not None}


def derived_id(prefix: str, content: object) -> str:
    """An id that the same content always has: a repeated delivery is known again."""
    text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return f"{prefix}/{hashlib.sha256(text.encode()).hexdigest()[:32]}"
