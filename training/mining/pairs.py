"""Baskets from order lines, fast: what `Baskets.from_pairs` gives, without a sort."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets

_BLOCK_PAIRS = 1 << 19
Integers = NDArray[np.int32] | NDArray[np.int64]


def baskets_of_pairs(orders: Integers, items: Integers, n_orders: int, n_items: int) -> Baskets:
    """From (order, item) pairs in any order, repeated pairs counted once; shapes (n_pairs,).

    Pairs whose orders ascend are filed on all cores.
    """
    rows = np.empty(len(orders), dtype=np.int32)
    sizes = np.zeros(n_orders, dtype=np.int64)
    blocks = _blocks(orders, n_orders)

    def file(block: tuple[int, int, int, int]) -> NDArray[np.int32]:
        low, high, first, after = block
        here = rows[low:high]
        order, item = (each[low:high].astype(np.int64, copy=False) for each in (orders, items))
        return here[: kernels.file_pairs(order, item, first, n_items, here, sizes[first:after])]

    with ThreadPoolExecutor(os.cpu_count() or 1, "mersalg-mining") as threads:
        filed = list(threads.map(file, blocks))
    indptr = np.zeros(n_orders + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    whole = sum(map(len, filed)) == len(rows)
    return Baskets(indptr, rows if whole else np.concatenate(filed), n_items)


def _blocks(orders: Integers, n_orders: int) -> list[tuple[int, int, int, int]]:
    """(first pair, pair after the last, first order, order after the last) of each block."""
    n_blocks = len(orders) // _BLOCK_PAIRS + 1
    cuts = [0, n_orders]
    if n_blocks > 1 and (orders[1:] >= orders[:-1]).all():
        wanted = np.linspace(0, len(orders), n_blocks + 1)[1:-1].astype(np.int64)
        cuts = sorted({*cuts, *orders[wanted].tolist()})
    pairs = np.searchsorted(orders, cuts).tolist() if len(cuts) > 2 else [0, len(orders)]
    return [(*pair, *order) for pair, order in zip(pairwise(pairs), pairwise(cuts), strict=True)]
