"""Intervals that stay valid however often a report is looked at."""

from __future__ import annotations

import math

from mersalg.engine.tracking.intervals import Interval

TIGHTEST = 2_000.0
"""Trials (of one arm, were both as large) at which the sequence is narrowest for its level."""


def anytime_quantile(trials: float, level: float = 0.95) -> float:
    """Return what replaces the normal quantile where a report is looked at again and again.

    It falls to its minimum near `TIGHTEST` trials (see `intrinsic_time`) and grows like sqrt(log)
    after it.

    The boundary of the normal mixture: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and
    A. Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence sequences",
    theorem 2.2, with rho chosen for `TIGHTEST` as in its appendix.
    """
    scaled = _scaled(trials, level)
    return math.sqrt(2 * (1 + 1 / scaled) * math.log(math.sqrt(scaled + 1) / (1 - level)))


def anytime_p_value(deviation: float, trials: float, level: float = 0.95) -> float:
    """Return a p-value that holds however often it is looked at: at most p with probability p.

    It is the error at which the confidence sequence, tuned for `level`, ends at 0: it is below
    1 - level where that of `level` excludes 0. `deviation` is the estimate over its standard error.
    """
    scaled = _scaled(trials, level)
    return min(1.0, math.sqrt(scaled + 1) * math.exp(-(deviation**2) / (2 * (1 + 1 / scaled))))


def _scaled(trials: float, level: float) -> float:
    """Return intrinsic time times the square of rho, which makes the sequence tight."""
    log = -2 * math.log(1 - level)
    return trials * (log + math.log(log + 1)) / TIGHTEST


def intrinsic_time(n1: float, n2: float) -> float:
    """Return the trials of one arm, were both as large, that say as much about the difference."""
    return 2 * n1 * n2 / (n1 + n2)


def watched_difference(
    x1: float, n1: float, x2: float, n2: float, level: float = 0.95
) -> tuple[Interval, float] | None:
    """Return the confidence sequence of x1/n1 - x2/n2, and the p-value of no difference.

    Its error, over all looks together, is at most 1 - level for samples not tiny. Variances are
    of (x + 2) / (n + 4), so that shares of 0 and 1 do not claim to be certain. None where a
    denominator is 0.
    """
    if n1 <= 0 or n2 <= 0:
        return None
    variance = 0.0
    for x, n in ((x1, n1), (x2, n2)):
        share = (x + 2) / (n + 4)
        variance += share * (1 - share) / n
    value, error, trials = x1 / n1 - x2 / n2, math.sqrt(variance), intrinsic_time(n1, n2)
    spread = anytime_quantile(trials, level) * error
    interval = Interval(value, max(-1.0, value - spread), min(1.0, value + spread))
    return interval, anytime_p_value(value / error, trials, level)
