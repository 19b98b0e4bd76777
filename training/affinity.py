"""Find the popularity of items, the pairs that keep apart, and the families that substitute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int64s, Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.rules import Affinity
from mersalg.engine.orders import Baskets
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.keyed import least_by_key
from mersalg.training.mining.protocol import Itemsets

MIN_EXPECTED = 10.0
"""Joint orders chance must promise before their absence says anything."""
MAX_POPULAR = 2_000
"""Items whose every pair is counted: at most 4 million pairs, in one product of sparse matrices."""
MIN_TOGETHER = 10
"""Pairs of a family that must have met before it can count as bought together."""
MIN_FAMILY_LIFT = 1.1
"""Above it a family is bought together on purpose; agrees with 91% of hand-labelled pairs."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Pairs that are bought together less often than by chance."""

    items: Ragged[np.int32]
    """The items that keep apart from each, ascending."""
    lift: Float32s
    """Upper bound of the lift with each of the values of `items`, below 1; 0 of a pair that never
    met."""

    def at_most(self, lift: float) -> Ragged[np.int32]:
        """Return the items whose lift is surely not above `lift`."""
        is_low = self.lift <= lift
        lengths = np.bincount(self.items.owners()[is_low], minlength=len(self.items))
        return Ragged.of_lengths(lengths, self.items.values[is_low])


def build_affinity(
    baskets: Baskets, repelled: Ragged[np.int32], ladders: Ladders, catalogue: Catalogue
) -> Affinity:
    """Return popularity and exclusion, from the same baskets as `repelled`."""
    first = ladders.members.values[ladders.members.indptr[:-1]]
    # A family of the shop's own, and no category.
    named = catalogue.family[first] != UNKNOWN
    several = np.repeat(baskets.lengths > 1, baskets.lengths)
    added = np.bincount(baskets.items[several], minlength=baskets.n_items).astype(np.int64)
    return Affinity(
        n_orders_of_item=baskets.item_counts(),
        n_added_of_item=added,
        n_orders=baskets.n_orders,
        repelled=repelled,
        family_excludes=family_excludes(baskets, ladders, named),
    )


def size_adjusted(baskets: Baskets) -> tuple[Float64s, float]:
    """(p, m): chance puts items i and j together in about m * p_i * p_j orders.

    Every entry is drawn by popularity p (share of all entries), an order of s items making s (s-1)
    ordered pairs; scaled so that the pairs of distinct items add up to those there are. Full
    baskets bring popular items together without any liking between them, and this allows for it.
    """
    sizes = baskets.lengths
    share = baskets.item_counts() / max(len(baskets.items), 1)
    distinct = 1.0 - float((share**2).sum())
    return share, float((sizes * (sizes - 1)).sum()) / distinct if distinct > 0 else 0.0


def pooled(
    baskets: Baskets, group: NDArray[np.integer[Any]], n_groups: int
) -> tuple[Float64s, Float64s]:
    """(met, expected) pairs inside each group, shape (n_groups,); group -1 is in none."""
    of_entry = group[baskets.items]
    has_group = of_entry >= 0
    orders = baskets.owners()[has_group]
    keys, held = np.unique(orders * max(n_groups, 1) + of_entry[has_group], return_counts=True)
    met = np.bincount(keys % max(n_groups, 1), held * (held - 1) / 2, minlength=n_groups)
    share, scale = size_adjusted(baskets)
    member = group >= 0
    total, squares = (
        np.bincount(group[member], share[member] ** power, minlength=n_groups) for power in (1, 2)
    )
    expected = scale * (total**2 - squares) / 2
    return met[:n_groups].astype(np.float64), expected[:n_groups]


