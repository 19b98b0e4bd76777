"""Credit each bought line to an offer, with its worth: one outcome for each offer.

In this order: the offer that the line names, in whatever checkout it was made; else the last shown
offer of its item in the same checkout; both for some days after the decision; else, where a window
is configured, the last such offer to the same unit. The conversion rule must hold for that one
offer, else nothing converts. A name that is that of no offer (a campaign of the shop, say) is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.config import CHECKOUT_DAYS, Impressions
from mersalg.engine.facts import PurchaseItem, Quantity
from mersalg.engine.tracking.conversion import Bought, ConversionRule
from mersalg.engine.tracking.history import History, Order, PlacedOffer
from mersalg.engine.tracking.order_lines import refunded_by_line, remaining_units


@dataclass(frozen=True, slots=True)
class Credit:
    """One bought line credited to an offer; money in minor units of the order's currency.

    `revenue_minor` is None where a price is unknown; `remaining` units of the line were kept.
    `untaxed`: it includes a tax that is not known.
    """

    order: Order
    remaining: Quantity
    revenue_minor: int | None
    net_revenue_minor: int | None
    repriced: bool
    untaxed: bool


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


def outcomes(
    history: History,
    impressions: Impressions,
    window_days: int = 0,
    checkout_days: int = CHECKOUT_DAYS,
) -> dict[str, Outcome]:
    """Return the outcome of each offer_id, in the order of decisions.

    Purchases of the offer's checkout are credited for `checkout_days` after the decision, those of
    the same unit outside of it for `window_days`; 0 credits the same checkout only.
    """
    window, checkout = window_days * MICROS_PER_DAY, checkout_days * MICROS_PER_DAY
    return _Attribution(history, impressions, window, checkout).outcomes()


class _Attribution:
    def __init__(
        self, history: History, impressions: Impressions, window: int, checkout: int
    ) -> None:
        self._history, self._window, self._checkout = history, window, checkout
        self._shown_at = _first_shown(history, impressions)
        self._rule = ConversionRule(history, window, checkout)
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
        sales = self._rule.bought(self._lines())
        for _, bought in groupby(sales, attrgetter("order.transaction_id")):
            for offer_id, credit in self._credits(list(bought)):
                owed[offer_id].append(credit)
        return {
            offer_id: self._outcome(placed, owed.get(offer_id, ()))
            for offer_id, placed in self._history.offers.items()
        }

    def _lines(self) -> Iterator[tuple[PlacedOffer, Order, int]]:
        for order in self._history.orders:
            for index, line in enumerate(order.purchase.items):
                placed = self._creditor(order, line)
                named = placed is not None and placed.offer.offer_id == line.offer_id
                if placed is not None and self._rule.holds(placed, order, index, named=named):
                    yield placed, order, index

    def _credits(self, bought: Sequence[Bought]) -> Iterator[tuple[str, Credit]]:
        """Yield the credits of one order."""
        order = bought[0].order
        returns = self._history.returns.get(order.transaction_id, ())
        lines = {sale.line for sale in bought}
        left = remaining_units(order.purchase, returns, lines)
        beyond = refunded_by_line(order.purchase, returns, lines, with_tax=order.with_tax)
        for sale in bought:
            remaining = left[sale.line]
            gross, net = sale.worth(remaining, beyond[sale.line])
            untaxed = gross is not None and sale.is_untaxed
            credit = Credit(order, remaining, gross, net, sale.is_repriced, untaxed)
            yield sale.placed.offer.offer_id, credit

    def _creditor(self, order: Order, line: PurchaseItem) -> PlacedOffer | None:
        """Return the one offer that a line may be credited to."""
        placed = self._history.offers.get(line.offer_id or "")
        if placed is not None:
            shown = placed.offer.offer_id in self._shown_at
            return placed if shown and placed.offer.item_id == line.item_id else None
        if order.checkout_id is not None:
            in_checkout = self._by_checkout.get((order.checkout_id, line.item_id), ())
            last = self._last(in_checkout, order, order.placed_at - self._checkout)
            if last is not None:
                return last
        if not self._window:
            return None
        to_unit = self._by_unit.get((order.unit, line.item_id), ())
        return self._last(to_unit, order, order.placed_at - self._window)

    def _last(
        self, latest_first: Sequence[PlacedOffer], order: Order, since: int
    ) -> PlacedOffer | None:
        for placed in latest_first:
            decided_at = placed.decision.occurred_at
            if decided_at < since:
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
