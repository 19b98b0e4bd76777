"""Test which rules are more than chance: exact tests and the false discovery rate.

A rule must say more than how full baskets are, and a longer one more than its parts.

An order that holds a is a fuller one than most, so anything else is more likely in it: where the
items of a year's groceries are dealt to its orders at random, nearly every pair that meets often
looks significant against plain independence. One more test is therefore asked of every rule A -> c,
and two of those with two or more items in A; a rule is as certain as the weakest of its tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.native import kernels
from mersalg.training.mining.protocol import Fullness, Itemsets
from mersalg.training.mining.rules import Ranks

_PARTS_A_THREAD = 4
_WORTH_A_THREAD = 10_000


def n_hypotheses(itemsets: Itemsets) -> int:
    """Return the number of possible rules A -> c: every listed A with every listed item outside.

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


def p_values(table: RuleTable) -> Float64s:
    """One-sided Fisher exact p-value of each rule, shape (n,).

    P(joint >= n_joint) where n_antecedent and n_consequent are fixed: the upper tail of the
    hypergeometric distribution.
    """
    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
    return upper_tails(n_joint, np.full(len(table), n_orders), n_consequent, n_antecedent)


def upper_tails(at_least: Int64s, total: Int64s, marked: Int64s, drawn: Int64s) -> Float64s:
    """P(X >= at_least), X being the marked ones among `drawn` of `total`; all of shape (n,)."""
    tails = np.empty(len(at_least))
    least, n, hits, draws = (
        np.ascontiguousarray(a, dtype=np.int64) for a in (at_least, total, marked, drawn)
    )
    _in_parts(
        len(tails), lambda low, high: kernels.upper_tails(low, high, least, n, hits, draws, tails)
    )
    return tails


def _in_parts(n: int, do: Callable[[int, int], object]) -> None:
    """Call `do(low, high)` for parts of 0..n on all cores; it must write to its part alone."""
    n_threads = os.cpu_count() or 1
    n_parts = _PARTS_A_THREAD * n_threads if n > _WORTH_A_THREAD else 1
    bounds = np.linspace(0, n, n_parts + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mersalg-mining") as threads:
        list(threads.map(lambda bound: do(*bound), pairwise(bounds)))


def q_values(p: Float64s, n_tests: int | None = None) -> Float64s:
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
    p: Float64s | None = None,
    weakest_p: Float64s | None = None,
) -> tuple[Bools, Float64s, Float64s]:
    """Return the mask of rules with lift's lower bound above 1 and q below `max_q`; p; q.

    Give it all rules mined, before any measure threshold, and `n_hypotheses` of their itemsets.
    `p`: that of `p_values`, where it is at hand.
    `weakest_p` (`improvement.combined_p_values`) takes the place of p in the q-values.
    """
    p = p_values(table) if p is None else p
    q = q_values(p if weakest_p is None else weakest_p, n_tests)
    return (table.lift_lower() > 1.0) & (q < max_q), p, q


def combined_p_values(
    table: RuleTable,
    p: Float64s,
    itemsets: Itemsets,
    fullness: Fullness,
    ranks: Ranks | None = None,
) -> Float64s:
    """Return the largest of the tests that each rule must pass, shape (n,).

    Two for single antecedents (`p`, and against the size of orders), three for longer ones.

    `ranks`: those of `itemsets`, where they are at hand.
    """
    combined = p.copy()
    ranks = ranks or Ranks(itemsets)
    for length in range(1, int(table.lengths.max(initial=0)) + 1):
        rules = np.flatnonzero(table.lengths == length)
        if not len(rules):
            continue
        part = table.take(rules)
        antecedents = part.antecedents.values.reshape(len(rules), length)
        combined[rules] = np.maximum(
            p[rules], _against_size(part, antecedents, itemsets, ranks, fullness)
        )
        if length > 1:
            combined[rules] = np.maximum(
                combined[rules], _against_parts(part, antecedents, itemsets, ranks)
            )
    return combined


def _against_parts(
    table: RuleTable, antecedents: Int32s, itemsets: Itemsets, ranks: Ranks
) -> Float64s:
    """Fisher's test that each item of A adds to the others: Webb's productive rules (2007).

    For each a in A, among the orders that hold the rest of A: is c more frequent where a is too?
    """
    length = antecedents.shape[1]
    worst = np.zeros(len(table))
    for index in range(length):
        rest = np.delete(antecedents, index, axis=1)
        with_consequent = np.sort(np.column_stack([rest, table.consequent]), axis=1)
        n_rest = itemsets.counts[length - 2][ranks.of(rest)]
        n_rest_and_consequent = itemsets.counts[length - 1][ranks.of(with_consequent)]
        tail = upper_tails(table.n_joint, n_rest, n_rest_and_consequent, table.n_antecedent)
        worst = np.maximum(worst, tail)
    return worst


def _against_size(
    table: RuleTable, antecedents: Int32s, itemsets: Itemsets, ranks: Ranks, fullness: Fullness
) -> Float64s:
    """P(joint >= n_joint) were the other places of the orders with A filled by popularity alone.

    An order of s items that holds A has s - |A| other places, each c with probability
    p_c / (1 - sum of p over A), p being shares of all entries. The sum over orders is Poisson
    binomial; the Poisson tail of the same mean is above its upper tail, so the test errs on
    the side of caution.
    """
    length = antecedents.shape[1]
    singles, item_counts = itemsets.of_length(1)
    share = np.zeros(int(singles.max(initial=-1)) + 1)
    share[singles[:, 0]] = item_counts / max(fullness.n_entries, 1)
    rank = ranks.of(antecedents)
    places = fullness.entries[length - 1][rank] - table.n_antecedent * length
    beside = 1.0 - share[antecedents].sum(axis=1)
    expected = places * share[table.consequent] / np.maximum(beside, 1e-12)
    tails, n_joint = np.empty(len(table)), np.ascontiguousarray(table.n_joint, dtype=np.int64)
    _in_parts(
        len(table), lambda low, high: kernels.poisson_tails(low, high, n_joint, expected, tails)
    )
    return tails
