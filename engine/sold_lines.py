"""The lines of an order that sell an item, and amounts of a whole order spread over them.

Shops send more lines than they sell items: tips and fees without an id, coupons with a negative
price, gift cards that paid. None of them may cost an order its other lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from mersalg.engine import money
from mersalg.engine.fact_fields import parse_number
from mersalg.engine.fact_schema import ItemBody

_GIFT_CARD = re.compile(r"gift[\W_]*card|gavekort|geschenk[\W_]*karte|gutschein", re.IGNORECASE)


def sold_lines(lines: Sequence[ItemBody], currency: str | None) -> Sequence[ItemBody]:
    """Return the lines that sell an item; all of them where none does.

    What lines of a negative price take off the order, other than gift cards, is a discount on the
    others, spread by what they cost.
    """
    odd = [line for line in lines if _is_odd(line)]
    sold = [line for line in lines if not _is_odd(line)] if odd else lines
    if not odd or not sold:
        return lines
    off = sum((_money_off(line) for line in odd), Decimal(0))
    shares = spread(off, [_cost(line) for line in sold], currency) if off and currency else None
    if shares is None:
        return sold
    return [
        replace(line, discount=str(_number(line.discount) + share))
        for line, share in zip(sold, shares, strict=True)
    ]


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


def units(line: ItemBody) -> Decimal:
    """Return the quantity of a line, 1 where none is stated, or none that can be taken."""
    return Decimal(1) if line.quantity is UNSET else _number(line.quantity, Decimal(1))


def _is_odd(line: ItemBody) -> bool:
    if line.item_id in (None, ""):
        return True
    return line.price is not None and _number(line.price) < 0 < units(line)


def _money_off(line: ItemBody) -> Decimal:
    """Return what a line of a negative price takes off; a gift card pays, and takes nothing off."""
    price = _number(line.price)
    is_payment = _GIFT_CARD.search(str(line.item_id or "")) is not None
    return Decimal(0) if price >= 0 or is_payment else -price * max(units(line), Decimal(0))


def _cost(line: ItemBody) -> Decimal | None:
    if line.price is None:
        return None
    return _number(line.price) * units(line) - _number(line.discount)


def _number(value: object, otherwise: Decimal = Decimal(0)) -> Decimal:
    """Return a number, `otherwise` where there is none that can be taken."""
    try:
        number = parse_number(value)
    except ValueError:
        return otherwise
    return number if number.is_finite() and number.adjusted() <= 15 else otherwise
