"""The conversion rule: which bought lines an offer sold, and what they are worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mersalg.engine import money
from mersalg.engine.facts import CartLine, Decision, Quantity
from mersalg.engine.tracking.history import CLOCK_TOLERANCE, History, Order, PlacedOffer
from mersalg.engine.tracking.order_lines import tax_of


def cart_units(decision: Decision, item_id: str) -> Quantity:
    """Return the units of an item in the cart of a decision."""
    return sum((line.quantity for line in decision.lines if line.item_id == item_id), start=0)


@dataclass(frozen=True, slots=True)
class Bought:
    """Purchase of an offer by one line of an order, by the conversion rule."""

    placed: PlacedOffer
    order: Order
    line: int
    """Place of the line in the order."""
    quantity: Quantity
    """Units of the line that the offer sold: all of a cross-sell, of an upsell those that took the
    place of base units."""
    replaced: Quantity
    """Base units that left the cart for them; 0 for a cross-sell."""
    cart_with_tax: bool
    """Whether prices of carts include tax."""

    def worth(
        self, remaining: Quantity, refunded: Fraction = Fraction(0)
    ) -> tuple[int | None, int | None]:
        """Return gross and net minor units; None where a price is unknown.

        Cross-sell: what the line cost after its discount. Upsell: what the better units cost less
        what the replaced units cost in the cart, both after discounts; negative where the bill
        fell. Both are without tax, by the tax of the line. A price is never taken from the offer:
        what it offered may have been a gift.

        `remaining` units of the line were neither refunded nor cancelled; `refunded` minor units of
        it were given back beyond what the returned units cost.
        """
        line, base = self.order.purchase.items[self.line], self._base_cost()
        if line.price_minor is None or base is None:
            return None, None
        cost = Fraction(line.price_minor) * Fraction(line.quantity) - line.discount_minor
        tax = tax_of(line, with_tax=self.order.with_tax) or 0
        paid = cost if self.order.with_tax else cost + tax
        cost = paid - tax
        if self.cart_with_tax and paid:
            base *= cost / paid
        part = Fraction(self.quantity) / Fraction(line.quantity)
        gross = round(cost * part - base)
        net = money.scale(gross, min(self.quantity, remaining), self.quantity)
        return gross, net - round(refunded * part)

    @property
    def is_untaxed(self) -> bool:
        """Whether a price includes tax and it is not known how much."""
        line, with_tax = self.order.purchase.items[self.line], self.order.with_tax
        includes = with_tax or (self.cart_with_tax and self.replaced > 0)
        return includes and tax_of(line, with_tax=with_tax) is None

    @property
    def is_repriced(self) -> bool:
        """Whether an upsell was bought at another unit price than it was offered at."""
        offered, line = self.placed.offer.unit_price_minor, self.order.purchase.items[self.line]
        if not self.replaced or not self._is_in_money_of_order:
            return False
        if self.order.with_tax != self.cart_with_tax:
            return False  # one of them is with tax, the other without
        return None not in (offered, line.price_minor) and line.price_minor != offered

    @property
    def _is_in_money_of_order(self) -> bool:
        return self.placed.decision.currency in (None, self.order.currency)

    def _base_cost(self) -> Fraction | None:
        """Return what the replaced units cost, by the cart, else by what the offer said of it."""
        replaces, decision = self.placed.offer.replaces, self.placed.decision
        if replaces is None:
            return Fraction(0)
        if not self._is_in_money_of_order:
            return None
        lines = [line for line in decision.lines if line.item_id == replaces.item_id]
        paid = [_paid(line) for line in lines]
        units = Fraction(self.replaced)
        if None not in paid:
            total = sum((amount for amount in paid if amount is not None), start=Fraction(0))
            return total * units / Fraction(cart_units(decision, replaces.item_id))
        offered, difference = self.placed.offer.unit_price_minor, replaces.price_difference_minor
        return None if offered is None or difference is None else (offered - difference) * units


def _paid(line: CartLine) -> Fraction | None:
    if line.unit_price_minor is None:
        return None
    cost = Fraction(line.unit_price_minor) * Fraction(line.quantity) - line.discount_minor
    return max(cost, Fraction(0))  # as in the offer: nobody is paid for taking something


class ConversionRule:
    """The rule by which buying the item of an offer is a conversion.

    Cross-sell: bought in the decision's checkout (or within a window after it), not before the
    decision, and not in the decision's cart. Upsell: bought so, and all orders of the checkout (and
    of the unit within the window) together hold fewer units of the base item than the cart did: a
    replacement and not an addition. A line that names an offer belongs to the offer's checkout.

    Orders of the decision's checkout count for `checkout` microseconds after it (None: for ever),
    those of its unit, wherever they were made, for `window`. Without `by_offers` all lines of an
    order belong to the checkout that the purchase itself names.
    """

    def __init__(
        self,
        history: History,
        window: int = 0,
        checkout: int | None = None,
        *,
        by_offers: bool = True,
    ) -> None:
        self._history, self._window, self._checkout = history, window, checkout
        self._by_offers = by_offers
        self._by_unit: Mapping[str, list[Order]] = defaultdict(list)
        for order in history.orders if window else ():
            self._by_unit[order.unit].append(order)

    def holds(self, placed: PlacedOffer, order: Order, line: int, *, named: bool = False) -> bool:
        """Return whether a line of `order`, which has the offer's item, may be a conversion.

        One that is `named` was bought after the decision, whatever the clocks say as far as they
        may differ.
        """
        passed = order.placed_at - placed.decision.occurred_at
        if self._checkouts(order)[line] == placed.decision.checkout_id:
            if passed < (-CLOCK_TOLERANCE if named else 0) or self._is_over(placed, order):
                return False
        elif not self._is_within_window(placed, order):
            return False
        if placed.offer.kind == "cross_sell":
            return cart_units(placed.decision, placed.offer.item_id) == 0
        return self._vanished(placed) > 0

    def _is_over(self, placed: PlacedOffer, order: Order) -> bool:
        """Return whether an order comes after the time in which those of the checkout count."""
        passed = order.placed_at - placed.decision.occurred_at
        return self._checkout is not None and passed > self._checkout

    def _is_within_window(self, placed: PlacedOffer, order: Order) -> bool:
        passed = order.placed_at - placed.decision.occurred_at
        return 0 <= passed <= self._window and self._window > 0

    def _vanished(self, placed: PlacedOffer) -> Quantity:
        """Return the base units of an upsell that the cart had and nobody bought."""
        assert placed.offer.replaces is not None
        decision, base = placed.decision, placed.offer.replaces.item_id
        left = cart_units(decision, base)
        for order in self._history.orders_of.get(decision.checkout_id, ()):
            if self._is_over(placed, order):
                break
            left -= self._units(order, base, lambda of: of == decision.checkout_id)
        for order in self._by_unit.get(placed.unit, ()):
            if self._is_within_window(placed, order):
                left -= self._units(order, base, lambda of: of != decision.checkout_id)
        return left

    def _units(
        self, order: Order, item_id: str, of_checkout: Callable[[str | None], bool]
    ) -> Quantity:
        """Return the units of an item in the lines that belong to some checkouts."""
        lines = zip(order.purchase.items, self._checkouts(order), strict=True)
        return sum(
            (line.quantity for line, of in lines if line.item_id == item_id and of_checkout(of)),
            start=0,
        )

    def _checkouts(self, order: Order) -> Sequence[str | None]:
        """Return the checkout that each line of an order belongs to."""
        if self._by_offers:
            return order.line_checkouts
        return [order.purchase.checkout_id] * len(order.purchase.items)

    def bought(self, lines: Iterable[tuple[PlacedOffer, Order, int]]) -> list[Bought]:
        """Return what lines bought of the offers that the rule holds for, in their order.

        Each line is given by the offer that it may be credited to, its order and its place there.
        Base units that left a cart are shared out one to each better unit, by the position of the
        offers; what is left of them is charged to the last better unit. So there are no more
        conversions than base units replaced.
        """
        purchases: list[Bought] = []
        exchanges: defaultdict[tuple[str, str], list[Bought]] = defaultdict(list)
        for placed, order, index in lines:
            quantity = order.purchase.items[index].quantity
            each = Bought(placed, order, index, quantity, 0, self._history.prices_include_tax)
            if placed.offer.replaces is None:
                purchases.append(each)
            else:
                cart = (placed.decision.checkout_id, placed.offer.replaces.item_id)
                exchanges[cart].append(each)
        for candidates in exchanges.values():
            purchases += self._exchanged(candidates)
        return sorted(purchases, key=_in_order)

    def _exchanged(self, candidates: Sequence[Bought]) -> list[Bought]:
        """Share out the units of one base item that left one cart."""
        sold: list[Bought] = []
        taken: Quantity = 0
        for candidate in sorted(candidates, key=_by_position):
            units = min(candidate.quantity, self._vanished(candidate.placed) - taken)
            if units > 0:
                sold.append(replace(candidate, quantity=units, replaced=units))
                taken += units
        if sold:
            rest = max(self._vanished(sold[-1].placed) - taken, 0)
            sold[-1] = replace(sold[-1], replaced=sold[-1].replaced + rest)
        return sold


def _in_order(bought: Bought) -> tuple[int, str, int]:
    order = bought.order
    return order.placed_at, order.purchase.event_id, bought.line


def _by_position(
    bought: Bought,
) -> tuple[int, tuple[int, str, str, int, str], tuple[int, str, int]]:
    placed = bought.placed
    return placed.offer.position, placed.recency, _in_order(bought)
