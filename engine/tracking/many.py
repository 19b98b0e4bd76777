"""Looking at many groups at once: the best of them is best partly by luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Measured = dict[str, Any]
"""One kind of one group of a report."""

Table = tuple[int, int, int, int]
"""Units of both arms: those that convert in treatment, all of it, those in control, all of it."""

EFFECTS = ("incremental", "net_incremental")
SHRUNKEN = ("customer", "offer", "order", "checkout")


def judge_together(groups: Sequence[Measured]) -> None:
    """Add to every group the `q_value` of its `EFFECTS` and its `shrunken` rates.

    Both depend on all groups, which are those of one period, such as its items.
    """
    for name in EFFECTS:
        effects = [group[name] for group in groups]
        tested = [effect for effect in effects if effect["p_value"] is not None]
        for effect in effects:
            effect["q_value"] = None
        of_tested: list[float] = q_values([effect["p_value"] for effect in tested]).tolist()
        for effect, q_value in zip(tested, of_tested, strict=True):
            effect["q_value"] = q_value
    for rate in SHRUNKEN:
        entries = [group[rate] for group in groups]
        counts = [(entry["numerator"], entry["denominator"]) for entry in entries]
        for entry, value in zip(entries, shrunken(counts), strict=True):
            entry["shrunken"] = None if entry["status"] == "not_comparable" else value


def q_values(p_values: ArrayLike, n_tests: int | None = None) -> NDArray[np.float64]:
    """Return the smallest false discovery rates at which each is still called an effect, (n,).

    `n_tests` >= n is the number of hypotheses looked at; the others count as p = 1, which can only
    raise the answers. Y. Benjamini and Y. Hochberg (1995), "Controlling the false discovery rate".
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * max(len(p), n_tests or 0) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def holm(p_values: Sequence[float], error: float) -> list[bool]:
    """Return which hypotheses are rejected with a chance of at most `error` of any wrong one.

    S. Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    rejected = [False] * len(p_values)
    for better, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] >= error / (len(p_values) - better):
            break
        rejected[index] = True
    return rejected


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


FEWEST_EXPECTED = 1.0
"""Converting units expected in an arm without an effect, below which there is no p-value."""

MANY_EXPECTED = 200.0
"""Those from which on the normal distribution serves for the tails that many groups need."""


def expected_units(tables: Sequence[Table]) -> float:
    """Return the smallest number of units that would convert, or not, in an arm by chance alone."""
    cells = [0.0] * 4
    for x1, n1, x2, n2 in tables:
        total = x1 + x2
        for at, n in enumerate((n1, n2)):
            cells[2 * at] += total * n / (n1 + n2)
            cells[2 * at + 1] += (n1 + n2 - total) * n / (n1 + n2)
    return min(cells)


def exact_p_value(tables: Sequence[Table]) -> float:
    """Return the p-value of Fisher's exact test of equal shares; with several tables, within each.

    Without an effect any units of a table are as likely to be in either arm: the number of those in
    control that convert is hypergeometric, a sum of several is the convolution. As likely or less
    than what was seen counts as extreme.

    R. A. Fisher (1935), "The logic of inductive inference"; several tables as in N. Mantel and
    W. Haenszel (1959), "Statistical aspects of the analysis of data from retrospective studies".
    """
    chances, offset = np.ones(1), 0
    for x1, n1, x2, n2 in tables:
        of_table, least = _hypergeometric(x1 + x2, n2, n1 + n2)
        chances, offset = np.convolve(chances, of_table), offset + least
    seen = sum(x2 for _, _, x2, _ in tables) - offset
    return extreme_chance(chances, seen)


def extreme_chance(chances: NDArray[np.float64], seen: int) -> float:
    """Return the chance of numbers that are as likely as what was seen, or less."""
    # Equal chances differ by rounding.
    extreme = chances <= chances[seen] * (1 + 1e-7)
    return min(1.0, float(chances[extreme].sum()))


def chances_of(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return chances from the ratio of each to the one before it."""
    logs = np.concatenate([np.zeros(1), np.cumsum(np.log(ratios))])
    chances = np.exp(logs - logs.max())
    return chances / chances.sum()


def _hypergeometric(successes: int, drawn: int, total: int) -> tuple[NDArray[np.float64], int]:
    """Return the chances of each possible number of successes among those drawn, from the least."""
    least, most = max(0, successes + drawn - total), min(successes, drawn)
    k = np.arange(least, most, dtype=np.float64)
    ratios = (successes - k) * (drawn - k) / ((k + 1) * (total - successes - drawn + k + 1))
    return chances_of(ratios), least


def shrunken(counts: Sequence[tuple[int, int]]) -> list[float | None]:
    """Return x/n of each group, shrunken towards that of all, the more the smaller n.

    None for 0/0.

    Empirical Bayes with a beta prior whose mean and spread are those of the groups, by moments:
    J. C. Kleinman (1973), "Proportions with extraneous variance", with weights n.
    """
    observed = [(x, n) for x, n in counts if n > 0]
    if not observed:
        return [None] * len(counts)
    total = sum(n for _, n in observed)
    mean = sum(x for x, _ in observed) / total
    weight = _prior_weight(observed, total, mean)
    if math.isinf(weight):
        return [mean if n else None for _, n in counts]
    return [(x + weight * mean) / (n + weight) if n else None for x, n in counts]


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
