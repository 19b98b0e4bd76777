"""Effects a unit, for what offers change may decide how many eligible checkouts a unit has.

A unit is drawn once, so that the totals of units are comparable where their checkouts are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.tracking.intervals import RatioSums, clustered_difference, normal_quantile
from engine.tracking.strata import ARMS, COUNTED, MISMATCH, ArmSums, Strata


def per_unit(strata: Strata) -> Strata:
    """Return the totals of units in place of those of checkouts: each unit is one trial.

    Of `COUNTED` it has units with at least one such checkout. Where units are in two strata it
    counts them twice; see `have_units_in_common`.
    """
    return Strata({key: _of_arm(sums) for key, sums in strata.arms.items()})


def _of_arm(sums: ArmSums) -> ArmSums:
    of = {
        name: RatioSums(each.n, each.sum_x, each.n, each.sum_xx, each.sum_x, each.n)
        for name, each in sums.of.items()
    }
    for name in COUNTED:
        n, some = sums.units, sums.of[name].n_some
        of[name] = RatioSums(n, some, n, some, some, n, some, n - some)
    return ArmSums(of, sums.unstated)


def have_units_in_common(strata: Strata, shares: Sequence[int]) -> bool:
    """Return whether a unit is in two of some strata."""
    return any(first in shares and second in shares for _, first, second in strata.across)


def why_checkouts_differ(strata: Strata, shares: Sequence[int]) -> str | None:
    """Return why checkouts of the arms are not alike; None where units have as many in both.

    Two tests have to say so, for each of them alone raises too many false alarms where few units of
    an arm have very different numbers: Welch's, and the score test with the variance of both arms.
    In each stratum, with Bonferroni's correction.
    """
    for share in shares:
        treatment, control = (_visits(strata.arms[share, arm]) for arm in ARMS)
        level, both = 1 - MISMATCH / len(shares), treatment + control
        welch = clustered_difference(treatment.mean, control.mean, level)
        variance = both.variance() * both.n * (1 / treatment.n + 1 / control.n)
        score = normal_quantile(level) * math.sqrt(variance)
        if abs(welch.value) > max(score, welch.upper - welch.value):
            return (
                f"units with offers have {treatment.value:.4g} eligible checkouts each, those"
                f" without {control.value:.4g}, so that checkouts of the arms are not alike:"
                " compare units"
            )
    return None


def _visits(sums: ArmSums) -> RatioSums:
    """Return the eligible checkouts of units."""
    of = sums.of["converted"]
    return RatioSums(of.n, of.sum_m, of.n, of.sum_mm, of.sum_m, of.n)
