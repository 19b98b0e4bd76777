"""Counts of a set of offers of one kind, in total and by unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.history import Order
from mersalg.engine.tracking.rates import Counts


def count_by_unit(
    outcomes: Iterable[Outcome], orders_of: Mapping[str, Sequence[Order]]
) -> Mapping[str, Counter[str]]:
    """Return each of `UNIT_COUNTS` by unit, of outcomes of one kind in the order of decisions.

    An order in which a shown offer converted counts as an order that was shown one, also where a
    window credits it to another checkout. Checkouts and orders that several units share are those
    of the first that was shown an offer in them.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of one kind.
    orders_of : mapping
        checkout_id -> its orders.
    """
    shown = [outcome for outcome in outcomes if outcome.shown]
    of_checkout: dict[str, str] = {}
    of_order: dict[str, str] = {}
    for each in shown:
        checkout_id = each.placed.decision.checkout_id
        of_checkout.setdefault(checkout_id, each.placed.unit)
        for order in (*orders_of.get(checkout_id, ()), *(credit.order for credit in each.credits)):
            of_order.setdefault(order.transaction_id, each.placed.unit)
    counts = {
        "offers_shown": Counter(each.placed.unit for each in shown),
        "offers_accepted": Counter(each.placed.unit for each in shown if each.accepted),
        "checkouts_shown": Counter(of_checkout.values()),
        "orders_shown": Counter(of_order.values()),
    }
    sold = [(each, credit) for each in shown for credit in each.credits]
    kept = [(each, credit) for each, credit in sold if credit.remaining > 0]
    for name, credited in (("converted", sold), ("kept", kept)):
        offers = {each.placed.offer.offer_id: each.placed.unit for each, _ in credited}
        checkouts = {each.placed.decision.checkout_id for each, _ in credited}
        orders = {credit.order.transaction_id for _, credit in credited}
        counts |= {
            f"offers_{name}": Counter(offers.values()),
            f"checkouts_{name}": Counter(of_checkout[each] for each in checkouts),
            f"orders_{name}": Counter(of_order[each] for each in orders),
        }
    return counts


def buyers_shown(
    outcomes: Iterable[Outcome],
    orders_of: Mapping[str, Sequence[Order]],
    last_orders: Mapping[str, int],
) -> frozenset[str]:
    """Return the buying units that were shown one of the offers of `outcomes`.

    They bought in the checkout of a shown offer, whenever that was, or at or after its decision, or
    what was bought is credited to it. Who only bought before had nothing to convert.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of one kind.
    orders_of : mapping
        checkout_id -> its orders.
    last_orders : mapping
        Unit -> when it last bought in the period.
    """
    return frozenset(
        each.placed.unit
        for each in outcomes
        if each.shown
        and (
            each.converted
            or each.placed.decision.checkout_id in orders_of
            or last_orders.get(each.placed.unit, -1) >= each.placed.decision.occurred_at
        )
    )


def count(
    outcomes: Iterable[Outcome], of_units: Mapping[str, Counter[str]], currency: str | None
) -> Counts:
    """Count `outcomes`, all of one kind, without units; revenue in `currency` only.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of one kind.
    of_units : mapping
        Their `count_by_unit`.
    currency : str or None
        Of the revenue.
    """
    converted = [outcome for outcome in outcomes if outcome.converted]
    credited = [credit for outcome in converted for credit in outcome.credits]
    paid = [credit for credit in credited if credit.order.currency == currency]
    return Counts(
        **{name: each.total() for name, each in of_units.items()},
        offers_clicked_first=sum(outcome.clicked_first for outcome in converted),
        revenue_minor=sum(credit.revenue_minor or 0 for credit in paid),
        net_revenue_minor=sum(credit.net_revenue_minor or 0 for credit in paid),
        lines_credited=len(credited),
        lines_unpriced=sum(credit.revenue_minor is None for credit in credited),
        lines_repriced=sum(credit.repriced for credit in credited),
        lines_untaxed=sum(credit.untaxed for credit in credited),
    )
