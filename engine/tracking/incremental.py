"""What the offers changed: treatment less control, as drawn, whoever saw or clicked what.

Eligible is every checkout with a decision that had offers of the kind, shown or withheld; its arm
is that of its first decision. Its outcome is whether an offered item was bought in it by the
conversion rule. Views, clicks and attribution play no part, so both arms are judged alike.

Units are what is drawn, so where they return their checkouts are no independent trials: `clustered`
is the interval of as many independent ones as would tell as much.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine import money
from engine.facts import Arm
from engine.tracking.conversion import Worth, rule_holds
from engine.tracking.counts import ArmCounts
from engine.tracking.history import History, Order, PlacedOffer
from engine.tracking.intervals import (
    Interval,
    RatioSums,
    clustered_difference,
    effective_counts,
    newcombe,
)
from engine.tracking.many import difference_p_value
from engine.tracking.sequences import anytime_quantile, intrinsic_time, watched_difference

SEQUENCE = "confidence_sequence"
"""Method of intervals that stay valid however often one looks."""

Entry = dict[str, object]
Arms = Mapping[Arm, ArmCounts]


@dataclass(slots=True)
class Cluster:
    """The checkouts of one unit in one arm; money in minor units."""

    checkouts: int = 0
    converted: int = 0
    completed: int = 0
    ordered: int = 0
    owed: int = 0


def arm_counts(clusters: Mapping[Arm, Mapping[str, Cluster]]) -> Arms:
    """The counts of both arms from what their units had and did."""
    return {arm: _arm_counts(of_units.values()) for arm, of_units in clusters.items()}


def _arm_counts(clusters: Collection[Cluster]) -> ArmCounts:
    return ArmCounts(
        sum(each.checkouts for each in clusters),
        sum(each.converted for each in clusters),
        sum(each.completed for each in clusters),
        RatioSums.of([(each.converted, each.checkouts) for each in clusters]),
        RatioSums.of([(each.completed, each.checkouts) for each in clusters]),
        RatioSums.of([(each.ordered, each.checkouts) for each in clusters]),
        RatioSums.of([(each.owed, each.checkouts) for each in clusters]),
    )


def clusters_of(
    history: History, offers: Iterable[PlacedOffer], currency: str | None
) -> Mapping[Arm, Mapping[str, Cluster]]:
    """Arm -> unit -> what its checkouts had and did, over `offers`, all of one kind; money only in
    `currency`."""
    by_checkout: defaultdict[str, list[PlacedOffer]] = defaultdict(list)
    for placed in offers:
        by_checkout[placed.decision.checkout_id].append(placed)
    clusters: dict[Arm, defaultdict[str, Cluster]] = {
        "treatment": defaultdict(Cluster),
        "control": defaultdict(Cluster),
    }
    for checkout_id, theirs in by_checkout.items():
        first = history.checkouts[checkout_id][0]
        orders = history.orders_of.get(checkout_id, ())
        latest_first = sorted(theirs, key=lambda placed: placed.recency, reverse=True)
        cluster = clusters[first.arm][history.units[first.decision_id]]
        cluster.checkouts += 1
        cluster.converted += any(_bought(latest_first, order) for order in orders)
        cluster.completed += bool(orders)
        for order in orders:
            if order.currency == currency:
                cluster.ordered += order_value(order)
                cluster.owed += _owed(latest_first, order)
    return clusters


def order_value(order: Order) -> int:
    """Minor units of the order's priced lines, after discounts, before returns."""
    return sum(
        money.scale(line.price_minor, line.quantity, 1) - line.discount_minor
        for line in order.purchase.items
        if line.price_minor is not None
    )


def _bought(offers: Sequence[PlacedOffer], order: Order) -> bool:
    return any(
        placed.offer.item_id in order.quantities and rule_holds(placed, order) for placed in offers
    )


def _owed(latest_first: Sequence[PlacedOffer], order: Order) -> int:
    """Worth of the offered items in `order`, each line by the last offer the rule holds for."""
    worth = Worth(order)
    total = 0
    for line in order.purchase.items:
        for placed in latest_first:
            if placed.offer.item_id == line.item_id and rule_holds(placed, order):
                total += worth.of(placed, line, line.quantity)[0] or 0
                break
    return total


