"""One whole search for rules: itemsets, every rule, its test, then the thresholds.

Without a threshold of the caller, the least count is one that a training can afford.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import Itemsets, MiningEngine
from mersalg.training.mining.rules import Ranks, at_least, rules_from_itemsets
from mersalg.training.mining.significance import (
    Fullness,
    FullnessOfBaskets,
    combined_p_values,
    n_hypotheses,
    p_values,
    significant,
)

MOST_PAIRS = 30_000
"""Frequent pairs a default threshold allows for mlxtend: about ten seconds of FP-growth."""
MOST_SETS = 400_000
"""Frequent sets of two and more items for the other engines: about a million rules to test."""


def default_min_count(n_orders: int) -> int:
    """Orders an itemset must stand in where nobody says: 0.03% of the orders, at least 5."""
    return max(5, -(-3 * n_orders // 10_000))


def affordable_min_count(
    baskets: Baskets, at_least: int, *, engine: str = "local", max_length: int = 3
) -> int:
    """Return the least count, not below `at_least`, that few enough sets reach for `engine`.

    mlxtend's sets are those of two items, since what it takes goes by their number.
    """
    if engine == "mlxtend":
        return least_count(baskets, at_least, 2, MOST_PAIRS)
    return least_count(baskets, at_least, max_length, MOST_SETS)


def least_count(baskets: Baskets, at_least: int, max_length: int, most_sets: int) -> int:
    """Return the least count, not below `at_least`, that at most `most_sets` sets of items reach.

    Sets of 2..`max_length` items are counted exactly and only their counts are kept.
    """
    sets_of_count = LocalEngine().sets_of_count(baskets, at_least, max_length)
    reaching = np.cumsum(sets_of_count[::-1])[::-1]
    few_enough = np.flatnonzero(reaching <= most_sets)
    return max(at_least, int(few_enough[0]) if len(few_enough) else len(reaching))


@dataclass(frozen=True, slots=True)
class MinedRules:
    """The rules that were kept, and what they were chosen from.

    Attributes
    ----------
    table
        The rules, canonical order.
    p : float64 (n_rules,)
        Fisher p-value of each rule against independence.
    q : float64 (n_rules,)
        Benjamini-Hochberg q-value of the weakest of the tests in `improvement`.
    every
        All rules of the itemsets, before any threshold.
    itemsets
        What the rules come from.
    n_tests
        Hypotheses the q-values account for.
    """

    table: RuleTable
    p: NDArray[np.float64]
    q: NDArray[np.float64]
    every: RuleTable
    itemsets: Itemsets
    n_tests: int


def mine_rules(
    baskets: Baskets,
    engine: MiningEngine,
    *,
    min_count: int,
    max_length: int,
    progress: Progress,
    max_q: float = 0.05,
    all_rules: bool = False,
    min_confidence: Fraction | None = None,
    min_lift: Fraction | None = None,
) -> MinedRules:
    """Rules that reach the thresholds and, unless `all_rules`, are significant.

    The tests are counted before any threshold on a measure, so that a stricter threshold never
    makes a rule look more certain.
    """
    return rules_of(
        engine.itemsets(baskets, min_count, max_length, progress),
        FullnessOfBaskets(baskets),
        progress=progress,
        max_q=max_q,
        all_rules=all_rules,
        min_confidence=min_confidence,
        min_lift=min_lift,
    )


def rules_of(
    itemsets: Itemsets,
    fullness: Fullness,
    *,
    progress: Progress,
    max_q: float = 0.05,
    all_rules: bool = False,
    min_confidence: Fraction | None = None,
    min_lift: Fraction | None = None,
) -> MinedRules:
    """As `mine_rules`, of what was counted before, wherever that was.

    Parameters
    ----------
    fullness
        Of the orders behind `itemsets`.
    """
    with progress.task("Testing rules"):
        ranks = Ranks(itemsets)
        every = rules_from_itemsets(itemsets, itemsets.n_orders, ranks=ranks)
        n_tests = n_hypotheses(itemsets)
        p = p_values(every)
        weakest_p = combined_p_values(every, p, itemsets, fullness, ranks)
        certain, p, q = significant(every, max_q, n_tests=n_tests, p=p, weakest_p=weakest_p)
        kept = at_least(*every.counts(), min_confidence, min_lift)
        if not all_rules:
            kept &= certain
    chosen = np.flatnonzero(kept)
    return MinedRules(every.take(chosen), p[chosen], q[chosen], every, itemsets, n_tests)
