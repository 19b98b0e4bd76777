"""When buying an offered item is a conversion, and what the conversion is worth."""

from __future__ import annotations

from collections import defaultdict

from engine import money
from engine.facts import Decision, PurchaseItem, Quantity
from engine.tracking.history import Order, PlacedOffer


def cart_units(decision: Decision, item_id: str) -> Quantity:
    """Units of an item in the cart of a decision."""
    return sum((line.quantity for line in decision.lines if line.item_id == item_id), start=0)


def rule_holds(placed: PlacedOffer, order: Order, window: int = 0) -> bool:
    """Whether buying the offer's item in `order` is a conversion; the item itself is in the order.

    Cross-sell: bought in the decision's checkout (or within `window` microseconds after it), not
    before the decision, and not in the decision's cart. Upsell: likewise, and the order holds
    fewer units of the base item than the cart at the decision did.
    """
    offer, decision = placed.offer, placed.decision
    passed = order.placed_at - decision.occurred_at
    elsewhere = order.checkout_id != decision.checkout_id
    if passed < 0 or (elsewhere and (not window or passed > window)):
        return False
    if offer.kind == "cross_sell":
        return cart_units(decision, offer.item_id) == 0
    return replaceable_units(placed, order) > 0


def replaceable_units(placed: PlacedOffer, order: Order) -> Quantity:
    """Units of the base item that the cart held and the order does not; 0 for a cross-sell."""
    replaces = placed.offer.replaces
    if replaces is None:
        return 0
    return cart_units(placed.decision, replaces.item_id) - order.quantities.get(replaces.item_id, 0)


class Worth:
    """What credited lines of one order are worth; each replaced unit is counted once.

    Ask in the order of the lines: earlier lines take the replaced units of a base item first.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._replaced: defaultdict[str, Quantity] = defaultdict(int)

    def of(
        self, placed: PlacedOffer, line: PurchaseItem, remaining: Quantity
    ) -> tuple[int | None, int | None]:
        """Gross and net minor units of a line owed to an offer; None where a price is unknown.

        Cross-sell: unit price x quantity - discount. Upsell: (better - base unit price) x
        replaced units; the discount of the line is not the offer's doing and stays out.
        """
        price = line.price_minor
        if price is None:
            price = self._same_money(placed, placed.offer.unit_price_minor)
        if placed.offer.kind == "cross_sell":
            if price is None:
                return None, None
            gross = money.scale(price, line.quantity, 1) - line.discount_minor
            return gross, money.scale(gross, remaining, line.quantity)
        replaced = self._take_replaced(placed, line.quantity)
        difference = self._difference(placed, price)
        if difference is None:
            return None, None
        return (
            money.scale(difference, replaced, 1),
            money.scale(difference, min(replaced, remaining), 1),
        )

    def _take_replaced(self, placed: PlacedOffer, quantity: Quantity) -> Quantity:
        assert placed.offer.replaces is not None
        base = placed.offer.replaces.item_id
        free = replaceable_units(placed, self._order) - self._replaced[base]
        replaced = max(0, min(quantity, free))
        self._replaced[base] += replaced
        return replaced

    def _difference(self, placed: PlacedOffer, price: int | None) -> int | None:
        """Better less base unit price: the base as in the cart, else as the offer told."""
        replaces = placed.offer.replaces
        assert replaces is not None
        for line in placed.decision.lines:
            if line.item_id == replaces.item_id and line.unit_price_minor is not None:
                base = self._same_money(placed, line.unit_price_minor)
                return None if price is None or base is None else price - base
        told = self._same_money(placed, replaces.price_difference_minor)
        offered = placed.offer.unit_price_minor
        if told is None or price is None or offered is None:
            return told
        return price - (offered - told)

    def _same_money(self, placed: PlacedOffer, minor: int | None) -> int | None:
        """A price of the decision counts only where the order is in the same currency."""
        same = placed.decision.currency in (None, self._order.currency)
        return minor if same else None
