"""Which offer each bought line is owed to, and what it is worth: one outcome per offer.

In this order: the offer the line names; else the last shown offer of its item in the same
checkout; else, where a window is configured, the last such offer to the same unit. The
conversion rule must hold for that one offer, else nothing converts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.clock import MICROS_PER_DAY
from engine.config import Impressions
from engine.facts import PurchaseItem, Quantity
from engine.tracking.conversion import Worth, rule_holds
from engine.tracking.history import History, Order, PlacedOffer
from engine.tracking.returned import remaining_units


@dataclass(frozen=True, slots=True)
class Credit:
    """One bought line owed to an offer; money in minor units of the order's currency.

    `revenue_minor` is None where a price is not known; `remaining` units were kept.
    """

    order: Order
    line: int
    quantity: Quantity
    remaining: Quantity
    revenue_minor: int | None
    net_revenue_minor: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one offer. Offers of the control arm are never shown and never credited."""

    placed: PlacedOffer
    shown: bool
    accepted: bool
    clicked_first: bool
    """Accepted at or before a purchase it was credited with."""
    credits: tuple[Credit, ...]

    @property
    def converted(self) -> bool:
        return bool(self.credits)

    @property
    def kept(self) -> bool:
        """Converted, and at least one credited unit was neither refunded nor cancelled."""
        return any(credit.remaining > 0 for credit in self.credits)


def outcomes(history: History, impressions: Impressions, window_days: int) -> dict[str, Outcome]:
    """offer_id -> outcome, in the order of decisions."""
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
        """The one offer a line may be owed to."""
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
    """offer_id -> when the buyer first saw it; offers never shown, and all ghosts, are absent."""
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
