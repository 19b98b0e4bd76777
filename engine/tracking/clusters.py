"""The eligible checkouts of both arms, each judged by the first decision with offers of the kind.

What buyers do with the offers of that decision decides what they are offered next, so later ones
play no part. Nor do views, clicks and attribution: both arms are judged alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from engine import money
from engine.facts import Decision, Kind
from engine.tracking.conversion import Bought, ConversionRule
from engine.tracking.history import CLOCK_TOLERANCE, History, Order, PlacedOffer
from engine.tracking.prices import line_values
from engine.tracking.returns import given_back, remaining_units
from engine.tracking.strata import WHOLE, Cluster, Clusters, Stratum


def stratum_of(decision: Decision) -> Stratum:
    """Return the arm and the stated control share of a decision."""
    share = decision.control_share
    return decision.arm, None if share is None else round(share * WHOLE)


def first_with_offers(history: History, checkout_id: str, kind: Kind) -> Decision | None:
    """Return the decision that a checkout is judged by; None without offers of the kind."""
    decided = history.checkouts[checkout_id]
    return next(
        (each for each in decided if any(offer.kind == kind for offer in each.offers)), None
    )


def clusters_of(history: History, offers: Iterable[PlacedOffer], currency: str | None) -> Clusters:
    """Judge every checkout whose first decision with offers of their kind had some of `offers`.

    Money in `currency` only: checkouts with an order in another have no part in it.
    """
    by_checkout: defaultdict[str, list[PlacedOffer]] = defaultdict(list)
    for placed in offers:
        by_checkout[placed.decision.checkout_id].append(placed)
    # Only treatment can name an offer, so what a line names ties nothing to a checkout here.
    rule = ConversionRule(history, by_offers=False)
    clusters: defaultdict[tuple[Stratum, str], Cluster] = defaultdict(Cluster)
    for checkout_id, of_checkout in by_checkout.items():
        kind = of_checkout[0].offer.kind
        first = first_with_offers(history, checkout_id, kind)
        judged = [each for each in of_checkout if each.decision is first]
        if first is None or not judged:
            continue
        orders = [
            order
            for order in history.orders_of.get(checkout_id, ())
            if order.purchase.checkout_id == checkout_id
            and order.placed_at >= first.occurred_at - CLOCK_TOLERANCE
        ]
        latest_first = sorted(judged, key=lambda placed: placed.recency, reverse=True)
        bought = _bought(rule, latest_first, orders)
        cluster = clusters[stratum_of(first), history.units[first.decision_id]]
        cluster.add(_checkout(history, orders, bought, currency))
    return clusters


def _checkout(
    history: History, orders: Sequence[Order], bought: Sequence[Bought], currency: str | None
) -> Cluster:
    """Count one checkout, its orders and what was bought in them of the offers."""
    counted = Cluster(checkouts=1, converted=bool(bought), orders=len(orders))
    counted.foreign = any(order.currency not in (None, currency) for order in orders)
    for order in orders:
        of_order = [each for each in bought if each.order is order]
        returns = history.returns.get(order.transaction_id, ())
        # A refund that names an offer says which of two equal lines came back; control cannot.
        lines = {each.line for each in of_order}
        left = remaining_units(order.purchase, returns, lines, by_offer=False)
        beyond = given_back(order.purchase, returns, lines, with_tax=order.with_tax, by_offer=False)
        counted.kept_orders += any(left)
        counted.completed |= all(each.type != "cancel" for each in returns)
        for each in of_order:
            kept = min(each.quantity, left[each.line])
            counted.offered_units += round(each.quantity * WHOLE)
            counted.kept_units += round(kept * WHOLE)
            counted.kept |= kept > 0
        if not counted.foreign:
            amounts = [each.worth(left[each.line], beyond[each.line]) for each in of_order]
            counted.offer_revenue += sum(gross or 0 for gross, _ in amounts)
            counted.net_offer_revenue += sum(net or 0 for _, net in amounts)
            counted.order_revenue += order_value(order)
            counted.net_order_revenue += sum(
                money.scale(value or 0, units, line.quantity) - round(back)
                for value, units, line, back in zip(
                    line_values(order.purchase, with_tax=order.with_tax),
                    left,
                    order.purchase.items,
                    beyond,
                    strict=True,
                )
            )
    return counted


def order_value(order: Order) -> int:
    """Return minor units of the order's priced lines without tax, before returns."""
    return sum(value or 0 for value in line_values(order.purchase, with_tax=order.with_tax))


def _bought(
    rule: ConversionRule, latest_first: Sequence[PlacedOffer], orders: Sequence[Order]
) -> list[Bought]:
    """Return what was bought of the offers, each line by the last for which the rule holds."""
    lines: list[tuple[PlacedOffer, Order, int]] = []
    for order in orders:
        for place, line in enumerate(order.purchase.items):
            for placed in latest_first:
                if placed.offer.item_id == line.item_id and rule.holds(
                    placed,
                    order,
                    place,
                    # As far as clocks may differ, in both arms: only treatment names offers.
                    named=True,
                ):
                    lines.append((placed, order, place))
                    break
    return rule.bought(lines)
