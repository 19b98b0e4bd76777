"""Facts of a period that count for nothing or are in doubt: the `quality` of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import OFFER_LOG, Decision
from mersalg.engine.tracking.history import CAUSES, History, Order
from mersalg.engine.tracking.local_days import Buckets
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.rates import RATES, Counts, Entry, ends_of

COUNTED = (*CAUSES, "orders", "without_decision", "reused_checkouts")
"""The counts of `quality` that days add.

`orders`: all of them, and `without_decision` those in whose checkouts nothing was decided.
`reused_checkouts`: checkouts with facts of several customers, or more than `checkout_days` apart,
at their first decision.
"""

ONLY_ACCEPTED = (
    "the log knows only who accepted: nobody else is in it as a buyer, so that of all buyers 100%"
    " accepted; see the checkout rate, which counts all who were shown an offer"
)
_OF_BUYERS = ("units_shown", "units_buying", "orders_shown")


def counted_at(history: History, checkout_days: int) -> Mapping[str, Sequence[int]]:
    """Return the instants of each of `COUNTED`."""
    decided = history.checkouts.keys()
    return {
        **history.uncounted,
        "orders": [order.placed_at for order in history.orders],
        "without_decision": [
            order.placed_at for order in history.orders if decided.isdisjoint(order.checkouts)
        ],
        "reused_checkouts": list(_reused(history, checkout_days * MICROS_PER_DAY)),
    }


def _reused(history: History, longest: int) -> Iterator[int]:
    for checkout_id, decisions in history.checkouts.items():
        orders = history.orders_of.get(checkout_id, ())
        facts = (
            *decisions,
            *(order.purchase for order in orders if order.checkout_id == checkout_id),
        )
        instants = [fact.occurred_at for fact in facts]
        customers = {fact.customer_id for fact in facts} - {None}
        if len(customers) > 1 or max(instants) - min(instants) > longest:
            yield decisions[0].occurred_at


def n_logged(history: History, decisions: Sequence[Decision], orders: Sequence[Order]) -> int:
    """Return how many decisions and orders are of offer logs that are read by a map.

    An order that such a log knows apart from its offers is none of them, for it has no checkout.
    """
    logged = {
        decision.checkout_id for decision in history.decisions if decision.placement == OFFER_LOG
    }
    return sum(decision.placement == OFFER_LOG for decision in decisions) + sum(
        bool(order.checkouts) and logged.issuperset(order.checkouts) for order in orders
    )


def without_buyers(rates: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the rates of a log that knows only who accepted: those of buyers say nothing."""
    unknown = {
        **ends_of(None),
        "unclustered": {"lower": None, "upper": None, "method": "wilson"},
        "status": "not_comparable",
        "reason": ONLY_ACCEPTED,
    }
    return {
        name: {**entry, **unknown} if RATES[name].denominator in _OF_BUYERS else entry
        for name, entry in rates.items()
    }


def open_since(query: ReportQuery, newest: int | None) -> date:
    """Return the first local day whose decisions may still be credited with purchases.

    Attribution goes on until the `newest` fact is `checkout_days`, or the window, after a decision.
    """
    if newest is None:
        return date.max
    last = Buckets(query.zone).day(newest).toordinal()
    return date.fromordinal(
        max(last - max(query.checkout_days or 0, query.attribution_window_days or 0), 1)
    )


def lines_in_doubt(counts: Iterable[Counts]) -> dict[str, int]:
    """Return how many credited lines have no known worth, another price, or an unknown tax."""
    of_kinds = list(counts)
    return {
        name: sum(getattr(kind, f"lines_{name}") for kind in of_kinds)
        for name in ("unpriced", "repriced", "untaxed")
    }


def currency_of(named: Iterable[str], wanted: str | None) -> tuple[str | None, str]:
    """Return the currency that money is added in, and how it was chosen."""
    if wanted is not None:
        return wanted, "ok"
    currencies = sorted(named)
    if len(currencies) == 1:
        return currencies[0], "ok"
    if not currencies:
        return None, "unknown: no fact names one"
    return None, f"several: {', '.join(currencies)}; choose one"
