"""Which offer each bought line is credited to, and its worth: one outcome for each offer.

In this order: the offer that the line names; else the last shown offer of its item in the same
checkout; else, where a window is configured, the last such offer to the same unit. The
conversion rule must hold for that one offer, else nothing converts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine import money
from engine.clock import MICROS_PER_DAY
from engine.config import Impressions
from engine.facts import Decision, Event, PurchaseItem, Quantity, UnitPrice
from engine.tracking.history import History, Order, PlacedOffer


def cart_units(decision: Decision, item_id: str) -> Quantity:
    """Return the units of an item in the cart of a decision."""
    return sum((line.quantity for line in decision.lines if line.item_id == item_id), start=0)


def rule_holds(placed: PlacedOffer, order: Order, window: int = 0) -> bool:
    """Return whether buying the offer's item in `order` is a conversion.

    Cross-sell: bought in the decision's checkout (or within `window` after it), not before the
    decision, and not in the decision's cart. Upsell: likewise, and the order holds fewer units of
    the base item than the cart at the decision did.

    Parameters
    ----------
    placed : PlacedOffer
        The offer.
    order : Order
        An order that has the offer's item.
    window : int
        Microseconds.
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
    """Return the units of the base item that the cart had and the order has not.

    0 for a cross-sell.
    """
    replaces = placed.offer.replaces
    if replaces is None:
        return 0
    return cart_units(placed.decision, replaces.item_id) - order.quantities.get(replaces.item_id, 0)


class Worth:
    """The worth of the credited lines of one order; each replaced unit is counted once.

    Call `of` in the order of the lines: earlier lines take the replaced units of a base item first.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._replaced: defaultdict[str, Quantity] = defaultdict(int)

    def of(
        self, placed: PlacedOffer, line: PurchaseItem, remaining: Quantity
    ) -> tuple[int | None, int | None]:
        """Return gross and net minor units of a credited line; None where a price is unknown.

        Cross-sell: unit price x quantity - discount. Upsell: (better - base unit price) x
        replaced units; the discount of the line is not caused by the offer and is left out. The
        price of the offer never takes the place of one paid: the offer may have been a gift.
        """
        price = line.price_minor
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

    def _difference(self, placed: PlacedOffer, price: UnitPrice | None) -> UnitPrice | None:
        """Return better less base unit price: the base as in the cart, else as in the offer."""
        replaces = placed.offer.replaces
        assert replaces is not None
        for line in placed.decision.lines:
            if line.item_id == replaces.item_id and line.unit_price_minor is not None:
                base = self._same_money(placed, line.unit_price_minor)
                return None if price is None or base is None else price - base
        stated = self._same_money(placed, replaces.price_difference_minor)
        offered = placed.offer.unit_price_minor
        if stated is None or price is None or offered is None:
            return None
        return price - (offered - stated)

    def _same_money(self, placed: PlacedOffer, minor: UnitPrice | None) -> UnitPrice | None:
        """Return a price of the decision where the order is in the same currency, else None."""
        same = placed.decision.currency in (None, self._order.currency)
        return minor if same else None


def remaining_units(
    order: Event, returns: Sequence[Event], credited: Collection[int]
) -> list[Quantity]:
    """Return the units kept of each line of `order` after refunds and cancellations.

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