def exclusive_pairs(baskets: Baskets, itemsets: Itemsets) -> Exclusions:
    """Return the pairs whose lift has both its upper bounds below 1; see `_upper_lift`."""
    counts, n_items = baskets.item_counts(), max(baskets.n_items, 1)
    sets, joint = itemsets.of_length(2)
    popular, popular_joint = _popular_pairs(baskets, counts)
    pairs = np.concatenate([sets.astype(np.int64), popular])
    lift = _upper_lift(pairs, np.concatenate([joint, popular_joint]), counts, baskets)
    pairs, lift = pairs[lift < 1], lift[lift < 1]
    keys = np.append(pairs @ [n_items, 1], pairs @ [1, n_items])
    keys, least = least_by_key(keys, np.append(lift, lift))
    rows, others = np.divmod(keys, n_items)
    items = Ragged.of_lengths(np.bincount(rows, minlength=baskets.n_items), others.astype(np.int32))
    return Exclusions(items, least)


def _upper_lift(pairs: Int64s, n_joint: Int64s, counts: Int64s, baskets: Baskets) -> Float64s:
    """Return the upper bound of each pair's lift, plain or allowing for basket sizes: the greater.

    Of pairs that never met it is 0 where chance promised enough, else infinite.
    """
    share, scale = size_adjusted(baskets)
    n_left, n_right = counts[pairs[:, 0]], counts[pairs[:, 1]]
    seen = np.maximum(n_joint, 1)
    plain = measures.lift_upper(seen, n_left, n_right, baskets.n_orders)
    expected = scale * share[pairs[:, 0]] * share[pairs[:, 1]]
    # The joint count is near Poisson, so its logarithm has variance 1 / count.
    adjusted = seen * np.exp(measures.Z_95 / np.sqrt(seen)) / np.maximum(expected, 1e-9)
    chance = n_left * (n_right / max(baskets.n_orders, 1))
    never = np.where((chance >= MIN_EXPECTED) & (expected >= MIN_EXPECTED), 0, np.inf)
    return np.where(n_joint > 0, np.maximum(plain, adjusted), never)


def _popular_pairs(baskets: Baskets, counts: Int64s) -> tuple[Int64s, Int64s]:
    """Every pair of popular items and its joint orders, those that never meet included.

    Popular: chance alone would bring the item and the most popular one together MIN_EXPECTED
    times; the MAX_POPULAR most popular of them.
    """
    from scipy.sparse import csr_array

    threshold = MIN_EXPECTED * baskets.n_orders / max(int(counts.max(initial=0)), 1)
    popular = np.argsort(-counts, kind="stable")[:MAX_POPULAR]
    popular = np.sort(popular[counts[popular] >= max(threshold, 1)])
    column = np.full(baskets.n_items, -1, dtype=np.int32)
    column[popular] = np.arange(len(popular), dtype=np.int32)
    held = baskets.by_group(column, len(popular))
    ones = np.ones(len(held.items), dtype=np.int64)
    matrix = csr_array((ones, held.items, held.indptr), shape=(held.n_orders, held.n_items))
    joint = (matrix.T @ matrix).toarray()
    first, second = np.triu_indices(len(popular), k=1)
    chance = counts[popular[first]] * (counts[popular[second]] / max(baskets.n_orders, 1))
    likely = chance >= MIN_EXPECTED
    first, second = first[likely], second[likely]
    return np.column_stack([popular[first], popular[second]]), joint[first, second]


def family_excludes(baskets: Baskets, ladders: Ladders, named: Bools | None = None) -> Bools:
    """Return which ladders have members that keep out of each other's orders; bool (n_ladders,).

    All pairs of a family are pooled and held against what basket sizes explain. Members of a
    family that the shop `named` (all of them, where None) replace each other unless they are
    clearly bought together on purpose: they meet at least 10 times, over 1.1 times as often as
    chance explains, and surely (95%) more often. A mere category says less: its members replace
    each other only where they surely meet less often than chance.
    """
    pairs_met, expected = pooled(baskets, ladders.family, ladders.n_ladders)
    # The number met is near Poisson, so its logarithm has variance 1 / count.
    seen = np.maximum(pairs_met, 1.0)
    error = np.exp(measures.Z_95 / np.sqrt(seen))
    together = (
        (pairs_met >= MIN_TOGETHER)
        & (pairs_met > MIN_FAMILY_LIFT * expected)
        & (pairs_met / error > expected)
    )
    apart = (expected >= MIN_EXPECTED) & (seen * error < expected)
    return np.where(True if named is None else named, ~together, apart)
