"""Intervals that stay valid however often a report is looked at."""

from __future__ import annotations

import math

from engine.tracking.intervals import Interval

TIGHTEST = 2_000.0
"""Trials (of one arm, were both as large) at which the sequence is narrowest for its level."""


def anytime_quantile(trials: float, level: float = 0.95) -> float:
    """Return what replaces the normal quantile where a report is looked at again and again.

    It falls to its minimum near `TIGHTEST` and grows like sqrt(log) after it.

    The boundary of the normal mixture: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and
    A. Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence sequences",
    theorem 2.2, with rho chosen for `TIGHTEST` as in its appendix.

    Parameters
    ----------
    trials : float
        Intrinsic time, above 0: n1 n2 / (n1 + n2) for two arms, times two.
    level : float
        Of the confidence sequence.
    """
    alpha = 1 - level
    log = -2 * math.log(alpha)
    scaled = trials * (log + math.log(log + 1)) / TIGHTEST
    return math.sqrt(2 * (1 + 1 / scaled) * math.log(math.sqrt(scaled + 1) / alpha))


def intrinsic_time(n1: float, n2: float) -> float:
    """Return the trials of one arm, were both as large, that say as much about the difference."""
    return 2 * n1 * n2 / (n1 + n2)


def watched_difference(
    x1: float, n1: float, x2: float, n2: float, level: float = 0.95
) -> Interval | None:
    """Return the confidence sequence of x1/n1 - x2/n2; None where a denominator is 0.

    Its error, over all looks together, is at most 1 - level for samples not tiny. Variances are
    of (x + 2) / (n + 4), so that shares of 0 and 1 do not claim to be certain.
    """
    if n1 <= 0 or n2 <= 0:
        return None
    variance = 0.0
    for x, n in ((x1, n1), (x2, n2)):
        share = (x + 2) / (n + 4)
        variance += share * (1 - share) / n
    value = x1 / n1 - x2 / n2
    spread = anytime_quantile(intrinsic_time(n1, n2), level) * math.sqrt(variance)
    return Interval(value, max(-1.0, value - spread), min(1.0, value + spread))
