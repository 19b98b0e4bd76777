"""A rule must say more than how full baskets are, and a longer one more than its parts.

An order that holds a is a fuller one than most, so anything else is more likely in it: where the
items of a year's groceries are dealt to its orders by lot, nearly every pair that meets often looks
significant against plain independence. One more test is therefore asked of every rule A -> c, and
two of those with two or more items in A; a rule is as certain as the weakest of its tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from engine.orders import Baskets
from training.mining.parallel import in_ranges
from training.mining.protocol import Itemsets
from training.mining.ranks import Ranks
from training.mining.significance import upper_tails

Floats = NDArray[np.float64]


class Fullness(Protocol):
    """What the tests must know of orders beyond the counts of itemsets: how full they are."""

    @property
    def n_entries(self) -> int:
        """Distinct items of every order, added up."""
        ...

    def entries_with(self, sets: NDArray[np.int32]) -> NDArray[np.int64]:
        """Entries of the orders that hold each of `sets`; int64 (n,).

        Args:
            sets: (n, k), frequent sets, ascending inside a row.
        """
        ...


@dataclass(frozen=True, slots=True)
class FullnessOfBaskets:
    """That of baskets in memory."""

    baskets: Baskets

    @property
    def n_entries(self) -> int:
        return len(self.baskets.items)

    def entries_with(self, sets: NDArray[np.int32]) -> NDArray[np.int64]:
        return _entries_beside(sets, self.baskets)


def combined_p_values(
    table: RuleTable,
    p: Floats,
    itemsets: Itemsets,
    fullness: Fullness,
    ranks: Ranks | None = None,
) -> Floats:
    """The largest of the tests that each rule must pass, shape (n,).

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
        antecedents = part.antecedent_items.reshape(len(rules), length)
        combined[rules] = np.maximum(
            p[rules], _against_size(part, antecedents, itemsets, ranks, fullness)
        )
        if length > 1:
            combined[rules] = np.maximum(
                combined[rules], _against_parts(part, antecedents, itemsets, ranks)
            )
    return combined


def _against_parts(
    table: RuleTable, antecedents: NDArray[np.int32], itemsets: Itemsets, ranks: Ranks
) -> Floats:
    """Fisher's test that each item of A adds to the others: Webb's productive rules (2007).

    For each a in A, among the orders that hold the rest of A: is c more frequent where a is too?
    """
    length = antecedents.shape[1]
    worst = np.zeros(len(table))
    for place in range(length):
        rest = np.delete(antecedents, place, axis=1)
        with_consequent = np.sort(np.column_stack([rest, table.consequent]), axis=1)
        n_rest = itemsets.counts[length - 2][ranks.of(rest)]
        n_rest_and_consequent = itemsets.counts[length - 1][ranks.of(with_consequent)]
        tail = upper_tails(table.n_joint, n_rest, n_rest_and_consequent, table.n_antecedent)
        worst = np.maximum(worst, tail)
    return worst


def _against_size(
    table: RuleTable,
    antecedents: NDArray[np.int32],
    itemsets: Itemsets,
    ranks: Ranks,
    fullness: Fullness,
) -> Floats:
    """P(joint >= n_joint) were the other places of the orders with A filled by popularity alone.

    An order of s items that holds A has s - |A| other places, each c with probability
    p_c / (1 - sum of p over A), p being shares of all entries. The sum over orders is Poisson
    binomial; the Poisson tail of the same mean lies above its upper tail, so the test errs on
    the side of caution.
    """
    from scipy.special import pdtrc

    length = antecedents.shape[1]
    singles, item_counts = itemsets.of_length(1)
    share = np.zeros(int(singles.max(initial=-1)) + 1)
    share[singles[:, 0]] = item_counts / max(fullness.n_entries, 1)
    rank = ranks.of(antecedents)
    asked = np.zeros(len(ranks.levels[length]), dtype=np.bool_)
    asked[rank] = True
    n_entries = np.zeros(len(asked), dtype=np.int64)
    n_entries[asked] = fullness.entries_with(ranks.levels[length][asked])
    places = n_entries[rank] - table.n_antecedent * length
    beside = 1.0 - share[antecedents].sum(axis=1)
    expected = places * share[table.consequent] / np.maximum(beside, 1e-12)
    # P(X > k) of a Poisson X: the upper tail without a loop over distributions' checks.
    return np.asarray(pdtrc(table.n_joint - 1, expected), dtype=np.float64)


def _entries_beside(sets: NDArray[np.int32], baskets: Baskets) -> NDArray[np.int64]:
    """Entries in the orders that hold each of `sets`, (n, length); int64 (n,)."""
    if sets.shape[1] == 1:
        sizes = np.diff(baskets.indptr)
        # Exact: sums stay far below 2**53.
        held = np.bincount(baskets.items, np.repeat(sizes, sizes), minlength=baskets.n_items)
        return held[sets[:, 0]].astype(np.int64)
    # Numba takes half a second to load: only who mines waits for it.
    from training.mining.holding_kernels import add_sizes
    from training.mining.tally_kernels import orders_by_item

    indptr = np.ascontiguousarray(baskets.indptr, dtype=np.int64)
    items = np.ascontiguousarray(baskets.items, dtype=np.int32)
    first, orders = orders_by_item(indptr, items, baskets.n_items)
    n_orders_of_item = np.diff(first)
    rarest = sets[np.arange(len(sets)), n_orders_of_item[sets].argmin(axis=1)]
    order = np.argsort(rarest, kind="stable")
    by_rarest = np.zeros(baskets.n_items + 1, dtype=np.int64)
    np.cumsum(np.bincount(rarest, minlength=baskets.n_items), out=by_rarest[1:])
    sorted_sets = np.ascontiguousarray(sets[order])
    found = np.zeros(len(sets), dtype=np.int64)
    in_ranges(
        1 + n_orders_of_item * (1 + np.diff(by_rarest)),
        lambda low, high: add_sizes(
            indptr, items, first, orders, by_rarest, sorted_sets, low, high, found
        ),
    )
    n_entries = np.empty(len(sets), dtype=np.int64)
    n_entries[order] = found
    return n_entries
