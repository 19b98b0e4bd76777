"""CUPED: what units spent before their first decision explains part of what they spend after.

Spend from before cannot have been changed by the arm, so taking out what it explains leaves the
effect and shrinks its variance by the square of the correlation. A. Deng, Y. Xu, R. Kohavi and
T. Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data"; for ratios of sums over units, A. Deng et al. (2018), "Applying the delta
method in metric analytics", section 3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import Arm
from mersalg.engine.tracking.history import History
from mersalg.engine.tracking.incremental import effect_text
from mersalg.engine.tracking.intervals import (
    Interval,
    anytime_quantile,
    intrinsic_time,
    welch_quantile,
)
from mersalg.engine.tracking.order_lines import line_values
from mersalg.engine.tracking.rates import Entry, ends_of

HISTORY_DAYS = 90
COVARIATE = f"spend in the {HISTORY_DAYS} days before a unit's first decision"


@dataclass(frozen=True, slots=True)
class Unit:
    """Spending of one unit (x) in m checkouts, and its spending before (past)."""

    x: float
    m: float
    past: float


Units = Mapping[str, Unit]
Spending = Mapping[tuple[int, Arm], Units]
"""Units by share and arm of their stratum."""


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
            values = line_values(order.purchase, with_tax=order.with_tax)
            spent[order.unit] = spent.get(order.unit, 0) + sum(value or 0 for value in values)
    return spent


def adjusted_difference(
    strata: Sequence[tuple[Units, Units]], level: float = 0.95, *, watched: bool = False
) -> Adjusted | None:
    """Return the difference of sum(x) / sum(m) between the arms, less what the past explains of it.

    Of each stratum there are treatment and control; they are weighted by the checkouts of both. One
    slope serves all: it explains what it can within arms and strata, so that it cannot move the
    effect. None where an arm has fewer than two units, or no unit's past differs from another's.
    """
    if not strata or min(len(units) for arms in strata for units in arms) < 2:
        return None
    checkouts = [math.fsum(unit.m for units in arms for unit in units.values()) for arms in strata]
    weights = [checkout / math.fsum(checkouts) for checkout in checkouts]
    pairs = [(_Arm.of(treatment), _Arm.of(control)) for treatment, control in strata]
    both = [arm for pair in pairs for arm in pair]
    past, seen = (
        np.concatenate(each) for each in zip(*((a.past, a.outcome) for a in both), strict=True)
    )
    spread = math.fsum(past * past)
    if spread == 0:
        return None
    shared, outcome = math.fsum(seen * past), math.fsum(seen * seen)
    theta = shared / spread
    value = math.fsum(
        weight * (first.ratio - second.ratio - theta * (first.mean_past - second.mean_past))
        for weight, (first, second) in zip(weights, pairs, strict=True)
    )
    parts = [_variance([pair[at] for pair in pairs], weights, theta) for at in (0, 1)]
    (_, n1), (_, n2) = parts
    quantile = (
        anytime_quantile(intrinsic_time(n1, n2), level) if watched else welch_quantile(parts, level)
    )
    half = quantile * math.sqrt(sum(variance for variance, _ in parts))
    correlation = shared / math.sqrt(spread * outcome) if outcome > 0 else 0.0
    return Adjusted(Interval(value, value - half, value + half), theta, correlation)


def adjusted_entry(
    spending: Sequence[tuple[Units, Units]],
    plain: Entry,
    currency: str | None,
    level: float,
    *,
    watched: bool,
) -> Entry:
    """Return the entry `cuped` of a report beside the plain effect on revenue per checkout.

    `spending` is of treatment and control within each stratum compared. Where the `plain` effect
    has no value, neither has this one, for its reason.
    """
    both = [units for arms in spending for units in arms]
    known = {name for units in both for name, unit in units.items() if unit.past}
    adjusted = None
    if plain["status"] == "ok":
        adjusted = adjusted_difference(spending, level, watched=watched)
    entry: Entry = {
        "covariate": COVARIATE,
        "units_with_history": len(known),
        "method": "cuped_confidence_sequence" if watched else "cuped",
        "status": "ok" if adjusted else plain["status"],
        "reason": plain["reason"],
    }
    if adjusted is None:
        if plain["status"] == "ok":
            entry |= {"status": "no_data", "reason": "no unit's orders before tell them apart"}
        return {**ends_of(None), **entry}
    return {
        **ends_of(adjusted.interval, lambda minor: effect_text(minor, currency)),
        **entry,
        "theta": adjusted.theta,
        "correlation": adjusted.correlation,
    }


def _variance(arms: Sequence[_Arm], weights: Sequence[float], theta: float) -> tuple[float, int]:
    """Return the variance of an arm over all strata, and its number of units.

    A unit that is in several strata is one cluster.
    """
    left: defaultdict[str, float] = defaultdict(float)
    for weight, arm in zip(weights, arms, strict=True):
        parts = weight * (arm.outcome - theta * arm.past) / len(arm.units)
        for unit, part in zip(arm.units, parts.tolist(), strict=True):
            left[unit] += part
    n = len(left)
    return math.fsum(each * each for each in left.values()) * n / (n - 1), n


@dataclass(frozen=True, slots=True)
class _Arm:
    """Ratio of an arm; its units' parts in it and their pasts, both around their means."""

    units: Sequence[str]
    ratio: float
    mean_past: float
    outcome: NDArray[np.float64]
    past: NDArray[np.float64]

    @classmethod
    def of(cls, by_unit: Units) -> _Arm:
        units = [(unit.x, unit.m, unit.past) for unit in by_unit.values()]
        n, (x, m, past) = len(units), np.array(units, np.float64).T
        checkouts, mean_past = math.fsum(m), math.fsum(past) / n
        ratio = math.fsum(x) / checkouts
        return cls(
            list(by_unit), ratio, mean_past, (x - ratio * m) / (checkouts / n), past - mean_past
        )
