"""Which rules are more than chance: Fisher's exact test and the false discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from training.mining.parallel import in_ranges
from training.mining.protocol import Itemsets

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
    return upper_tails(n_joint, np.full(len(table), n_orders), n_consequent, n_antecedent)


def upper_tails(at_least: Integers, total: Integers, marked: Integers, drawn: Integers) -> Floats:
    """P(X >= at_least), X being the marked ones among `drawn` of `total`; all of shape (n,)."""
    # Numba takes half a second to load: only who mines waits for it.
    from training.mining import tail_kernels

    tails = np.empty(len(at_least))
    arguments = [np.ascontiguousarray(a, dtype=np.int64) for a in (at_least, total, marked, drawn)]
    in_ranges(
        np.ones(len(tails), dtype=np.int64),
        lambda low, high: tail_kernels.upper_tails(low, high, *arguments, tails),
    )
    return tails


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
    p: Floats | None = None,
    weakest_p: Floats | None = None,
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """The mask of rules with lift's lower bound above 1 and q below `max_q`; p; q.

    Give it all rules mined, before any measure threshold, and `n_hypotheses` of their itemsets.
    `p`: that of `p_values`, where it is at hand.
    `weakest_p` (`improvement.combined_p_values`) takes the place of p in the q-values.
    """
    p = p_values(table) if p is None else p
    q = q_values(p if weakest_p is None else weakest_p, n_tests)
    return (table.lift_lower() > 1.0) & (q < max_q), p, q
