"""From outcomes to counts: one kind, one set of offers, one period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.facts import Decision
from engine.tracking.attribution import Outcome
from engine.tracking.counts import Counts
from engine.tracking.history import History, Order


def inside(instant: int, since: int | None, until: int | None) -> bool:
    return (since is None or instant >= since) and (until is None or instant < until)


def buying_units(
    history: History, decisions: Iterable[Decision], orders: Iterable[Order]
) -> frozenset[str]:
    """Units with one of `orders`, those of a period, or with an order in a checkout decided in it.

    `decisions` are those of the period; the order of such a checkout may come after it.
    """
    buying: set[str] = set()
    for order in orders:
        buying |= history.buyers(order)
    for checkout_id in {decision.checkout_id for decision in decisions}:
        for order in history.orders_of.get(checkout_id, ()):
            buying |= history.buyers(order)
    return frozenset(buying)


def currencies(
    history: History, decisions: Iterable[Decision], orders: Iterable[Order]
) -> frozenset[str]:
    """Every currency that the decisions and orders of a period, and what these led to, name."""
    named: set[str | None] = {order.currency for order in orders}
    for decision in decisions:
        named.add(decision.currency)
        named |= {order.currency for order in history.orders_of.get(decision.checkout_id, ())}
    return frozenset(code for code in named if code is not None)


def count(
    outcomes: Iterable[Outcome],
    buying: frozenset[str],
    orders_of: Mapping[str, Sequence[Order]],
    currency: str | None,
) -> Counts:
    """Counts of `outcomes`, all of one kind; revenue only in `currency`.

    An order in which a shown offer converted counts as shown one, also where a window credits it
    to another checkout, and so does its buyer.
    """
    shown = [outcome for outcome in outcomes if outcome.shown]
    converted = [outcome for outcome in shown if outcome.converted]
    kept = [outcome for outcome in shown if outcome.kept]
    orders_converted = {
        credit.order.transaction_id for outcome in converted for credit in outcome.credits
    }
    orders_kept = {
        credit.order.transaction_id
        for outcome in kept
        for credit in outcome.credits
        if credit.remaining > 0
    }
    checkouts_shown = _checkouts(shown)
    orders_shown = {
        order.transaction_id
        for checkout_id in checkouts_shown
        for order in orders_of.get(checkout_id, ())
    }
    units_converted = _units(converted)
    all_buying = buying | units_converted
    gross, net = _revenue(converted, currency)
    return Counts(
        offers_shown=len(shown),
        offers_accepted=sum(outcome.accepted for outcome in shown),
        offers_converted=len(converted),
        offers_kept=len(kept),
        offers_clicked_first=sum(outcome.clicked_first for outcome in converted),
        checkouts_shown=len(checkouts_shown),
        checkouts_converted=len(_checkouts(converted)),
        checkouts_kept=len(_checkouts(kept)),
        orders_shown=len(orders_shown | orders_converted),
        orders_converted=len(orders_converted),
        orders_kept=len(orders_kept),
        units_shown=len(_units(shown) & all_buying),
        units_converted=len(units_converted),
        units_kept=len(_units(kept)),
        units_buying=len(all_buying),
        revenue_minor=gross,
        net_revenue_minor=net,
    )


def _checkouts(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.placed.decision.checkout_id for outcome in outcomes}


def _units(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.placed.unit for outcome in outcomes}


def _revenue(outcomes: Iterable[Outcome], currency: str | None) -> tuple[int, int]:
    gross = net = 0
    for outcome in outcomes:
        for credit in outcome.credits:
            if credit.order.currency == currency:
                gross += credit.revenue_minor or 0
                net += credit.net_revenue_minor or 0
    return gross, net
