"""The effect of offers: treatment less control by intention to treat.

Eligible is every checkout with a decision that had offers of the kind, shown or withheld. The first
of them gives its arm, its hold-out share and the offers that it is judged by: what buyers do with
these decides what they are offered next, and only those who saw them do anything. The outcome is
whether one of the items was bought in the checkout by the conversion rule. Views, clicks and
attribution play no part, so both arms are judged alike. Arms are compared within strata of equal
share (see `strata`).

Units are randomised, so where they return their checkouts are no independent trials: `clustered`
is the interval of the number of independent trials that would be as informative.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from engine import money
from engine.facts import Arm, Decision
from engine.tracking.conversion import Bought, ConversionRule
from engine.tracking.history import CLOCK_TOLERANCE, History, Order, PlacedOffer
from engine.tracking.intervals import clustered_difference, newcombe
from engine.tracking.many import (
    FEWEST_EXPECTED,
    MANY_EXPECTED,
    difference_p_value,
    exact_p_value,
    expected_units,
)
from engine.tracking.prices import line_values
from engine.tracking.rates import Entry
from engine.tracking.returns import given_back, remaining_units
from engine.tracking.sequences import anytime_quantile, intrinsic_time, watched_difference
from engine.tracking.strata import (
    ARMS,
    FEWEST_UNITS,
    WHOLE,
    Cluster,
    Clusters,
    Strata,
    Stratum,
)

SEQUENCE = "confidence_sequence"
"""Method of intervals that stay valid however often a report is looked at."""

FEWEST_UNITS_OF_MEAN = 30
FEWEST_PURCHASES_OF_MEAN = 10
"""Units, and purchases, of an arm below which no effect on money or numbers of things is given.

