"""Orders as mining sees them: baskets of distinct items, compressed sparse rows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Int32s, Int64s, Ragged
from mersalg.engine.native import kernels

_BLOCK_PAIRS = 1 << 19
_Integers = Int32s | Int64s


@dataclass(frozen=True, slots=True)
class Baskets(Ragged[np.int32]):
    """Sets of items: rows of dense indices, ascending and distinct."""

    n_items: int
    """Size of the vocabulary the indices belong to."""

    @classmethod
    def from_pairs(
        cls, orders: _Integers, items: _Integers, n_orders: int, n_items: int
    ) -> Baskets:
        """From (order, item) pairs in any order, repeated pairs counted once; shapes (n_pairs,).

        Pairs whose orders ascend are filed on all cores.
        """
        rows = np.empty(len(orders), dtype=np.int32)
        sizes = np.zeros(n_orders, dtype=np.int64)

        def file(block: tuple[int, int, int, int]) -> Int32s:
            low, high, first, after = block
            here = rows[low:high]
            order, item = (
                np.ascontiguousarray(each[low:high], np.int32) for each in (orders, items)
            )
            return here[: kernels.file_pairs(order, item, first, n_items, here, sizes[first:after])]

        with ThreadPoolExecutor(os.cpu_count() or 1, "mersalg-mining") as threads:
            filed = list(threads.map(file, _blocks(orders, n_orders)))
        whole = sum(map(len, filed)) == len(rows)
        baskets = Ragged.of_lengths(sizes, rows if whole else np.concatenate(filed))
        return cls(baskets.indptr, baskets.values, n_items)

    @property
    def n_orders(self) -> int:
        """Number of baskets."""
        return len(self)

    @property
    def items(self) -> Int32s:
        """The items of all baskets, int32 (n_entries,)."""
        return self.values

    def by_group(self, group: NDArray[np.integer], n_groups: int) -> Baskets:
        """Return the same orders as sets of groups, int (n_items,), -1 of an item in none."""
        of_entry = group[self.items].astype(np.int64)
        has_group = of_entry >= 0
        return Baskets.from_pairs(
            self.owners()[has_group], of_entry[has_group], self.n_orders, n_groups
        )

    def take(self, rows: NDArray[np.integer]) -> Baskets:
        """Return some baskets, in the order given."""
        taken = Ragged(self.indptr, self.values).take(rows)
        return Baskets(taken.indptr, taken.values, self.n_items)

    def item_counts(self) -> Int64s:
        """Orders that hold each item; shape (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)


def _blocks(orders: _Integers, n_orders: int) -> list[tuple[int, int, int, int]]:
    """(first pair, pair after the last, first order, order after the last) of each block."""
    n_blocks = len(orders) // _BLOCK_PAIRS + 1
    cuts = [0, n_orders]
    if n_blocks > 1 and (orders[1:] >= orders[:-1]).all():
        wanted = np.linspace(0, len(orders), n_blocks + 1)[1:-1].astype(np.int64)
        cuts = sorted({*cuts, *orders[wanted].tolist()})
    bounds = np.asarray(cuts, orders.dtype)
    pairs = np.searchsorted(orders, bounds).tolist() if len(cuts) > 2 else [0, len(orders)]
    return [(*pair, *order) for pair, order in zip(pairwise(pairs), pairwise(cuts), strict=True)]