@dataclass(frozen=True, slots=True)
class Credit:
    """One bought line credited to an offer; money in minor units of the order's currency.

    `revenue_minor` is None where a price is unknown; `remaining` units were kept.
    """

    order: Order
    line: int
    quantity: Quantity
    remaining: Quantity
    revenue_minor: int | None
    net_revenue_minor: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one offer. Offers of the control arm are never shown and never credited."""

    placed: PlacedOffer
    shown: bool
    accepted: bool
    clicked_first: bool
    """Whether it was accepted at or before a purchase it was credited with."""
    credits: tuple[Credit, ...]

    @property
    def converted(self) -> bool:
        """Whether a bought line is credited to the offer."""
        return bool(self.credits)

    @property
    def kept(self) -> bool:
        """Whether it converted and a credited unit was neither refunded nor cancelled."""
        return any(credit.remaining > 0 for credit in self.credits)


def outcomes(history: History, impressions: Impressions, window_days: int) -> dict[str, Outcome]:
    """Return the outcome of each offer_id, in the order of decisions.

    Parameters
    ----------
    history : History
        The facts.
    impressions : Impressions
        When an offer counts as shown.
    window_days : int
        Days after a decision in which a purchase of the same unit outside of the checkout is
        credited; 0 credits the same checkout only.
    """
    return _Attribution(history, impressions, window_days * MICROS_PER_DAY).outcomes()


class _Attribution:
    def __init__(self, history: History, impressions: Impressions, window: int) -> None:
        self._history, self._window = history, window
        self._shown_at = _first_shown(history, impressions)
        self._by_checkout: Mapping[tuple[str, str], list[PlacedOffer]] = defaultdict(list)
        self._by_unit: Mapping[tuple[str, str], list[PlacedOffer]] = defaultdict(list)
        shown = [history.offers[offer_id] for offer_id in self._shown_at]
        for placed in sorted(shown, key=lambda each: each.recency, reverse=True):
            item = placed.offer.item_id
            self._by_checkout[placed.decision.checkout_id, item].append(placed)
            if window:
                self._by_unit[placed.unit, item].append(placed)

    def outcomes(self) -> dict[str, Outcome]:
        owed: defaultdict[str, list[Credit]] = defaultdict(list)
        for order in self._history.orders:
            for offer_id, credit in self._credits(order):
                owed[offer_id].append(credit)
        return {
            offer_id: self._outcome(placed, owed.get(offer_id, ()))
            for offer_id, placed in self._history.offers.items()
        }

    def _credits(self, order: Order) -> list[tuple[str, Credit]]:
        owed: dict[int, PlacedOffer] = {}
        for place, line in enumerate(order.purchase.items):
            placed = self._creditor(order, line)
            if placed is not None and rule_holds(placed, order, self._window):
                owed[place] = placed
        if not owed:
            return []
        returns = self._history.returns.get(order.transaction_id, ())
        left = remaining_units(order.purchase, returns, owed)
        worth = Worth(order)
        found: list[tuple[str, Credit]] = []
        for place, placed in owed.items():
            line = order.purchase.items[place]
            gross, net = worth.of(placed, line, left[place])
            credit = Credit(order, place, line.quantity, left[place], gross, net)
            found.append((placed.offer.offer_id, credit))
        return found

    def _creditor(self, order: Order, line: PurchaseItem) -> PlacedOffer | None:
        """Return the one offer that a line may be credited to."""
        if line.offer_id is not None:
            placed = self._history.offers.get(line.offer_id)
            shown = placed is not None and placed.offer.offer_id in self._shown_at
            return placed if placed and shown and placed.offer.item_id == line.item_id else None
        if order.checkout_id is not None:
            in_checkout = self._by_checkout.get((order.checkout_id, line.item_id), ())
            last = self._last(in_checkout, order, None)
            if last is not None:
                return last
        if not self._window:
            return None
        to_unit = self._by_unit.get((order.unit, line.item_id), ())
        return self._last(to_unit, order, order.placed_at - self._window)

    def _last(
        self, latest_first: Sequence[PlacedOffer], order: Order, since: int | None
    ) -> PlacedOffer | None:
        for placed in latest_first:
            decided_at = placed.decision.occurred_at
            if since is not None and decided_at < since:
                return None
            shown_at = self._shown_at[placed.offer.offer_id]
            if decided_at <= order.placed_at and shown_at <= order.placed_at:
                return placed
        return None

    def _outcome(self, placed: PlacedOffer, owed: Sequence[Credit]) -> Outcome:
        offer_id = placed.offer.offer_id
        shown = offer_id in self._shown_at
        accepted_at = self._history.accepted_at.get(offer_id) if shown else None
        clicked_first = accepted_at is not None and any(
            accepted_at <= credit.order.placed_at for credit in owed
        )
        return Outcome(placed, shown, accepted_at is not None, clicked_first, tuple(owed))


def _first_shown(history: History, impressions: Impressions) -> dict[str, int]:
    """Return when each offer_id was first shown; without offers never shown and all ghosts."""
    named: dict[str, int] = {}
    for order in history.orders:
        for line in order.purchase.items:
            if line.offer_id is not None:
                named.setdefault(line.offer_id, order.placed_at)
    shown: dict[str, int] = {}
    for offer_id, placed in history.offers.items():
        if placed.decision.arm != "treatment":
            continue
        if impressions == "served":
            shown[offer_id] = placed.decision.occurred_at
            continue
        signs = (history.viewed_at, history.accepted_at, named)
        instants = [sign[offer_id] for sign in signs if offer_id in sign]
        if instants:
            shown[offer_id] = min(instants)
    return shown