Few large amounts make most of a sum. Where none of them was seen by chance, the variance is far too
small as well, and every interval of means with it.
"""


GROSS = ("converted", "orders", "offered_units", "order_revenue", "offer_revenue")
NET = ("kept", "kept_orders", "kept_units", "net_order_revenue", "net_offer_revenue")
"""The measures of `incremental` and of `net_incremental`; both have `completed` beside them."""


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
        first = next(
            decision
            for decision in history.checkouts[checkout_id]
            if any(offer.kind == kind for offer in decision.offers)
        )
        judged = [each for each in of_checkout if each.decision.decision_id == first.decision_id]
        if not judged:
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
        # Of lines alike, treatment alone could say which came back.
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


def incremental_of(
    strata: Strata,
    *,
    reason: str | None,
    currency: str | None,
    level: float,
    watched: bool = False,
    unstated_by: str = "default",
    net: bool = False,
) -> Entry:
    """Return the `incremental` entry of a report.

    Parameters
    ----------
    strata : Strata
        Counts of both arms.
    reason : str or None
        Why the entry is blocked; None where it is not.
    currency : str or None
        Of the money in the counts.
    level : float
        Confidence level of intervals.
    watched : bool
        Whether intervals stay valid however often the report is looked at.
    unstated_by : str
        Who stated the share of decisions that state none.
    net : bool
        Whether to leave out what was refunded or cancelled: the `net_incremental` entry.
    """
    return _Effects(strata, reason, currency, level, watched).entry(unstated_by, net=net)


class _Effects:
    def __init__(
        self,
        strata: Strata,
        reason: str | None,
        currency: str | None,
        level: float,
        watched: bool,
    ) -> None:
        self._strata, self._currency = strata, currency
        self._level, self._watched = level, watched
        self._eligible, self._shares = strata.eligible(), strata.compared()
        empty = [arm for arm in ARMS if not strata.units(arm, self._eligible)]
        self._status, self._reason = "ok", None
        if empty:
            self._status = "no_data"
            self._reason = f"no eligible checkout in {' and '.join(empty)}"
        elif reason is not None:
            self._status, self._reason = "blocked", reason
        elif not self._shares:
            self._status, self._reason = "no_data", self._too_few()

    def entry(self, unstated_by: str, *, net: bool) -> Entry:
        """Return the entry of checkouts."""
        converted, orders, units, order_revenue, offer_revenue = NET if net else GROSS
        return {
            **self._of_share(converted),
            "shares": [self._stratum(share, unstated_by) for share in self._strata.shares()],
            "revenue_per_checkout": self._amount(order_revenue, "completed"),
            "offer_revenue_per_checkout": self._amount(offer_revenue, converted),
            "margin_per_checkout": {
                **dict.fromkeys(("value", "lower", "upper", "treatment", "control")),
                "method": "welch_t_clustered",
                "status": "no_data",
                "reason": "costs are not in the facts",
            },
            "completion": self._of_share("completed"),
            "offered_units": self._mean(units, converted, lambda n: n / WHOLE),
            "orders": self._mean(orders, "completed", lambda n: n),
        }

    def _stratum(self, share: int, unstated_by: str) -> Entry:
        arms = {arm: self._strata.arms.get((share, arm)) for arm in ARMS}
        sums = [each for each in arms.values() if each is not None]
        unstated = sum(each.unstated for each in sums)
        stated = sum(each.checkouts for each in sums) > unstated
        return {
            "share": share / WHOLE,
            "stated_by": ["decisions"] * stated + [unstated_by] * (unstated > 0),
            **{arm: 0 if each is None else each.checkouts for arm, each in arms.items()},
            "compared": share in self._shares,
        }

    def _too_few(self) -> str:
        if len(self._eligible) > 1:
            return (
                f"none of {len(self._eligible)} hold-out shares has {FEWEST_UNITS} units in both"
                " arms, too few for an interval"
            )
        units = {arm: self._strata.units(arm, self._eligible) for arm in ARMS}
        arm = min(units, key=lambda each: units[each])
        return f"{units[arm]} units in {arm} are too few for an interval: {FEWEST_UNITS} are needed"

    def _of_share(self, name: str) -> Entry:
        treatment, control = (self._strata.total(name, arm, self._eligible) for arm in ARMS)
        entry: Entry = {
            "value": None,
            "lower": None,
            "upper": None,
            "numerator": treatment[0],
            "denominator": treatment[1],
            "method": SEQUENCE if self._watched else "newcombe",
            "status": self._status,
            "reason": self._reason,
            "p_value": None,
            "treatment": _share(*treatment),
            "control": _share(*control),
            "clustered": None,
        }
        if self._status != "ok":
            return entry
        (x1, n1), (x2, n2) = (self._trials(name, arm) for arm in ARMS)
        (y1, m1), (y2, m2) = (self._trials(name, arm, clustered=False) for arm in ARMS)
        own = newcombe(x1, n1, x2, n2, self._level)
        plain = newcombe(y1, m1, y2, m2, self._level)
        tables = self._strata.tables(name, self._shares)
        expected = expected_units(tables)
        if self._watched:
            watched = watched_difference(x1, n1, x2, n2, self._level)
            assert watched is not None
            plain, p_value = watched
        elif expected < MANY_EXPECTED:
            p_value = exact_p_value(tables)
        else:
            p_value = difference_p_value(x1, n1, x2, n2)
        assert own is not None
        assert plain is not None
        entry |= {
            "value": plain.value,
            "lower": plain.lower,
            "upper": plain.upper,
            "p_value": None if expected < FEWEST_EXPECTED else p_value,
        }
        if not self._watched:
            # A confidence sequence already allows for units that return.
            entry["clustered"] = {
                "lower": own.lower,
                "upper": own.upper,
                "method": "newcombe_clustered",
                "units": [self._strata.units(arm, self._shares) for arm in ARMS],
                "effective_checkouts": [n1, n2],
                "design_effect": max(1.0, (m1 + m2) / (n1 + n2)),
                "control": x2 / n2,
            }
        return entry

    def _trials(self, name: str, arm: Arm, *, clustered: bool = True) -> tuple[float, float]:
        return self._strata.effective(name, arm, self._shares, self._level, clustered=clustered)

    def _amount(self, name: str, purchases: str) -> Entry:
        entry = self._mean(name, purchases, lambda minor: effect_text(minor, self._currency))
        if self._currency is None and self._status == "ok":
            known = dict.fromkeys(("value", "lower", "upper"))
            entry |= {**known, "status": "no_data", "reason": "no one currency is known"}
        return entry

    def _mean(self, name: str, purchases: str, number: Callable[[float], object]) -> Entry:
        """Return the difference of what checkouts have of a measure, as `number` writes it."""
        status, reason, interval = self._status, self._reason, None
        if status == "ok" and (few := self._too_few_for_mean(name, purchases)):
            status, reason = "no_data", few
        if status == "ok":
            shares = self._strata.compared(name)
            treatment, control = (self._strata.mean(name, arm, shares) for arm in ARMS)
            n1, n2 = (self._strata.units(arm, shares, name) for arm in ARMS)
            quantile = anytime_quantile(intrinsic_time(n1, n2), self._level)
            interval = clustered_difference(
                treatment, control, self._level, quantile=quantile if self._watched else None
            )

        totals = {arm: self._strata.total(name, arm, self._eligible) for arm in ARMS}
        return {
            "value": number(interval.value) if interval else None,
            "lower": number(interval.lower) if interval else None,
            "upper": number(interval.upper) if interval else None,
            **{arm: number(x / m) if m else None for arm, (x, m) in totals.items()},
            "method": SEQUENCE if self._watched else "welch_t_clustered",
            "status": status,
            "reason": reason,
        }

    def _too_few_for_mean(self, name: str, purchases: str) -> str | None:
        shares = self._strata.compared(name)
        for arm in ARMS:
            units = self._strata.units(arm, shares, name)
            if units < FEWEST_UNITS_OF_MEAN:
                return (
                    f"{units} units in {arm} are too few for an interval of a mean:"
                    f" {FEWEST_UNITS_OF_MEAN} are needed"
                )
            bought, checkouts = self._strata.total(purchases, arm, shares)
            completed, _ = self._strata.total("completed", arm, shares)
            _, in_currency = self._strata.total(name, arm, shares)
            # Whoever has an order in another currency completed the checkout.
            bought = min(bought, completed - (checkouts - in_currency))
            if bought < FEWEST_PURCHASES_OF_MEAN:
                return (
                    f"{bought} purchases in {arm} are too few for an interval of a mean:"
                    f" {FEWEST_PURCHASES_OF_MEAN} are needed"
                )
            gross = name.removeprefix("net_")
            if not any(self._strata.arms[share, arm].of[gross].sum_xx for share in shares):
                return f"of nothing that was bought in {arm} a price is known"
        return None


def _share(numerator: int, denominator: int) -> Entry:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def effect_text(minor: float, currency: str | None) -> str | None:
    """Return an effect per checkout as a decimal string; None for an amount without a currency.

    It has two decimals more than the minor unit: many checkouts have a part in what few of them
    add, and 0.10 would not tell 0.0959 from 0.1041.
    """
    if currency is None or not math.isfinite(minor):
        return None
    decimals = money.minor_digits(currency) + 2
    return f"{Decimal(round(minor * 100)).scaleb(-decimals):f}"
