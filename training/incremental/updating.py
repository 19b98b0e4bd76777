"""Frequent itemsets of all orders from those of the earlier ones, to the integer.

Counts of listed sets are added up. A set that was not listed stood in fewer orders than the old
threshold, so it can only be frequent now if the new orders alone hold it often enough; only those
few are looked up in the earlier orders: FUP (Cheung, Han, Ng, Wong 1996), with orders that are
taken away as in FUP2 (Cheung, Lee, Kao 1997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.orders import Baskets
from engine.progress import Progress
from training.mining.protocol import Itemsets, MiningEngine
from training.mining.tallies import Tallies

_BIGGEST = np.iinfo(np.int64).max
Rows = NDArray[np.int32]
Integers = NDArray[np.int64]


def updated(
    old: Itemsets,
    added: Baskets,
    removed: Baskets,
    whole: Baskets,
    *,
    min_count: int,
    engine: MiningEngine,
    progress: Progress,
) -> Itemsets:
    """The itemsets of `whole`, which are the old orders and `added` without `removed`.

    Args:
        old: the itemsets of the old orders, items numbered as in `whole`.
        min_count: at least `old.min_count`.

    Raises:
        ValueError: `min_count` is below what the old counts can tell.
    """
    if min_count < old.min_count:
        raise ValueError(f"sets of {min_count} orders were not listed, only of {old.min_count}")
    item_counts = whole.item_counts()
    frequent = item_counts >= min_count
    singles = np.flatnonzero(frequent).astype(np.int32)
    rows: list[Rows] = [singles[:, None]]
    counts: list[Integers] = [item_counts[singles]]
    candidates = _candidates(old, added, frequent, min_count - old.min_count + 1, engine, progress)
    with progress.task("Adding the counts of new orders"):
        in_added, in_removed, in_whole = (
            Tallies(_only(baskets, frequent)) for baskets in (added, removed, whole)
        )
        for length in range(2, old.max_length + 1):
            listed, listed_counts = old.of_length(length)
            still = frequent[listed].all(axis=1)
            listed, known = listed[still], listed_counts[still]
            known = known + in_added.of_sets(listed) - in_removed.of_sets(listed)
            kept = known >= min_count
            level_rows, level_counts = [listed[kept]], [known[kept]]
            maybe = _with_listed_subsets(candidates[length - 1], rows[-1])
            if len(maybe):
                found = in_whole.of_sets(maybe)
                level_rows.append(maybe[found >= min_count])
                level_counts.append(found[found >= min_count])
            rows.append(np.concatenate(level_rows))
            counts.append(np.concatenate(level_counts))
    return Itemsets.from_rows(rows, counts, n_orders=whole.n_orders, min_count=min_count)


def _candidates(
    old: Itemsets,
    added: Baskets,
    frequent: NDArray[np.bool_],
    min_added: int,
    engine: MiningEngine,
    progress: Progress,
) -> list[Rows]:
    """By length: sets that were not listed and stand in at least `min_added` of the new orders.

    An unlisted set stood in at most `old.min_count - 1` orders.
    """
    found = engine.itemsets(_only(added, frequent), min_added, old.max_length, progress)
    return [
        _difference(found.of_length(length)[0], old.of_length(length)[0])
        for length in range(1, old.max_length + 1)
    ]


def _only(baskets: Baskets, wanted: NDArray[np.bool_]) -> Baskets:
    """The same orders without the items that are not `wanted`, bool (n_items,)."""
    kept = wanted[baskets.items]
    ends = np.append(0, np.cumsum(kept))[baskets.indptr]
    return Baskets(ends.astype(np.int64), baskets.items[kept], baskets.n_items)


def _with_listed_subsets(rows: Rows, shorter: Rows) -> Rows:
    """The rows of which every subset with one item less is in `shorter`: no other is frequent."""
    if rows.shape[1] < 3:
        return rows
    kept = np.ones(len(rows), dtype=np.bool_)
    for place in range(rows.shape[1]):
        kept &= _is_in(np.delete(rows, place, axis=1), shorter)
    return rows[kept]


def _difference(rows: Rows, others: Rows) -> Rows:
    return rows[~_is_in(rows, others)]


def _is_in(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Which of `rows` stand in `others`; bool (n,)."""
    if not len(rows) or not len(others):
        return np.zeros(len(rows), dtype=np.bool_)
    both = np.concatenate([rows, others]).astype(np.int64)
    base = int(both.max()) + 1
    numbers = both[:, 0]
    for column in both.T[1:]:
        if int(numbers.max()) >= _BIGGEST // base:
            # Dense again, so that no product of many columns can overflow.
            numbers = np.unique(numbers, return_inverse=True)[1]
        numbers = numbers * base + column
    wanted, listed = numbers[: len(rows)], np.sort(numbers[len(rows) :])
    places = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
    return listed[places] == wanted
