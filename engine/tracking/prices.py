"""Prices of the lines of a purchase after their discounts: without tax, and with it.

Prices are those that buyers are shown. Where they include tax it is subtracted as far as it is
known; where it is not known the price is taken as it is.
"""

from __future__ import annotations

from mersalg.engine import money
from mersalg.engine.facts import Event, PurchaseItem


def includes_tax(purchase: Event, *, shop: bool) -> bool:
    """Return whether prices of a purchase include tax, as it says itself, else as the shop does."""
    return shop if purchase.prices_include_tax is None else purchase.prices_include_tax


def tax_of(line: PurchaseItem, *, with_tax: bool) -> int | None:
    """Return the tax of a whole line in minor units; None where it is not known.

    Parameters
    ----------
    line : PurchaseItem
        The line.
    with_tax : bool
        Whether its price includes tax. A tax that is more than such a line costs is none.
    """
    tax = line.tax_minor
    stated = None if tax is None else _stated(line)
    if tax is None or stated is None or (with_tax and tax > stated):
        return None
    return tax


def line_values(order: Event, *, with_tax: bool) -> list[int | None]:
    """Return minor units of each line without tax, as far as it is known; None without a price."""
    values: list[int | None] = []
    for line in order.items:
        stated = _stated(line)
        included = (tax_of(line, with_tax=with_tax) or 0) if with_tax else 0
        values.append(None if stated is None else stated - included)
    return values


def line_payments(order: Event, *, with_tax: bool) -> list[int | None]:
    """Return what was paid for each line with tax, in minor units; None where it is not known."""
    paid: list[int | None] = []
    for line in order.items:
        stated, tax = _stated(line), line.tax_minor
        if with_tax or stated is None:
            paid.append(stated)
        else:
            paid.append(None if tax is None else stated + tax)
    return paid


def _stated(line: PurchaseItem) -> int | None:
    """Return minor units of a line as its price states it."""
    if line.price_minor is None:
        return None
    return money.scale(line.price_minor, line.quantity, 1) - line.discount_minor
