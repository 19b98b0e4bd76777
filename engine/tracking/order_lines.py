"""The lines of an order: their prices without tax and with it, and what returns leave of them.

Prices are those that buyers are shown, after discounts. Where they include tax it is subtracted as
far as it is known; where it is not known the price is taken as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction

from mersalg.engine.facts import Event, PurchaseItem, Quantity


def includes_tax(purchase: Event, *, shop: bool) -> bool:
    """Return whether prices of a purchase include tax, as it says itself, else as the shop does."""
    return shop if purchase.prices_include_tax is None else purchase.prices_include_tax


def tax_of(line: PurchaseItem, *, with_tax: bool) -> int | None:
    """Return the tax of a whole line in minor units; None where it is not known.

    Where its price is `with_tax`, a tax that is more than the line costs is none.
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
    return round(line.price_minor * line.quantity) - line.discount_minor  # half to even


def remaining_units(
    order: Event, returns: Sequence[Event], credited: Collection[int], *, by_offer: bool = True
) -> list[Quantity]:
    """Return the units kept of each line of `order` after refunds and cancellations.

    A cancellation, and a refund that names neither items nor an amount, takes everything. A
    refunded item is taken from lines that name the same offer first (`by_offer`), then from the
    `credited` lines (so that net rates never flatter), then from the others; never more than was
    bought.
    """
    left: list[Quantity] = [line.quantity for line in order.items]
    for _, taken in _taken(order, returns, credited, by_offer):
        left = [units - gone for units, gone in zip(left, taken, strict=True)]
    return left


def refunded_by_line(
    order: Event,
    returns: Sequence[Event],
    credited: Collection[int],
    *,
    with_tax: bool,
    by_offer: bool = True,
) -> list[Fraction]:
    """Return the minor units of each line given back beyond what the returned units cost.

    An amount pays for the units that its refund returns, by what they cost; what is left of it is
    spread over all lines by what they cost. So the result is negative where the shop kept a part of
    the price of returned units. Of no line is more given back than was paid for it. Amounts are
    with tax, the result is without, as far as it is known. `returns`, `credited` and `by_offer` are
    as of `remaining_units`.
    """
    if all(event.amount_minor is None for event in returns):
        return [Fraction(0)] * len(order.items)
    values = [max(value or 0, 0) for value in line_values(order, with_tax=with_tax)]
    payments = line_payments(order, with_tax=with_tax)
    paid = [
        Fraction(value if payment is None else max(payment, 0))
        for value, payment in zip(values, payments, strict=True)
    ]
    beyond = [Fraction(0)] * len(paid)
    remaining = list(paid)
    for event, taken in _taken(order, returns, credited, by_offer):
        if event.returns_all:
            return [Fraction(0)] * len(paid)
        cost = [
            whole * Fraction(units) / Fraction(line.quantity)
            for whole, units, line in zip(paid, taken, order.items, strict=True)
        ]
        remaining = [whole - part for whole, part in zip(remaining, cost, strict=True)]
        if event.amount_minor is None or event.currency != order.currency:
            continue
        for_units = min(Fraction(event.amount_minor), sum(cost, Fraction(0)))
        of_units = _spread(for_units, cost)
        rest = _spread(event.amount_minor - for_units, paid)
        for index in range(len(paid)):
            beyond[index] += of_units[index] + rest[index] - cost[index]
    return [
        min(more, left) * value / whole if whole else Fraction(0)
        for more, left, value, whole in zip(beyond, remaining, values, paid, strict=True)
    ]


def mismatched(order: Event, returns: Iterable[Event], *, with_tax: bool) -> Iterator[Event]:
    """Yield the refunds of more than was left of an order, or of money in another currency.

    `returns` are in order of time.
    """
    left: defaultdict[str, Quantity] = defaultdict(int)
    for line in order.items:
        left[line.item_id] += line.quantity
    paid = line_payments(order, with_tax=with_tax)
    money_left = None if None in paid else sum(max(amount or 0, 0) for amount in paid)
    for event in returns:
        for item in event.items:
            left[item.item_id] -= item.quantity
        is_wrong = any(left[item.item_id] < 0 for item in event.items)
        if event.amount_minor is not None and event.currency != order.currency:
            is_wrong = True
        elif event.amount_minor is not None and money_left is not None:
            money_left -= event.amount_minor
            is_wrong |= money_left < 0
        if is_wrong:
            yield event


def _spread(amount: Fraction, weights: Sequence[Fraction]) -> list[Fraction]:
    total = sum(weights, Fraction(0))
    return [amount * weight / total if total else Fraction(0) for weight in weights]


def _taken(
    order: Event, returns: Sequence[Event], credited: Collection[int], by_offer: bool
) -> Iterator[tuple[Event, list[Quantity]]]:
    """Yield each refund and cancellation with the units that it takes of each line."""
    left: list[Quantity] = [line.quantity for line in order.items]
    for event in returns:
        before = list(left)
        if event.returns_all:
            left = [0] * len(left)
        for item in event.items:
            _take(order.items, left, item, credited, item.offer_id if by_offer else None)
        yield event, [units - now for units, now in zip(before, left, strict=True)]


def _take(
    lines: Sequence[PurchaseItem],
    left: list[Quantity],
    item: PurchaseItem,
    credited: Collection[int],
    offer_id: str | None,
) -> None:
    def turn(index: int) -> tuple[bool, bool, int]:
        same_offer = offer_id is not None and lines[index].offer_id == offer_id
        return (not same_offer, index not in credited, index)

    wanted = item.quantity
    for index in sorted(range(len(lines)), key=turn):
        if lines[index].item_id == item.item_id and wanted > 0:
            taken = min(wanted, left[index])
            left[index] -= taken
            wanted -= taken
