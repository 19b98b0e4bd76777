"""Which rules are more than chance: Fisher's exact test and the false discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from training.mining.protocol import Itemsets

Floats = NDArray[np.float64]


def n_hypotheses(itemsets: Itemsets) -> int:
    """How many rules A -> c could have been found: every listed A with every listed item outside.

    Mining lists only the rules whose items meet often, and to choose by the joint count is to
    choose by the outcome: on pure noise the listed rules are the luckiest of all that were looked
    at. So the family of tests is the whole search space, as in Webb, "Discovering Significant
    Patterns" (2007): its size depends on how often A and c occur alone, which Fisher's test holds
    fixed, and not on how often they meet. Both directions of a pair count, since both are listed.
    """
    n_items = len(itemsets.of_length(1)[1])
    return sum(
        len(itemsets.of_length(length)[1]) * (n_items - length)
        for length in range(1, itemsets.max_length)
    )


def p_values(table: RuleTable) -> Floats:
    """One-sided Fisher exact p-value of each rule, shape (n,).

    P(joint >= n_joint) where n_antecedent and n_consequent are fixed: the upper tail of the
    hypergeometric distribution.
    """
    from scipy.stats import hypergeom

    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
    if not len(table):
        return np.zeros(0)
    tail = hypergeom.sf(n_joint - 1, n_orders, n_consequent, n_antecedent)
    return np.clip(np.asarray(tail, dtype=np.float64), 0.0, 1.0)


def q_values(p: Floats, n_tests: int | None = None) -> Floats:
    """Benjamini-Hochberg adjusted p-values, shape of `p`.

    `n_tests` >= len(p) is the number of hypotheses looked at; those not in `p` count as p = 1,
    which can only raise the answers. None: no others were looked at.
    """
    m = max(len(p), n_tests or 0)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, len(p) + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    q = np.empty(len(p))
    q[order] = adjusted
    return q


def significant(
    table: RuleTable,
    max_q: float = 0.05,
    *,
    n_tests: int | None = None,
    weakest_p: Floats | None = None,
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """The mask of rules with lift's lower bound above 1 and q below `max_q`; p; q.

    Give it all rules mined, before any measure threshold, and `n_hypotheses` of their itemsets.
    `weakest_p` (`improvement.combined_p_values`) takes the place of p in the q-values.
    """
    p = p_values(table)
    q = q_values(p if weakest_p is None else weakest_p, n_tests)
    return (table.lift_lower() > 1.0) & (q < max_q), p, q
