"""Longer antecedents must say more than their parts, and more than how full a basket is.

An order that holds both a and b is a large one, so anything else is more likely in it: against
plain independence nearly every triple of a shop without any structure looks significant. Two more
tests are therefore asked of a rule A -> c with two or more items in A, and it is as certain as the
weakest of the three.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from engine.orders import Baskets
from training.mining.protocol import Itemsets
from training.mining.rules import Ranks

Floats = NDArray[np.float64]


def combined_p_values(table: RuleTable, p: Floats, itemsets: Itemsets, baskets: Baskets) -> Floats:
    """`p` for single antecedents; the largest of the three tests for longer ones; shape (n,)."""
    combined = p.copy()
    ranks = Ranks(itemsets)
    for length in range(2, int(table.lengths.max(initial=1)) + 1):
        rules = np.flatnonzero(table.lengths == length)
        if not len(rules):
            continue
        part = table.take(rules)
        antecedents = part.antecedent_items.reshape(len(rules), length)
        combined[rules] = np.maximum.reduce(
            [
                p[rules],
                _against_parts(part, antecedents, itemsets, ranks),
                _against_size(part, antecedents, baskets),
            ]
        )
    return combined


def _against_parts(
    table: RuleTable, antecedents: NDArray[np.int32], itemsets: Itemsets, ranks: Ranks
) -> Floats:
    """Fisher's test that each item of A adds to the others: Webb's productive rules (2007).

    For each a in A, among the orders that hold the rest of A: is c more frequent where a is too?
    """
    from scipy.stats import hypergeom

    length = antecedents.shape[1]
    worst = np.zeros(len(table))
    for place in range(length):
        rest = np.delete(antecedents, place, axis=1)
        with_consequent = np.sort(np.column_stack([rest, table.consequent]), axis=1)
        n_rest = itemsets.counts[length - 2][ranks.of(rest)]
        n_rest_and_consequent = itemsets.counts[length - 1][ranks.of(with_consequent)]
        tail = hypergeom.sf(table.n_joint - 1, n_rest, n_rest_and_consequent, table.n_antecedent)
        worst = np.maximum(worst, tail)
    return np.clip(worst, 0.0, 1.0)


def _against_size(table: RuleTable, antecedents: NDArray[np.int32], baskets: Baskets) -> Floats:
    """P(joint >= n_joint) were the other places of the orders with A filled by popularity alone.

    An order of s items that holds A has s - |A| other places, each c with probability
    p_c / (1 - sum of p over A), p being shares of all entries. The sum over orders is Poisson
    binomial; the Poisson tail of the same mean lies above its upper tail, so the test errs on
    the side of caution.
    """
    from scipy.stats import poisson

    share = baskets.item_counts() / max(len(baskets.items), 1)
    distinct, inverse = np.unique(antecedents, axis=0, return_inverse=True)
    places = np.array(
        [entries - orders * antecedents.shape[1] for orders, entries in _totals(distinct, baskets)]
    )
    beside = 1.0 - share[antecedents].sum(axis=1)
    expected = places[inverse.ravel()] * share[table.consequent] / np.maximum(beside, 1e-12)
    return np.asarray(poisson.sf(table.n_joint - 1, expected), dtype=np.float64)


def _totals(sets: NDArray[np.int32], baskets: Baskets) -> Iterator[tuple[int, int]]:
    """Of each set: orders that hold it, and entries in those orders. Rows in lexicographic order.

    Orders of the prefix a row shares with the one before are not looked up again.
    """
    sizes = np.diff(baskets.indptr)
    order_of_entry = np.repeat(np.arange(baskets.n_orders), sizes)
    by_item = order_of_entry[np.argsort(baskets.items, kind="stable")]
    bounds = np.zeros(baskets.n_items + 1, dtype=np.int64)
    np.cumsum(baskets.item_counts(), out=bounds[1:])
    prefix: list[tuple[int, NDArray[np.int64]]] = []
    for row in sets.tolist():
        shared = 0
        while shared < len(prefix) and prefix[shared][0] == row[shared]:
            shared += 1
        del prefix[shared:]
        for item in row[shared:]:
            orders = by_item[bounds[item] : bounds[item + 1]]
            if prefix:
                orders = _common(prefix[-1][1], orders)
            prefix.append((item, orders))
        held = prefix[-1][1]
        yield len(held), int(sizes[held].sum())


def _common(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values in both of two ascending arrays, by look-ups of the shorter in the longer."""
    if not len(left) or not len(right):
        return left[:0]
    few, many = (left, right) if len(left) <= len(right) else (right, left)
    places = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return few[many[places] == few]
