"""The eligible checkouts of both arms, each judged by the first decision with offers of the kind.

What buyers do with the offers of that decision decides what they are offered next, so later ones
play no part. Nor do views, clicks and attribution: both arms are judged alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from mersalg.engine import money
from mersalg.engine.facts import Decision, Kind
from mersalg.engine.tracking.conversion import Bought, ConversionRule
from mersalg.engine.tracking.history import CLOCK_TOLERANCE, History, Order, PlacedOffer
from mersalg.engine.tracking.order_lines import (
    line_values,
    refunded_by_line,
    remaining_units,
)
from mersalg.engine.tracking.strata import WHOLE, Cluster, Stratum


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


def is_drawn(decision: Decision) -> bool:
    """Return whether a decision may have been of either arm; so is one that states no share."""
    return stratum_of(decision)[1] not in (0, WHOLE)


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
