"""The number of checkouts, and of days, that it takes to see an effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from mersalg.engine.errors import ConfigError
from mersalg.engine.tracking.intervals import anytime_quantile, intrinsic_time, normal_quantile


def checkouts_needed(
    baseline: float,
    effect: float,
    holdout: float,
    *,
    power: float = 0.8,
    level: float = 0.95,
    design_effect: float = 1.0,
    watched: bool = False,
) -> int:
    """Return the checkouts of both arms with which a two-sided test finds the effect with `power`.

    `baseline` is the share of checkouts that buy it without any offer, `effect` the change of it by
    the offers (0.01 is one percentage point), `holdout` the control share, `level` one less the
    error of the test, `design_effect` how many checkouts of returning customers are as informative
    as one. Where the report is `watched`, its confidence sequence has to exclude 0 by then. Raise
    ConfigError, which names it, for an impossible number.

    The normal approximation for two independent proportions, the null's variance pooled: J. L.
    Fleiss, B. Levin and M. C. Paik (2003), "Statistical Methods for Rates and Proportions", section
    4.3.
    """
    _check(baseline, effect, holdout, power, level, design_effect)
    treated, z = baseline + effect, normal_quantile(level)
    pooled = (1 - holdout) * treated + holdout * baseline
    null = math.sqrt(pooled * (1 - pooled) / (holdout * (1 - holdout)))
    true = math.sqrt(treated * (1 - treated) / (1 - holdout) + baseline * (1 - baseline) / holdout)
    try:
        beyond = NormalDist().inv_cdf(power)
        needed = ((z * null + beyond * true) / effect) ** 2
        if watched:
            needed = _watched(abs(effect) / true, beyond, holdout, level, max(needed, 1.0))
        return math.ceil(needed * design_effect)
    except OverflowError as error:
        raise ConfigError(f"effect: {effect} takes more checkouts than can be counted") from error


def days_left(report: Mapping[str, Any], worthwhile_effect: float, days: float) -> float | None:
    """Return after how many more days a watched report shows an effect worth having.

    Of the kind with more eligible checkouts, with a probability of 80%, at the traffic, the
    baseline (what checkouts without offers buy) and the design effect of the report, or of a row of
    one, which is of `days`. `worthwhile_effect` is the added share of eligible checkouts, as in a
    shop file. 0 where there are enough; None where nothing can be said yet: an arm is empty, or
    nobody without offers, or everybody, bought one.
    """
    kinds = [each["incremental"] for each in report.values()]
    largest = max(kinds, key=lambda each: sum(_arms(each)), default=None)
    if largest is None or days <= 0:
        return None
    treated, held_out = _arms(largest)
    baseline = largest["control"]["value"]
    if not treated or not held_out or not baseline or baseline + worthwhile_effect >= 1:
        return None
    n = treated + held_out
    needed = checkouts_needed(
        baseline,
        worthwhile_effect,
        held_out / n,
        design_effect=largest["design_effect"] or 1.0,
        watched=True,
    )
    return max(0.0, needed - n) * days / n


def _arms(entry: Mapping[str, Any]) -> tuple[int, int]:
    return entry["treatment"]["denominator"], entry["control"]["denominator"]


def _watched(effect: float, beyond: float, holdout: float, level: float, at_least: float) -> float:
    """Return the checkouts at which the effect is `beyond` standard errors outside the sequence.

    `effect` is in standard deviations of the difference at one checkout, `beyond` the normal
    quantile of the power. Watching never takes fewer than `at_least`, those of a single look.
    """

    def is_enough(checkouts: float) -> bool:
        trials = intrinsic_time(checkouts * (1 - holdout), checkouts * holdout)
        return effect * math.sqrt(checkouts) - anytime_quantile(trials, level) >= beyond

    low = high = at_least
    while not is_enough(high):
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _check(
    baseline: float,
    effect: float,
    holdout: float,
    power: float,
    level: float,
    design_effect: float,
) -> None:
    shares = (("baseline", baseline), ("holdout", holdout), ("power", power), ("level", level))
    for name, value in shares:
        if not 0 < value < 1:
            raise ConfigError(f"{name}: must lie between 0 and 1, not {value}")
    if baseline + effect == baseline or not 0 < baseline + effect < 1:
        raise ConfigError(
            f"effect: {effect} on a baseline of {baseline} gives no share between 0 and 1 that"
            " differs from it"
        )
    if not (math.isfinite(design_effect) and design_effect >= 1):
        raise ConfigError(f"design_effect: must be at least 1, not {design_effect}")
