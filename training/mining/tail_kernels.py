"""Compiled tail probabilities of the hypergeometric distribution, to about 13 digits.

Point probabilities by Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000),
which R uses too: no difference of large logarithms is taken, so nothing is lost however many
orders there are. Tails are sums of their ratios, from the point away from the mode.
"""

from __future__ import annotations

import math

import numpy as np

from training.mining.compiled import compiled

_STIRLING_ERRORS = np.array(
    [0.0]
    + [
        float(math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi))
        for n in range(1, 16)
    ]
)
_ROUNDING = 2.0**-53


@compiled
def _stirling_error(n):
    """log(n!) less Stirling's formula for it."""
    if n < 16:
        return _STIRLING_ERRORS[int(n)]
    square = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680) / square) / square) / square) / n


@compiled
def _deviance(x, mean):
    """x log(x / mean) + mean - x, without loss where x is near the mean."""
    if abs(x - mean) < 0.1 * (x + mean):
        ratio = (x - mean) / (x + mean)
        total = (x - mean) * ratio
        term = 2 * x * ratio
        square = ratio * ratio
        for odd in range(3, 2001, 2):
            term *= square
            longer = total + term / odd
            if longer == total:
                break
            total = longer
        return total
    return x * math.log(x / mean) + mean - x


@compiled
def _log_binomial(x, n, p, q):
    """log P(X = x) of n draws with probability p = 1 - q."""
    if x == 0 or x == n:
        if n == 0:
            return 0.0
        none, sure = (p, q) if x == 0 else (q, p)
        return -_deviance(n, n * sure) - n * none if none < 0.1 else n * math.log(sure)
    errors = _stirling_error(n) - _stirling_error(x) - _stirling_error(n - x)
    deviances = _deviance(x, n * p) + _deviance(n - x, n * q)
    return errors - deviances - 0.5 * math.log(2 * math.pi * x * (1 - x / n))


@compiled
def _log_hypergeometric(x, marked, unmarked, drawn):
    p = drawn / (marked + unmarked)
    q = (marked + unmarked - drawn) / (marked + unmarked)
    return (
        _log_binomial(x, marked, p, q)
        + _log_binomial(drawn - x, unmarked, p, q)
        - _log_binomial(drawn, marked + unmarked, p, q)
    )


@compiled
def upper_tails(low, high, at_least, total, marked, drawn, tails):
    """P(X >= at_least) into `tails[low:high]`: of `drawn` out of `total`, X are `marked`.

    Args:
        at_least, total, marked, drawn: int64 (n,).
        tails: float64 (n,).
    """
    for place in range(low, high):
        x = float(at_least[place])
        n, k, m = float(drawn[place]), float(marked[place]), float(total[place])
        if x <= max(0.0, n + k - m):
            tails[place] = 1.0
            continue
        if x > min(n, k):
            tails[place] = 0.0
            continue
        if n == m or k == m:
            # All are drawn, or all are marked: X is certain, and x has been found possible.
            tails[place] = 1.0
            continue
        upwards = x * m > n * k
        if not upwards:
            x -= 1.0
        point = math.exp(_log_hypergeometric(x, k, m - k, n))
        term = 1.0
        total_of_terms = 1.0
        while term > _ROUNDING * total_of_terms:
            if upwards:
                term *= (k - x) * (n - x) / ((x + 1) * (m - k - n + x + 1))
                x += 1.0
            else:
                term *= x * (m - k - n + x) / ((k - x + 1) * (n - x + 1))
                x -= 1.0
            total_of_terms += term
        tail = point * total_of_terms
        tails[place] = min(tail, 1.0) if upwards else max(1.0 - tail, 0.0)
