"""The effect of offers: treatment less control by intention to treat.

Eligible is every checkout with a decision that had offers of the kind, shown or withheld; its arm
is that of its first decision. Its outcome is whether an offered item was bought in it by the
conversion rule. Views, clicks and attribution play no part, so both arms are judged alike.

Units are randomised, so where they return their checkouts are no independent trials: `clustered`
is the interval of the number of independent trials that would be as informative.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine import money
from engine.facts import Arm, Decision
from engine.tracking.attribution import Worth, rule_holds
from engine.tracking.history import History, Order, PlacedOffer
from engine.tracking.intervals import (
    Interval,
    RatioSums,
    chi2_p_value,
    clustered_difference,
    effective_counts,
    newcombe,
)
from engine.tracking.many import difference_p_value
from engine.tracking.rates import ArmCounts, Drawing, Entry
from engine.tracking.sequences import anytime_quantile, intrinsic_time, watched_difference

MISMATCH = 0.001
"""Below this p-value of the sample-ratio-mismatch test every incremental figure is blocked."""

FEWEST_UNITS = 10
"""Units of an arm below which no effect is given."""

FEWEST_UNITS_OF_MONEY = 100
FEWEST_PURCHASES_OF_MONEY = 20
"""Units, and purchases, of an arm below which no effect on money is given.

Few large amounts make most of a sum. Where none of them was seen by chance, the variance is far too
small as well, and every interval of means with it.
"""

WHOLE = 1_000_000
"""Shares are stored as integers, in parts of this number."""


Stratum = tuple[Arm, int | None]
"""Arm and control share of a decision, in parts of `WHOLE`; None where it states no share."""


def stratum_of(decision: Decision) -> Stratum:
    """Return the arm and the stated control share of a decision."""
    share = decision.control_share
    return decision.arm, None if share is None else round(share * WHOLE)


def first_strata(history: History, decisions: Iterable[Decision]) -> dict[str, Stratum]:
    """Return the stratum of each unit's first decision; `decisions` are in order of time."""
    first: dict[str, Stratum] = {}
    for decision in decisions:
        first.setdefault(history.units[decision.decision_id], stratum_of(decision))
    return first


def drawing_of(units: Mapping[Stratum, int], holdout: float) -> Drawing:
    """Add up how units were assigned to arms.

    Parameters
    ----------
    units : mapping
        Number of units in each stratum, each unit once, by its first decision.
    holdout : float
        Control share where none is stated.
    """
    n = control = expected = variance = 0
    for (arm, stated), n_units in units.items():
        share = round(holdout * WHOLE) if stated is None else stated
        n += n_units
        control += n_units if arm == "control" else 0
        expected += n_units * share
        variance += n_units * share * (WHOLE - share)
    return Drawing(n, control, expected, variance)


def mismatch_p_value(drawing: Drawing) -> float | None:
    """Return the p-value of the sample-ratio-mismatch test; None without units.

    A chi-square test with one degree of freedom. With one share p for all n units this is
    Pearson's sum over both arms, (O - n p)^2 / (n p (1 - p)); with several shares the variance is
    summed over units.
    """
    if not drawing.units:
        return None
    deviation = drawing.control * WHOLE - drawing.expected_ppm
    if not drawing.variance:
        return 1.0 if deviation == 0 else 0.0
    return chi2_p_value(deviation**2 / drawing.variance)


def mismatch_reason(drawing: Drawing) -> str | None:
    """Return why incremental figures are blocked, and what to do; None where they are not."""
    p_value = mismatch_p_value(drawing)
    if p_value is None or p_value >= MISMATCH:
        return None
    return (
        f"the arms are not as drawn: of {drawing.units} units {drawing.expected_ppm / WHOLE:.1f}"
        f" were expected in the control arm, {drawing.control} were seen (p = {p_value:.1g});"
        " find what loses or moves units, or state the share they were drawn with by --holdout"
    )


SEQUENCE = "confidence_sequence"
"""Method of intervals that stay valid however often a report is looked at."""

ARMS: tuple[Arm, ...] = ("treatment", "control")
Arms = Mapping[Arm, ArmCounts]

MEASURES = ("converted", "completed", "order_revenue", "offer_revenue")
"""The fields of `Cluster` that are compared between arms, for each of its checkouts."""


