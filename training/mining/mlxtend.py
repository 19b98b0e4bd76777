"""FP-growth of mlxtend: the reference engine (Han, Pei, Yin 2000; Raschka 2018)."""

from __future__ import annotations

import warnings

import numpy as np

from mersalg.engine.arrays import Int64s
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.training.mining.protocol import Itemsets


class MlxtendEngine:
    """Single items are counted here; mlxtend sees only what can be part of a larger set.

    mlxtend makes its input dense, one byte for every order and frequent item, so memory grows as
    their product: raise the minimum count where that is too much.
    """

    name = "mlxtend"

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items in at least `min_count` orders."""
        item_counts = baskets.item_counts()
        frequent = np.flatnonzero(item_counts >= max(min_count, 1)).astype(np.int32)
        column = np.full(baskets.n_items, -1, dtype=np.int32)
        column[frequent] = np.arange(len(frequent), dtype=np.int32)
        held = baskets.by_group(column, len(frequent))
        several = held.take(np.flatnonzero(held.lengths >= 2))
        sets: list[frozenset[int]] = []
        set_counts = np.zeros(0, dtype=np.int64)
        with progress.task("Mining itemsets"):
            if max_length > 1 and several.n_orders >= max(min_count, 1):
                sets, set_counts = _grow(several, min_count, max_length)
        rows, counts = [frequent[:, None]], [item_counts[frequent]]
        lengths = np.array([len(each) for each in sets], dtype=np.int64)
        for length in range(2, max_length + 1):
            level = np.flatnonzero(lengths == length)
            columns = np.array([[*sets[each]] for each in level.tolist()], dtype=np.int32)
            rows.append(frequent[columns.reshape(-1, length)])
            counts.append(set_counts[level])
        return Itemsets.from_rows(rows, counts, n_orders=baskets.n_orders, min_count=min_count)


def _grow(baskets: Baskets, min_count: int, max_length: int) -> tuple[list[frozenset[int]], Int64s]:
    """Return sets of items with their counts; those of one item count these baskets alone."""
    import pandas as pd
    from scipy.sparse import csr_array

    # mlxtend sets a warnings filter of its own when first imported; the process keeps its own.
    with warnings.catch_warnings():
        from mlxtend.frequent_patterns import fpgrowth

    n_orders = baskets.n_orders
    matrix = csr_array(
        (np.ones(len(baskets.items), dtype=np.bool_), baskets.items, baskets.indptr),
        shape=(n_orders, baskets.n_items),
    )
    frame = pd.DataFrame.sparse.from_spmatrix(matrix)
    # Half a count below the threshold: no rounding of a share can lose a set or let one in.
    min_support = (min_count - 0.5) / n_orders
    itemsets = fpgrowth(frame, min_support=min_support, max_len=max_length)
    counts = np.rint(itemsets["support"].to_numpy() * n_orders).astype(np.int64)
    return list(itemsets["itemsets"]), counts
