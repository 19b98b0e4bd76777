"""Baskets filed by label, on all cores: what the counting kernels walk through."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.orders import Baskets

if TYPE_CHECKING:
    from training.mining.kernels import Rows

_MOST_ENTRIES = 2**31 - 1
_BLOCK_ENTRIES = 1 << 20
_MOST_BLOCKS = 32
_LONG_ROW = 1_000
"""Rows of more frequent items than this are not walked, which costs the square of their length."""
_MOST_LONG_ROWS = 32


@dataclass(frozen=True, slots=True)
class Labelled:
    """Baskets in terms of labels: frequent items by ascending frequency.

    Attributes:
        item_counts: int64 (n_items,), orders with each item.
        singles: int32 (n_labels,), the frequent items, ascending.
        names: int32 (n_labels,), of each label its place in `singles`.
        rows: the rows of labels.
        work: int64 (n_labels,), entries in and behind the occurrences of each label.
    """

    item_counts: NDArray[np.int64]
    singles: NDArray[np.int32]
    names: NDArray[np.int32]
    rows: Rows
    work: NDArray[np.int64]

    def chunks(self, n_chunks: int) -> list[tuple[int, int]]:
        """At most so many ranges of labels with about the same work in each."""
        # A label costs something even where nothing stands behind it.
        work = np.append(0, np.cumsum(self.work + 100))
        cuts = np.searchsorted(work, np.linspace(0, work[-1], n_chunks + 1)[1:-1])
        return list(pairwise(sorted({0, len(self.names), *cuts.tolist()})))


def label_rows(baskets: Baskets, min_count: int, threads: Executor, n_threads: int) -> Labelled:
    """Drop the items in fewer than `min_count` orders and file the others.

    Raises:
        DataError: over 2**31 entries of frequent items.
    """
    from training.mining.kernels import Rows
    from training.mining.row_kernels import count_items, file_block

    long = _long_orders(baskets, min_count)
    walked = _without(baskets, long) if len(long) else baskets
    indptr = np.ascontiguousarray(walked.indptr, dtype=np.int64)
    items = np.ascontiguousarray(walked.items, dtype=np.int32)
    blocks = _blocks(indptr, walked.n_items, n_threads)
    n_of_item = np.zeros((len(blocks), walked.n_items), dtype=np.int32)

    def count(block: int) -> None:
        low, high = blocks[block]
        count_items(items, indptr[low], indptr[high], n_of_item[block])

    list(threads.map(count, range(len(blocks))))
    in_walked = n_of_item.sum(axis=0, dtype=np.int64)
    item_counts = in_walked + baskets.take(long).item_counts()
    singles = np.flatnonzero(item_counts >= min_count).astype(np.int32)
    # Of equally frequent items the first comes first: the same rows give the same work.
    names = np.argsort(item_counts[singles], kind="stable").astype(np.int32)
    by_label = singles[names]
    label_of = np.full(walked.n_items, -1, dtype=np.int32)
    label_of[by_label] = np.arange(len(names), dtype=np.int32)

    first = np.zeros(len(names) + 1, dtype=np.int64)
    np.cumsum(in_walked[by_label], out=first[1:])
    n_entries = int(first[-1])
    if n_entries > _MOST_ENTRIES:
        raise DataError(
            f"{n_entries:,} entries of frequent items are more than one machine's engine"
            " counts: raise the minimum count, or mine with --engine spark"
        )
    n_of_label = n_of_item[:, by_label].astype(np.int64)
    fill = np.cumsum(n_of_label, axis=0) - n_of_label + first[:-1]
    starts = np.append(0, np.cumsum(n_of_label.sum(axis=1)))
    labels, position, row_end = (np.empty(n_entries, dtype=np.uint32) for _ in range(3))
    work = np.zeros((len(blocks), len(names)), dtype=np.int64)

    def file(block: int) -> None:
        low, high = blocks[block]
        bounds = np.empty(2 * (high - low), dtype=np.uint32)
        where = (fill[block], starts[block], bounds, labels, position, row_end, work[block])
        file_block(indptr, items, label_of, low, high, *where)

    list(threads.map(file, range(len(blocks))))
    rows = Rows(labels, first, position, row_end, _held(baskets, long, label_of, len(names)))
    return Labelled(item_counts, singles, names, rows, work.sum(axis=0))


def _blocks(indptr: NDArray[np.int64], n_items: int, n_threads: int) -> list[tuple[int, int]]:
    """Ranges of orders with about as many entries; the counters of all take less than the rows."""
    n_entries = int(indptr[-1])
    few_enough = min(n_entries // _BLOCK_ENTRIES, n_entries // max(n_items, 1), _MOST_BLOCKS)
    cuts = np.linspace(0, n_entries, max(n_threads, few_enough) + 1)[1:-1]
    orders = {0, len(indptr) - 1, *np.searchsorted(indptr, cuts).tolist()}
    return list(pairwise(sorted(orders)))


def _long_orders(baskets: Baskets, min_count: int) -> NDArray[np.int64]:
    """The orders with the most items, if they are very many; always fewer than `min_count`."""
    sizes = np.diff(baskets.indptr)
    long = np.flatnonzero(sizes > _LONG_ROW)
    longest = long[np.argsort(-sizes[long], kind="stable")]
    return np.sort(longest[: min(_MOST_LONG_ROWS, min_count - 1)])


def _without(baskets: Baskets, orders: NDArray[np.int64]) -> Baskets:
    kept = np.ones(baskets.n_orders, dtype=np.bool_)
    kept[orders] = False
    return baskets.take(np.flatnonzero(kept))


def _held(
    baskets: Baskets, orders: NDArray[np.int64], label_of: NDArray[np.int32], n_labels: int
) -> NDArray[np.uint8]:
    held = np.zeros((len(orders), n_labels), dtype=np.uint8)
    for place, order in enumerate(orders.tolist()):
        labels = label_of[baskets.basket(order)]
        held[place, labels[labels >= 0]] = 1
    return held
