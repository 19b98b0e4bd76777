"""Interest measures of a rule A -> c, derived from four integer counts.

With n orders, n_a holding A, n_c holding c and n_ac holding both. Definitions as collected by
Hahsler, "A Probabilistic Comparison of Commonly Used Interest Measures for Association Rules"
(2015). Every function takes broadcastable integer arrays and returns float64 of their shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mersalg.engine.arrays import Float64s

Z_95 = 1.959963984540054
"""Two-sided 95% quantile of the standard normal."""


def _f(counts: ArrayLike) -> Float64s:
    return np.asarray(counts, dtype=np.float64)


def support(n_joint: ArrayLike, n_orders: ArrayLike) -> Float64s:
    """n_ac / n."""
    return _f(n_joint) / _f(n_orders)


def confidence(n_joint: ArrayLike, n_antecedent: ArrayLike) -> Float64s:
    """n_ac / n_a: how often c is in an order that holds A."""
    return _f(n_joint) / _f(n_antecedent)


def lift(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """(n_ac / n_a) / (n_c / n); 1 under independence (Brin et al. 1997)."""
    return (_f(n_joint) / _f(n_antecedent)) * (_f(n_orders) / _f(n_consequent))


def _log_lift_error(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """Return the standard error of log lift, by the delta method on the multinomial of (A, c).

    Var = 1/n_ac - 1/n_a - 1/n_c + (2 lift - 1)/n.
    """
    ratio = lift(n_joint, n_antecedent, n_consequent, n_orders)
    variance = (
        1 / _f(n_joint)
        - 1 / _f(n_antecedent)
        - 1 / _f(n_consequent)
        + (2 * ratio - 1) / _f(n_orders)
    )
    # Rounding can leave a hair below zero where the variance is truly zero (c in every order).
    return np.sqrt(np.maximum(variance, 0.0))


def lift_lower(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """Lower end of the 95% interval of lift, log-normal by the delta method."""
    counts = (n_joint, n_antecedent, n_consequent, n_orders)
    return lift(*counts) * np.exp(-Z_95 * _log_lift_error(*counts))


def lift_upper(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """Upper end of the same interval; below 1, the pair keeps apart. Wants n_joint >= 1."""
    counts = (n_joint, n_antecedent, n_consequent, n_orders)
    return lift(*counts) * np.exp(Z_95 * _log_lift_error(*counts))


def leverage(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """n_ac/n - (n_a/n)(n_c/n): joint orders above independence, as a share (Piatetsky-Shapiro)."""
    n = _f(n_orders)
    return _f(n_joint) / n - (_f(n_antecedent) / n) * (_f(n_consequent) / n)


def conviction(
    n_joint: ArrayLike, n_antecedent: ArrayLike, n_consequent: ArrayLike, n_orders: ArrayLike
) -> Float64s:
    """(1 - n_c/n) / (1 - confidence); infinite where the rule never fails (Brin et al. 1997)."""
    n, n_a = _f(n_orders), _f(n_antecedent)
    misses = n_a - _f(n_joint)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (n - _f(n_consequent)) / n * n_a / misses
    return np.where(misses > 0, ratio, np.inf)