@dataclass(slots=True)
class Cluster:
    """The eligible checkouts of one unit in one arm; money in minor units.

    Attributes
    ----------
    checkouts : int
        Their number.
    converted : int
        How many of them had an offered item bought by the conversion rule.
    completed : int
        How many of them ended in an order.
    order_revenue : int
        Worth of their orders, after discounts and before returns.
    offer_revenue : int
        Worth of the offered items in them, by the conversion rule.
    """

    checkouts: int = 0
    converted: int = 0
    completed: int = 0
    order_revenue: int = 0
    offer_revenue: int = 0

    def add(self, other: Cluster) -> None:
        """Add the checkouts of another cluster to this one."""
        self.checkouts += other.checkouts
        self.converted += other.converted
        self.completed += other.completed
        self.order_revenue += other.order_revenue
        self.offer_revenue += other.offer_revenue


Clusters = Mapping[tuple[Stratum, str], Cluster]
"""By stratum of the checkout's first decision, and unit of that decision."""


def clusters_of(history: History, offers: Iterable[PlacedOffer], currency: str | None) -> Clusters:
    """Judge every checkout that had some of `offers`, all of one kind; money in `currency` only."""
    by_checkout: defaultdict[str, list[PlacedOffer]] = defaultdict(list)
    for placed in offers:
        by_checkout[placed.decision.checkout_id].append(placed)
    clusters: defaultdict[tuple[Stratum, str], Cluster] = defaultdict(Cluster)
    for checkout_id, of_checkout in by_checkout.items():
        first = history.checkouts[checkout_id][0]
        orders = history.orders_of.get(checkout_id, ())
        latest_first = sorted(of_checkout, key=lambda placed: placed.recency, reverse=True)
        cluster = clusters[stratum_of(first), history.units[first.decision_id]]
        cluster.checkouts += 1
        cluster.converted += any(_bought(latest_first, order) for order in orders)
        cluster.completed += bool(orders)
        for order in orders:
            if order.currency == currency:
                cluster.order_revenue += order_value(order)
                cluster.offer_revenue += _offer_value(latest_first, order)
    return clusters


def by_arm(clusters: Clusters) -> Mapping[Arm, Mapping[str, Cluster]]:
    """Return the clusters of each arm by unit, added up over stated shares."""
    arms: dict[Arm, defaultdict[str, Cluster]] = {arm: defaultdict(Cluster) for arm in ARMS}
    for ((arm, _), unit), cluster in clusters.items():
        arms[arm][unit].add(cluster)
    return arms


def arm_counts(arms: Mapping[Arm, Mapping[str, Cluster]]) -> Arms:
    """Return the counts of both arms from the clusters of their units."""
    return {
        arm: arm_counts_of(
            {
                name: RatioSums.of(
                    [(getattr(each, name), each.checkouts) for each in of_units.values()]
                )
                for name in MEASURES
            }
        )
        for arm, of_units in arms.items()
    }


def arm_counts_of(sums: Mapping[str, RatioSums]) -> ArmCounts:
    """Return the counts of an arm from the sums of each of `MEASURES` over its units."""
    return ArmCounts(
        eligible=sums["converted"].sum_m,
        converted=sums["converted"].sum_x,
        completed=sums["completed"].sum_x,
        conversions=sums["converted"],
        completions=sums["completed"],
        order_revenue=sums["order_revenue"],
        offer_revenue=sums["offer_revenue"],
    )


def order_value(order: Order) -> int:
    """Return minor units of the order's priced lines, after discounts, before returns."""
    return sum(
        money.scale(line.price_minor, line.quantity, 1) - line.discount_minor
        for line in order.purchase.items
        if line.price_minor is not None
    )


def _bought(offers: Sequence[PlacedOffer], order: Order) -> bool:
    return any(
        placed.offer.item_id in order.quantities and rule_holds(placed, order) for placed in offers
    )


