"""Looking at many groups at once: the best of them is best partly by luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Measured = dict[str, Any]
"""One kind of one group of a report."""

SHRUNKEN = ("customer", "offer", "order", "checkout")


def judge_together(groups: Sequence[Measured]) -> None:
    """Add to every group the `q_value` of its effect and its `shrunken` rates.

    Both depend on all groups, which are those of one period, such as its items.
    """
    effects = [group["incremental"] for group in groups]
    tested = [effect for effect in effects if effect["p_value"] is not None]
    q_values = benjamini_hochberg([effect["p_value"] for effect in tested])
    for effect in effects:
        effect["q_value"] = None
    for effect, q_value in zip(tested, q_values, strict=True):
        effect["q_value"] = q_value
    for rate in SHRUNKEN:
        entries = [group[rate] for group in groups]
        counts = [(entry["numerator"], entry["denominator"]) for entry in entries]
        for entry, value in zip(entries, shrunken(counts), strict=True):
            entry["shrunken"] = value


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return q-values: the smallest false discovery rate at which each is still called an effect.

    Y. Benjamini and Y. Hochberg (1995), "Controlling the false discovery rate".
    """
    found = [0.0] * len(p_values)
    least = 1.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place], reverse=True)
    for better, place in enumerate(order):
        least = min(least, p_values[place] * len(p_values) / (len(p_values) - better))
        found[place] = least
    return found


def difference_p_value(x1: float, n1: float, x2: float, n2: float) -> float | None:
    """Return the p-value of the two-sided, pooled score test of equal shares.

    None where an arm is empty.
    """
    if n1 <= 0 or n2 <= 0:
        return None
    pooled = (x1 + x2) / (n1 + n2)
    variance = pooled * (1 - pooled) * (1 / n1 + 1 / n2)
    if variance <= 0:
        return 1.0
    return math.erfc(abs(x1 / n1 - x2 / n2) / math.sqrt(2 * variance))


def shrunken(counts: Sequence[tuple[int, int]]) -> list[float | None]:
    """Return x/n of each group, shrunken towards that of all, the more the smaller n.

    None for 0/0.

    Empirical Bayes with a beta prior whose mean and spread are those of the groups, by moments:
    J. C. Kleinman (1973), "Proportions with extraneous variance", with weights n.
    """
    known = [(x, n) for x, n in counts if n > 0]
    if not known:
        return [None] * len(counts)
    total, mean = sum(n for _, n in known), sum(x for x, _ in known) / sum(n for _, n in known)
    weight = _prior_weight(known, total, mean)
    return [None if n == 0 else _drawn(x, n, mean, weight) for x, n in counts]


def _drawn(x: int, n: int, mean: float, weight: float) -> float:
    return mean if math.isinf(weight) else (x + weight * mean) / (n + weight)


def _prior_weight(counts: Sequence[tuple[int, int]], total: int, mean: float) -> float:
    """Return the trials that the prior counts for; infinite where groups differ only by chance."""
    groups, binomial = len(counts), mean * (1 - mean)
    between = sum(n * (x / n - mean) ** 2 for x, n in counts)
    spread = total - sum(n * n for _, n in counts) / total
    if groups < 2 or binomial == 0 or spread <= groups - 1:
        return math.inf
    # E[between] = binomial (1 - alike) (groups - 1) + binomial alike spread', solved for `alike`.
    alike = (between / binomial - (groups - 1)) / (spread - (groups - 1))
    if alike <= 0:
        return math.inf
    return max(0.0, 1 / min(alike, 1.0) - 1)
