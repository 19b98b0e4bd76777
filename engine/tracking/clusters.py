"""The eligible checkouts of both arms, each judged by the first decision with offers of the kind.

What buyers do with the offers of that decision decides what they are offered next, so later ones
play no part. Nor do views, clicks and attribution: both arms are judged alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mersalg.engine import money
from mersalg.engine.facts import Decision, Kind
from mersalg.engine.tracking.conversion import Bought, ConversionRule
from mersalg.engine.tracking.history import CLOCK_TOLERANCE, History, Order, PlacedOffer
from mersalg.engine.tracking.order_lines import (
    line_values,
    refunded_by_line,
    remaining_units,
)
from mersalg.engine.tracking.strata import WHOLE, Cluster, Clusters, Stratum


def stratum_of(decision: Decision) -> Stratum:
    """Return the arm and the stated control share of a decision."""
    share = decision.control_share
    return decision.arm, None if share is None else round(share * WHOLE)


def first_with_offers(history: History, checkout_id: str, kind: Kind) -> Decision | None:
    """Return the decision that a checkout is judged by; None without offers of the kind."""
    decided = history.checkouts[checkout_id]
    return next(
        (decision for decision in decided if any(offer.kind == kind for offer in decision.offers)),
        None,
    )


Judged = Mapping[str, Sequence[PlacedOffer]]
"""By checkout, the offers of a kind that it is judged by: all are of one decision."""


def judged_by(history: History, offers: Iterable[PlacedOffer]) -> Judged:
    """Return those of some offers of one kind that checkouts are judged by, in their order."""
    judged: dict[str, list[PlacedOffer]] = {}
    for placed in offers:
        checkout_id = placed.decision.checkout_id
        if placed.decision is first_with_offers(history, checkout_id, placed.offer.kind):
            judged.setdefault(checkout_id, []).append(placed)
    return judged


def is_drawn(decision: Decision) -> bool:
    """Return whether a decision may have been of either arm; so is one that states no share."""
    return stratum_of(decision)[1] not in (0, WHOLE)


def clusters_of(history: History, judged: Judged, currency: str | None) -> Clusters:
    """Judge checkouts by the offers of one kind that are given for each.

    Money in `currency` only: checkouts with an order in another have no part in it.
    """
    # Only treatment can name an offer, so what a line names ties nothing to a checkout here.
    rule = ConversionRule(history, by_offers=False)
    clusters: defaultdict[tuple[Stratum, str], Cluster] = defaultdict(Cluster)
    for of_checkout in judged.values():
        first = of_checkout[0].decision
        orders = orders_after(history, first)
        latest_first = sorted(of_checkout, key=lambda placed: placed.recency, reverse=True)
        bought = bought_of(rule, latest_first, orders)
        cluster = clusters[stratum_of(first), history.units[first.decision_id]]
        cluster.add(checkout_of(history, orders, bought, currency))
    return clusters


class Baskets:
    """All checkouts that units began, each by its first decision, and what was bought in them.

    Checkouts whose first decision could be of one arm only stay out.

    Parameters
    ----------
    history : History
        All facts.
    decisions : iterable of Decision
        Those of the checkouts, in order.
    currency : str or None
        Of the money.

    Attributes
    ----------
    begun : mapping
        Unit -> the first decisions of its checkouts, in order.
    """

    def __init__(
        self, history: History, decisions: Iterable[Decision], currency: str | None
    ) -> None:
        self._history, self._currency = history, currency
        self._counted: dict[str, Cluster] = {}
        self.begun: defaultdict[str, list[Decision]] = defaultdict(list)
        seen: set[str] = set()
        for decision in decisions:
            if decision.checkout_id not in seen and is_drawn(decision):
                self.begun[history.units[decision.decision_id]].append(decision)
            seen.add(decision.checkout_id)

    def of_unit(self, unit: str, judged: Judged) -> Iterator[tuple[Decision, Cluster]]:
        """Yield the first decision of each checkout that is not `judged`, and its orders' worth."""
        for decision in self.begun.get(unit, ()):
            if decision.checkout_id not in judged:
                yield decision, self._basket(decision)

    def _basket(self, first: Decision) -> Cluster:
        counted = self._counted.get(first.checkout_id)
        if counted is None:
            orders = orders_after(self._history, first)
            counted = checkout_of(self._history, orders, (), self._currency)
            counted.checkouts = 0
            self._counted[first.checkout_id] = counted
        return counted


def orders_after(history: History, decision: Decision) -> Sequence[Order]:
    """Return the orders that name the checkout of a decision, as far as clocks may differ."""
    return [
        order
        for order in history.orders_of.get(decision.checkout_id, ())
        if order.purchase.checkout_id == decision.checkout_id
        and order.placed_at >= decision.occurred_at - CLOCK_TOLERANCE
    ]


def checkout_of(
    history: History, orders: Sequence[Order], bought: Sequence[Bought], currency: str | None
) -> Cluster:
    """Count one checkout, its orders and what was bought in them of the offers."""
    counted = Cluster(checkouts=1, converted=bool(bought), orders=len(orders))
    counted.foreign = any(order.currency not in (None, currency) for order in orders)
    for order in orders:
        of_order = [sale for sale in bought if sale.order is order]
        returns = history.returns.get(order.transaction_id, ())
        # A refund that names an offer says which of two equal lines came back; control cannot.
        lines = {each.line for each in of_order}
        left = remaining_units(order.purchase, returns, lines, by_offer=False)
        beyond = refunded_by_line(
            order.purchase, returns, lines, with_tax=order.with_tax, by_offer=False
        )
        counted.kept_orders += any(left)
        counted.completed |= all(returned.type != "cancel" for returned in returns)
        for each in of_order:
            n_kept = min(each.quantity, left[each.line])
            counted.offered_units += round(each.quantity * WHOLE)
            counted.kept_units += round(n_kept * WHOLE)
            counted.kept |= n_kept > 0
        if not counted.foreign:
            amounts = [each.worth(left[each.line], beyond[each.line]) for each in of_order]
            counted.offer_revenue += sum(gross or 0 for gross, _ in amounts)
            counted.net_offer_revenue += sum(net or 0 for _, net in amounts)
            values = line_values(order.purchase, with_tax=order.with_tax)
            counted.order_revenue += sum(value or 0 for value in values)
            counted.net_order_revenue += sum(
                money.scale(value or 0, units, line.quantity) - round(back)
                for value, units, line, back in zip(
                    values, left, order.purchase.items, beyond, strict=True
                )
            )
    return counted


def bought_of(
    rule: ConversionRule, latest_first: Sequence[PlacedOffer], orders: Sequence[Order]
) -> list[Bought]:
    """Return what was bought of the offers, each line by the last for which the rule holds."""
    lines: list[tuple[PlacedOffer, Order, int]] = []
    for order in orders:
        for index, line in enumerate(order.purchase.items):
            for placed in latest_first:
                if placed.offer.item_id == line.item_id and rule.holds(
                    placed,
                    order,
                    index,
                    # As far as clocks may differ, in both arms: only treatment names offers.
                    named=True,
                ):
                    lines.append((placed, order, index))
                    break
    return rule.bought(lines)