def _offer_value(latest_first: Sequence[PlacedOffer], order: Order) -> int:
    """Return the worth of the offered items in `order`.

    Each line counts by the last offer that the conversion rule holds for.
    """
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
    """Return the `incremental` entry of a report.

    Parameters
    ----------
    arms : mapping
        Counts of both arms.
    reason : str or None
        Why the entry is blocked; None where it is not.
    currency : str or None
        Of the money in the counts.
    level : float
        Confidence level of intervals.
    watched : bool
        Whether intervals stay valid however often the report is looked at.
    """
    treatment, control = arms["treatment"], arms["control"]
    status = "ok"
    if not treatment.eligible or not control.eligible:
        status = "no_data"
        empty = [arm for arm in arms if not arms[arm].eligible]
        reason = f"no eligible checkout in {' and '.join(empty)}"
    elif reason is not None:
        status = "blocked"
    elif few := _too_few(arms, FEWEST_UNITS):
        status, reason = "no_data", few

    def share(field: str, by_unit: str) -> Entry:
        counts = [(getattr(arm, field), arm.eligible) for arm in (treatment, control)]
        sums: list[RatioSums] = [getattr(arm, by_unit) for arm in (treatment, control)]
        (x1, n1), (x2, n2) = counts
        interval = newcombe(x1, n1, x2, n2, level) if status == "ok" else None
        (x1, n1), (x2, n2) = (effective_counts(each, level) for each in sums)
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
            # A confidence sequence already allows for units that return.
            "clustered": _clustered(sums, level) if interval and not watched else None,
        }

    def amount(field: str, purchases: str) -> Entry:
        sums: list[RatioSums] = [getattr(arm, field) for arm in (treatment, control)]
        of_money, why = status, reason
        if status == "ok" and currency is None:
            of_money, why = "no_data", "no one currency is known"
        elif status == "ok" and (few := _too_few(arms, FEWEST_UNITS_OF_MONEY, purchases)):
            of_money, why = "no_data", few
        interval = None
        if of_money == "ok":
            trials = intrinsic_time(sums[0].n, sums[1].n)
            quantile = anytime_quantile(trials, level) if watched else None
            interval = clustered_difference(sums[0], sums[1], level, quantile=quantile)
        return _amount(
            interval, sums, currency, of_money, why, SEQUENCE if watched else "welch_t_clustered"
        )

    return {
        **share("converted", "conversions"),
        "revenue_per_checkout": amount("order_revenue", "completed"),
        "offer_revenue_per_checkout": amount("offer_revenue", "converted"),
        "margin_per_checkout": _amount(None, None, None, "no_data", "costs are not in the facts"),
        "completion": share("completed", "completions"),
    }


def _too_few(arms: Arms, n_units: int, purchases: str | None = None) -> str | None:
    """Return the reason for which an arm is too small for an interval; None where none is.

    With `purchases`, a field of `ArmCounts`, at least `FEWEST_PURCHASES_OF_MONEY` are needed too.
    """
    for arm, counts in arms.items():
        units = counts.conversions.n
        if units < n_units:
            return f"{units} units in {arm} are too few for an interval: {n_units} are needed"
        if purchases is not None and getattr(counts, purchases) < FEWEST_PURCHASES_OF_MONEY:
            return (
                f"{getattr(counts, purchases)} purchases in {arm} are too few for an interval of"
                f" money: {FEWEST_PURCHASES_OF_MONEY} are needed"
            )
    return None


def _clustered(sums: Sequence[RatioSums], level: float) -> Entry:
    """Return the interval where units return; that of the counts where each comes once."""
    (x1, n1), (x2, n2) = (effective_counts(each, level) for each in sums)
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
    method: str = "welch_t_clustered",
) -> Entry:
    return {
        "value": effect_text(interval.value, currency) if interval else None,
        "lower": effect_text(interval.lower, currency) if interval else None,
        "upper": effect_text(interval.upper, currency) if interval else None,
        "treatment": effect_text(sums[0].value, currency) if sums and sums[0].sum_m else None,
        "control": effect_text(sums[1].value, currency) if sums and sums[1].sum_m else None,
        "method": method,
        "status": status,
        "reason": reason,
    }


def effect_text(minor: float, currency: str | None) -> str | None:
    """Return an effect per checkout as a decimal string; None for an amount without a currency.

    It has two decimals more than the minor unit: many checkouts have a part in what few of them
    add, and 0.10 would not tell 0.0959 from 0.1041.
    """
    if currency is None or not math.isfinite(minor):
        return None
    decimals = money.minor_digits(currency) + 2
    return f"{Decimal(round(minor * 100)).scaleb(-decimals):f}"
