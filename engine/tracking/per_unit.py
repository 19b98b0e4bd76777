"""Effects a unit, for what offers change may decide how many eligible checkouts a unit has.

A unit is drawn once, so that the totals of units are comparable where their checkouts are not. It
belongs to the arm and the share of its first eligible decision of the kind in the period. Counted
are its eligible checkouts and, in whole baskets, the other checkouts of the period that it began
with or after that decision, whatever these were offered: each by orders that name it themselves,
from 5 minutes before its first decision on. Checkouts whose first decision has a share of 0 or 1
stay out. A unit with an order in another currency among these has no part in money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mersalg.engine.tracking.intervals import RatioSums, clustered_difference, normal_quantile
from mersalg.engine.tracking.strata import ARMS, MISMATCH, ArmSums, Strata

OF_BASKET = (
    *("orders", "completed", "kept_orders", "order_revenue", "net_order_revenue"),
    "foreign",
)
"""Fields of a cluster that checkouts without an offer of the kind have, too."""


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
