"""CUPED: what units spent before their first decision explains part of what they spend after.

Spend from before cannot have been changed by the arm, so taking out what it explains leaves the
effect and shrinks its variance by the square of the correlation. A. Deng, Y. Xu, R. Kohavi and
T. Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data"; for ratios of sums over units, A. Deng et al. (2018), "Applying the delta
method in metric analytics", section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.clock import MICROS_PER_DAY
from engine.facts import Arm
from engine.tracking.history import History
from engine.tracking.incremental import Cluster, order_value
from engine.tracking.intervals import Interval, welch_quantile

HISTORY_DAYS = 90
COVARIATE = f"spend in the {HISTORY_DAYS} days before a unit's first decision"


@dataclass(frozen=True, slots=True)
class Unit:
    """What one unit spent (x) in m checkouts, and what it spent before (past)."""

    x: float
    m: float
    past: float


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjusted difference of ratios; `correlation` of the covariate with the outcome."""

    interval: Interval
    theta: float
    correlation: float


def past_spend(history: History, currency: str | None) -> dict[str, int]:
    """Return what each unit ordered in the `HISTORY_DAYS` before its first decision (minor units).

    Units without such orders are absent. `history` must reach back that far.
    """
    first: dict[str, int] = {}
    for decision in history.decisions:
        first.setdefault(history.units[decision.decision_id], decision.occurred_at)
    spent: dict[str, int] = {}
    for order in history.orders:
        begun = first.get(order.unit)
        if begun is None or order.currency != currency:
            continue
        if begun - HISTORY_DAYS * MICROS_PER_DAY <= order.placed_at < begun:
            spent[order.unit] = spent.get(order.unit, 0) + order_value(order)
    return spent


def with_past(
    clusters: Mapping[Arm, Mapping[str, Cluster]], past: Mapping[str, int]
) -> dict[Arm, list[Unit]]:
    """Return the units of both arms, in a fixed order: sums are the same in any order of facts."""
    return {
        arm: [
            Unit(of_units[unit].order_revenue, of_units[unit].checkouts, past.get(unit, 0))
            for unit in sorted(of_units)
        ]
        for arm, of_units in clusters.items()
    }


def adjusted_difference(
    treatment: Sequence[Unit], control: Sequence[Unit], level: float = 0.95
) -> Adjusted | None:
    """Return the difference of sum(x) / sum(m) between the arms, less what the past explains of it.

    None where an arm has fewer than two units, or no unit's past differs from another's.
    """
    if min(len(treatment), len(control)) < 2:
        return None
    arms = [_Arm.of(units) for units in (treatment, control)]
    spread = math.fsum(c * c for arm in arms for c in arm.past)
    if spread == 0:
        return None
    shared = math.fsum(z * c for arm in arms for z, c in zip(arm.outcome, arm.past, strict=True))
    outcome = math.fsum(z * z for arm in arms for z in arm.outcome)
    theta = shared / spread
    value = arms[0].ratio - arms[1].ratio - theta * (arms[0].mean_past - arms[1].mean_past)
    variances = (arms[0].variance(theta), arms[1].variance(theta))
    quantile = welch_quantile(variances, (len(treatment), len(control)), level)
    half = quantile * math.sqrt(sum(variances))
    correlation = shared / math.sqrt(spread * outcome) if outcome > 0 else 0.0
    return Adjusted(Interval(value, value - half, value + half), theta, correlation)


@dataclass(frozen=True, slots=True)
class _Arm:
    """Ratio of an arm; its units' parts in it and their pasts, both around their means."""

    ratio: float
    mean_past: float
    outcome: Sequence[float]
    past: Sequence[float]

    @classmethod
    def of(cls, units: Sequence[Unit]) -> _Arm:
        n, checkouts = len(units), math.fsum(unit.m for unit in units)
        ratio = math.fsum(unit.x for unit in units) / checkouts
        mean_past = math.fsum(unit.past for unit in units) / n
        mean_m = checkouts / n
        return cls(
            ratio,
            mean_past,
            [(unit.x - ratio * unit.m) / mean_m for unit in units],
            [unit.past - mean_past for unit in units],
        )

    def variance(self, theta: float) -> float:
        n = len(self.outcome)
        left = (z - theta * c for z, c in zip(self.outcome, self.past, strict=True))
        return math.fsum(each * each for each in left) / (n - 1) / n


def known_pasts(units: Iterable[Unit]) -> int:
    """Return the number of units that spent something before."""
    return sum(unit.past != 0 for unit in units)
