"""Intervals and tests in closed form: what a report needs of statistics, without SciPy.

Confidence sequences are intervals that stay valid however often a report is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import add
from statistics import NormalDist

import msgspec
from msgspec.structs import astuple

TIGHTEST = 2_000.0
"""Trials (of one arm, were both as large) at which the sequence is narrowest for its level."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between its bounds."""

    value: float
    lower: float
    upper: float


@cache
def normal_quantile(level: float) -> float:
    """Return z such that a standard normal is in [-z, z] with probability `level`, in (0, 1)."""
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(level: float, degrees: float) -> float:
    """Return t such that Student's t is in [-t, t] with probability `level`, in (0, 1).

    Exact with one, two and infinitely many degrees of freedom, within 0.2% from nine on; else
    M. Abramowitz and I. A. Stegun (1964), "Handbook of Mathematical Functions", 26.7.5.
    """
    if degrees <= 1:
        return math.tan(math.pi * level / 2)
    if degrees <= 2:
        return level * math.sqrt(2 / (1 - level * level))
    z, tail = normal_quantile(level), 1 / degrees
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term * tail**power for power, term in enumerate(terms, 1))


def wilson(numerator: float, denominator: float, level: float = 0.95) -> Interval | None:
    """Return Wilson's score interval of a proportion; None for 0/0.

    Effective counts need not be integers.

    E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if denominator == 0:
        return None
    z = normal_quantile(level)
    share = numerator / denominator
    middle = (numerator + z * z / 2) / (denominator + z * z)
    spread = z * math.sqrt(denominator * share * (1 - share) + z * z / 4) / (denominator + z * z)
    # At the ends the bounds are exactly 0 and 1; rounding must not push the value outside.
    lower = 0.0 if numerator == 0 else min(max(0.0, middle - spread), share)
    upper = 1.0 if numerator == denominator else max(min(1.0, middle + spread), share)
    return Interval(share, lower, upper)


def newcombe(x1: float, n1: float, x2: float, n2: float, level: float = 0.95) -> Interval | None:
    """Return the hybrid score interval of x1/n1 - x2/n2; None where a denominator is 0.

    R. G. Newcombe (1998), "Interval estimation for the difference between independent
    proportions", method 10 (no continuity correction).
    """
    first, second = wilson(x1, n1, level), wilson(x2, n2, level)
    return None if first is None or second is None else newcombe_of(first, second)


def newcombe_of(first: Interval, second: Interval) -> Interval:
    """Return Newcombe's interval of the difference of two shares, from Wilson's of each."""
    difference = first.value - second.value
    below = math.hypot(first.value - first.lower, second.upper - second.value)
    above = math.hypot(first.upper - first.value, second.value - second.lower)
    return Interval(difference, max(-1.0, difference - below), min(1.0, difference + above))


class RatioSums(msgspec.Struct, frozen=True, gc=False):
    """Sufficient statistics of a ratio of sums over clusters (units); adds up.

    With x the cluster's total and m its number of checkouts: n clusters, the sums of x and m,
    and the sums of their squares and product. Of trials also the clusters with a success
    (`n_some`), and those with a failure (`n_less`). Integers stay exact in any order of addition.
    """

    n: int = 0
    sum_x: int = 0
    sum_m: int = 0
    sum_xx: int = 0
    sum_xm: int = 0
    sum_mm: int = 0
    n_some: int = 0
    n_less: int = 0

    def __add__(self, other: RatioSums) -> RatioSums:
        return RatioSums(*map(add, astuple(self), astuple(other)))

    @property
    def value(self) -> float:
        """The ratio."""
        return self.sum_x / self.sum_m

    def variance(self) -> float:
        """Return the delta-method variance of sum(x) / sum(m), with clusters independent.

        n / (n - 1) * sum((x - R m)^2) / sum(m)^2: A. Deng et al. (2018), "Applying the delta
        method in metric analytics", section 2, with residuals around R = sum(x) / sum(m).
        """
        return self.n * self.spread() / self.sum_m**2 if self.sum_m else math.inf

    def spread(self) -> float:
        """Return the variance of a cluster's residual around the ratio; infinite for one alone."""
        if self.n < 2:
            return math.inf
        # Over the common denominator the residuals stay integers, so nothing cancels.
        x, m = self.sum_x, self.sum_m
        residuals = self.sum_xx * m * m - 2 * x * m * self.sum_xm + x * x * self.sum_mm
        return residuals / (m * m) / (self.n - 1)

    @property
    def mean(self) -> Mean:
        """The ratio as a mean of clusters."""
        return Mean(self.value, ((self.variance(), self.n),))