def incremental_of(
    arms: Arms,
    *,
    reason: str | None,
    currency: str | None,
    level: float,
    watched: bool = False,
) -> Entry:
    """The `incremental` entry; `reason` says why it is blocked, None where it is not.

    `watched`: intervals that stay valid however often the report is looked at.
    """
    treatment, control = arms["treatment"], arms["control"]
    status = "ok"
    if not treatment.eligible or not control.eligible:
        status = "no_data"
        empty = [arm for arm in arms if not arms[arm].eligible]
        reason = f"no eligible checkout in {' and '.join(empty)}"
    elif reason is not None:
        status = "blocked"

    def share(field: str, by_unit: str) -> Entry:
        counts = [(getattr(arm, field), arm.eligible) for arm in (treatment, control)]
        sums: list[RatioSums] = [getattr(arm, by_unit) for arm in (treatment, control)]
        (x1, n1), (x2, n2) = counts
        interval = newcombe(x1, n1, x2, n2, level) if status == "ok" else None
        (x1, n1), (x2, n2) = map(effective_counts, sums)
        p_value = difference_p_value(x1, n1, x2, n2) if interval else None
        if interval and watched:
            interval = watched_difference(x1, n1, x2, n2, level)
        return {
            "value": interval.value if interval else None,
            "lower": interval.lower if interval else None,
            "upper": interval.upper if interval else None,
            "numerator": counts[0][0],
            "denominator": counts[0][1],
            "method": SEQUENCE if watched else "newcombe",
            "status": status,
            "reason": reason,
            "p_value": p_value,
            "treatment": _share(*counts[0]),
            "control": _share(*counts[1]),
            # A sequence is as wide as units who return make it already.
            "clustered": _clustered(sums, level) if interval and not watched else None,
        }

    def amount(field: str) -> Entry:
        sums: list[RatioSums] = [getattr(arm, field) for arm in (treatment, control)]
        if status != "ok" or currency is None:
            why = reason if status != "ok" else "no one currency is known"
            return _amount(None, sums, None, "no_data" if status == "ok" else status, why)
        quantile = None
        if watched and sums[0].n and sums[1].n:
            quantile = anytime_quantile(intrinsic_time(sums[0].n, sums[1].n), level)
        interval = clustered_difference(sums[0], sums[1], level, quantile=quantile)
        few = min(each.n for each in sums) < 2
        why = "an arm has fewer than two units, too few for an interval" if few else None
        return _amount(interval, sums, currency, "ok", why, SEQUENCE if watched else "delta")

    return {
        **share("converted", "conversions"),
        "revenue_per_checkout": amount("order_revenue"),
        "offer_revenue_per_checkout": amount("offer_revenue"),
        "margin_per_checkout": _amount(None, None, None, "no_data", "costs are not in the facts"),
        "completion": share("completed", "completions"),
    }


def _clustered(sums: Sequence[RatioSums], level: float) -> Entry:
    """The interval where units return; that of the counts where each comes once."""
    (x1, n1), (x2, n2) = map(effective_counts, sums)
    interval = newcombe(x1, n1, x2, n2, level)
    assert interval is not None
    return {
        "lower": interval.lower,
        "upper": interval.upper,
        "method": "newcombe_clustered",
        "units": [each.n for each in sums],
        "effective_checkouts": [n1, n2],
    }


def _share(numerator: int, denominator: int) -> Entry:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def _amount(
    interval: Interval | None,
    sums: Sequence[RatioSums] | None,
    currency: str | None,
    status: str,
    reason: str | None,
    method: str = "delta",
) -> Entry:
    return {
        "value": _money(interval.value, currency) if interval else None,
        "lower": _money(interval.lower, currency) if interval else None,
        "upper": _money(interval.upper, currency) if interval else None,
        "treatment": _money(sums[0].value, currency) if sums and sums[0].sum_m else None,
        "control": _money(sums[1].value, currency) if sums and sums[1].sum_m else None,
        "method": method,
        "status": status,
        "reason": reason,
    }


def _money(minor: float, currency: str | None) -> str | None:
    """A decimal string, rounded to the minor unit; None where no amount can be written."""
    if currency is None or not math.isfinite(minor):
        return None
    return money.to_text(round(minor), currency)
