"""FP-growth of mlxtend: the reference engine (Han, Pei, Yin 2000; Raschka 2018)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mersalg.engine.arrays import Int32s
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
        rows: list[Int32s] = [frequent[:, None]]
        counts = [item_counts[frequent]]
        with progress.task("Mining itemsets"):
            shortened = _with_two_or_more(baskets, frequent)
            larger = _grow(shortened, min_count, max_length) if max_length > 1 else {}
        for length in range(2, max_length + 1):
            sets, set_counts = larger.get(length, ([], []))
            columns = np.array(sets, dtype=np.int32).reshape(len(sets), length)
            rows.append(frequent[columns])
            counts.append(np.array(set_counts, dtype=np.int64))
        return Itemsets.from_rows(rows, counts, n_orders=baskets.n_orders, min_count=min_count)


def _with_two_or_more(baskets: Baskets, frequent: Int32s) -> Baskets:
    """Baskets of at least two frequent items, items renumbered as positions in `frequent`."""
    column = np.full(baskets.n_items, -1, dtype=np.int32)
    column[frequent] = np.arange(len(frequent), dtype=np.int32)
    held = baskets.by_group(column, len(frequent))
    return held.take(np.flatnonzero(held.lengths >= 2))


def _grow(
    baskets: Baskets, min_count: int, max_length: int
) -> dict[int, tuple[list[list[int]], list[int]]]:
    """Return sets of two or more columns by length, with their counts."""
    import pandas as pd
    from scipy.sparse import csr_array

    n_orders = baskets.n_orders
    grown: dict[int, tuple[list[list[int]], list[int]]] = {}
    if n_orders < max(min_count, 1):
        return grown
    matrix = csr_array(
        (np.ones(len(baskets.items), dtype=np.bool_), baskets.items, baskets.indptr),
        shape=(n_orders, baskets.n_items),
    )
    frame = pd.DataFrame.sparse.from_spmatrix(matrix)
    # Half a count below the threshold: no rounding of a share can lose a set or let one in.
    min_support = (min_count - 0.5) / n_orders
    itemsets = _load_fpgrowth()(frame, min_support=min_support, max_len=max_length)
    counts = np.rint(itemsets["support"].to_numpy() * n_orders).astype(np.int64).tolist()
    for itemset, count in zip(itemsets["itemsets"], counts, strict=True):
        if len(itemset) > 1:
            sets, set_counts = grown.setdefault(len(itemset), ([], []))
            sets.append(sorted(itemset))
            set_counts.append(count)
    return grown


def _load_fpgrowth() -> Callable[..., Any]:
    # mlxtend sets a warnings filter of its own when first imported; the process keeps its own.
    with warnings.catch_warnings():
        from mlxtend.frequent_patterns import fpgrowth
    return fpgrowth