class CrossSums(msgspec.Struct, frozen=True, gc=False):
    """Products of the totals (x, m) of clusters in two strata, the first before the second.

    They add up; clusters that are in one of the two only have no part in them.
    """

    sum_xx: int = 0
    sum_xm: int = 0
    sum_mx: int = 0
    sum_mm: int = 0

    def covariance(self, first: RatioSums, second: RatioSums) -> float:
        """Return the delta-method covariance of the ratios of two strata with shared clusters."""
        # Over the common denominator the residuals stay integers, so nothing cancels.
        x, m, y, n = first.sum_x, first.sum_m, second.sum_x, second.sum_m
        residuals = (
            self.sum_xx * m * n - self.sum_xm * m * y - self.sum_mx * x * n + self.sum_mm * x * y
        )
        return residuals / (m * m * n * n)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of clusters, or a weighted sum of such means.

    `parts` are of each mean its variance, times the square of its weight, and its number of
    clusters; `covariance` is that of the weighted parts, each pair once.
    """

    value: float
    parts: Sequence[tuple[float, int]]
    covariance: float = 0.0

    def variance(self) -> float:
        """Return the variance of the mean; never less than 0."""
        return max(0.0, math.fsum(each for each, _ in self.parts) + 2 * self.covariance)


def effective_counts(sums: RatioSums, level: float = 0.95) -> tuple[float, float]:
    """Return (x, n) of as many independent trials as would be as informative as clustered ones.

    Both are divided by the design effect: the delta-method variance over that of independent
    trials, times the square of how much wider Student's t is, with a degree of freedom for every
    unit less one, than the normal distribution at `level`. By how much units differ is known from
    those alone that differ from most: this part of it has a degree of freedom for every unit with a
    success, or with a failure where these are fewer, less one. It is 1 where every cluster is one
    trial and never taken to be less; at least one trial is left.

    E. L. Korn and B. I. Graubard (1998), "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data"; the second degrees of freedom are those
    by which intervals cover what they say (tests/benchmarks/coverage.py).
    """
    x, n = sums.sum_x, sums.sum_m
    if sums.n == n or x in (0, n):
        # Where all trials fail, or all succeed, no variance is seen: each unit is one trial.
        shrunk = sums.n / n if n else 1.0
        return x * shrunk, n * shrunk
    if sums.n < 2:
        return x / n, 1.0
    # With one degree of freedom an interval says nothing, and two cover as often.
    fewest = min(max(2, min(sums.n_some, sums.n_less) - 1), sums.n - 1)
    widened, differing = (
        (t_quantile(level, degrees) / normal_quantile(level)) ** 2
        for degrees in (sums.n - 1, fewest)
    )
    effect = sums.variance() * n / (sums.value * (1 - sums.value))
    effect = effect * widened + max(0.0, effect - 1) * (differing - widened)
    effect = min(max(1.0, effect), float(n))
    return x / effect, n / effect


def clustered_difference(
    first: Mean, second: Mean, level: float = 0.95, *, quantile: float | None = None
) -> Interval:
    """Return Welch's interval of the difference of two means of clusters, or that by `quantile`."""
    difference = first.value - second.value
    if quantile is None:
        quantile = welch_quantile((*first.parts, *second.parts), level)
    spread = quantile * math.sqrt(first.variance() + second.variance())
    return Interval(difference, difference - spread, difference + spread)


def welch_quantile(parts: Sequence[tuple[float, int]], level: float) -> float:
    """Return Student's quantile for a sum or difference of means, from variance and units of each.

    B. L. Welch (1947), "The generalization of Student's problem when several different population
    variances are involved"; degrees of freedom by F. E. Satterthwaite (1946).
    """
    total = math.fsum(variance for variance, _ in parts)
    if not 0 < total < math.inf:
        return normal_quantile(level)
    # Divided by the total first, so that squares of tiny variances are not lost.
    inverse = math.fsum((variance / total) ** 2 / (n - 1) for variance, n in parts)
    return t_quantile(level, 1 / inverse)


def chi2_p_value(statistic: float) -> float:
    """Return P(chi-square with one degree of freedom >= statistic)."""
    return math.erfc(math.sqrt(max(0.0, statistic) / 2))


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
