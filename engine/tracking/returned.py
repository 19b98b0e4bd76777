"""What is left of an order after its refunds and cancellations."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.facts import Event, PurchaseItem, Quantity


def remaining_units(
    order: Event, returns: Sequence[Event], credited: Collection[int]
) -> list[Quantity]:
    """Units kept of each line of `order`.

    A cancellation, and a refund that names no items, takes everything. A refunded item is taken
    from lines that name the same offer first, then from the `credited` lines (so that net rates
    never flatter), then from the others; never more than was bought.
    """
    left: list[Quantity] = [line.quantity for line in order.items]
    for event in returns:
        if event.type == "cancel" or not event.items:
            return [0] * len(left)
        for item in event.items:
            _take(order.items, left, item, credited)
    return left


def _take(
    lines: Sequence[PurchaseItem],
    left: list[Quantity],
    item: PurchaseItem,
    credited: Collection[int],
) -> None:
    def turn(place: int) -> tuple[bool, bool, int]:
        same_offer = item.offer_id is not None and lines[place].offer_id == item.offer_id
        return (not same_offer, place not in credited, place)

    wanted = item.quantity
    for place in sorted(range(len(lines)), key=turn):
        if lines[place].item_id == item.item_id and wanted > 0:
            taken = min(wanted, left[place])
            left[place] -= taken
            wanted -= taken
