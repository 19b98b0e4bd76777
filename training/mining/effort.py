"""How low a threshold may be before mining takes longer than a training should."""

from __future__ import annotations

import numpy as np

from engine.orders import Baskets

MOST_PAIRS = 30_000
"""Frequent pairs a default threshold lets by: about ten seconds of FP-growth."""
_ROWS = 512


def affordable_min_count(baskets: Baskets, at_least: int, most_pairs: int = MOST_PAIRS) -> int:
    """The least count, not below `at_least`, that at most `most_pairs` pairs of items reach.

    Every pair is counted exactly, some rows of the product of the basket matrix with itself at a
    time, so memory stays at a few hundred items by all items.
    """
    from scipy.sparse import csr_array

    counts = baskets.item_counts()
    frequent = np.flatnonzero(counts >= at_least)
    column = np.full(baskets.n_items, -1, dtype=np.int32)
    column[frequent] = np.arange(len(frequent), dtype=np.int32)
    columns = column[baskets.items]
    known = columns >= 0
    ends = np.append(0, np.cumsum(known))[baskets.indptr]
    matrix = csr_array(
        (np.ones(int(known.sum()), dtype=np.int32), columns[known], ends),
        shape=(baskets.n_orders, len(frequent)),
    )
    by_item = matrix.T.tocsr()
    pairs_of_count = np.zeros(at_least + 1, dtype=np.int64)
    for start in range(0, len(frequent), _ROWS):
        joint = (by_item[start : start + _ROWS] @ matrix).tocoo()
        above = joint.coords[1] > joint.coords[0] + start
        found = np.bincount(joint.data[above & (joint.data >= at_least)])
        size = max(len(found), len(pairs_of_count))
        pairs_of_count = np.pad(pairs_of_count, (0, size - len(pairs_of_count)))
        pairs_of_count[: len(found)] += found
    reaching = np.cumsum(pairs_of_count[::-1])[::-1]
    few_enough = np.flatnonzero(reaching <= most_pairs)
    return max(at_least, int(few_enough[0]) if len(few_enough) else len(reaching))
