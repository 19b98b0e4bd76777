"""The local engine: exact counts by the compiled kernels, on all cores of one machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.errors import DataError
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress, SilentProgress
from mersalg.training.mining.protocol import Fullness, Itemsets

_CHUNKS_A_THREAD = 12
"""Parts of the work for each thread: enough that none waits long for the last one."""
_MAX_ENTRIES = 2**31 - 1
_BLOCK_ENTRIES = 1 << 20
_MAX_BLOCKS = 32
_LONG_ROW = 1_000
"""Rows of more frequent items than this are not walked, which costs the square of their length."""
_MAX_LONG_ROWS = 32

_Part = TypeVar("_Part")


class LocalEngine:
    """Counts itemsets by array counters (`engine/native/itemsets.pyx`).

    Infrequent items are dropped first; the others are labelled by ascending frequency, so that what
    follows a label in a row is short where its occurrences are many. Memory is that of the frequent
    entries (12 bytes each), of the sets found, and of a few counters a label and thread.
    At most `threads` are used, all cores where not given.
    """

    name = "local"

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """Return all sets of 1..`max_length` items in at least `min_count` (>= 1) orders.

        Raises DataError: over 2**31 entries of frequent items.
        """
        min_count = max(min_count, 1)

        def sets(filed: Labelled, low: int, high: int, longest: int) -> kernels.FoundSets:
            return filed.rows.sets(low, high, min_count, longest)

        filed, parts = self._searched(baskets, min_count, max_length, sets, progress)
        singles = filed.singles
        rows, counts = [singles[:, None]], [filed.item_counts[singles]]
        for length in range(2, max_length + 1):
            ranks, of_length = _moved(parts, length)
            order, spare = (np.empty(len(ranks), dtype=np.int64) for _ in range(2))
            kernels.sort_sets(ranks, len(singles), order, spare)
            rows.append(singles[ranks[order]])
            counts.append(of_length[order])
        return Itemsets(tuple(rows), tuple(counts), baskets.n_orders, min_count)

    def sets_of_count(self, baskets: Baskets, min_count: int, max_length: int) -> Int64s:
        """Return how many sets of 2..`max_length` items occur in 0, 1, 2... orders.

        Those in fewer than `min_count` orders are not looked for, and none is kept.
        """

        def counts(filed: Labelled, low: int, high: int, longest: int) -> Int64s:
            n_sets = np.zeros(int(filed.item_counts.max(initial=0)) + 1, dtype=np.int64)
            filed.rows.count_sets(low, high, min_count, longest, n_sets)
            return n_sets

        _, parts = self._searched(baskets, min_count, max_length, counts, SilentProgress())
        n_sets = np.trim_zeros(np.sum(parts, axis=0), "b") if parts else np.zeros(0, dtype=np.int64)
        return np.append(n_sets, np.zeros(max(min_count - len(n_sets), 0), dtype=np.int64))

    def _searched(
        self,
        baskets: Baskets,
        min_count: int,
        max_length: int,
        search: Callable[[Labelled, int, int, int], _Part],
        progress: Progress,
    ) -> tuple[Labelled, list[_Part]]:
        """Return the filed baskets, and what `search` finds in each range of labels."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="mersalg-mining") as threads:
            with progress.task("Indexing baskets by item"):
                filed = label_rows(baskets, min_count, threads, self._threads)
            longest = min(max_length, len(filed.singles))
            if longest < 2:
                return filed, []
            chunks = filed.chunks(_CHUNKS_A_THREAD * self._threads)
            parts: list[_Part] = []
            with progress.task("Mining itemsets", total=len(chunks)) as task:
                for part in threads.map(
                    lambda chunk: search(filed, chunk[0], chunk[1], longest), chunks
                ):
                    parts.append(part)
                    task.advance(1)
        return filed, parts


def _moved(parts: list[kernels.FoundSets], length: int) -> tuple[Int32s, Int64s]:
    """Move the sets of one length out of all parts, into one array of them and one of counts."""
    stops = np.cumsum([0, *(part.n_sets(length) for part in parts)]).tolist()
    sets = np.empty((stops[-1], length), dtype=np.int32)
    counts = np.empty(stops[-1], dtype=np.int64)
    for part, (start, stop) in zip(parts, pairwise(stops), strict=True):
        part.move(length, sets[start:stop], counts[start:stop])
    return sets, counts


@dataclass(frozen=True, slots=True)
class Labelled:
    """Baskets in terms of labels: frequent items by ascending frequency."""

    item_counts: Int64s
    """(n_items,): orders with each item."""
    singles: Int32s
    """(n_labels,): the frequent items, ascending."""
    label_of: Int32s
    """(n_items,): label of each item, -1 where it is infrequent."""
    rows: kernels.Rows
    """The rows of labels; their names are places in `singles`."""
    work: Int64s
    """(n_labels,): entries in and behind the occurrences of each label."""
    held: NDArray[np.uint8]
    sizes: Int64s
    """`held`, `sizes`: the orders too long for rows: uint8 (n_long, n_labels), 1 where they hold a
    label, and their number of items, int64 (n_long,)."""

    def chunks(self, n_chunks: int) -> list[tuple[int, int]]:
        """Return at most so many ranges of labels with about the same work in each."""
        # A label costs something even where no row follows it.
        work = np.append(0, np.cumsum(self.work + 100))
        cuts = np.searchsorted(work, np.linspace(0, work[-1], n_chunks + 1)[1:-1])
        return list(pairwise(sorted({0, len(self.singles), *cuts.tolist()})))

    def entries_with(
        self, sets: Int32s, chunks: list[tuple[int, int]], threads: Executor
    ) -> Int64s:
        """Return the entries of the orders with each set of labels; sorted, inside a row too."""
        entries = np.zeros(len(sets), dtype=np.int64)
        first = np.searchsorted(sets[:, 0], np.arange(len(self.singles) + 1))

        def add(chunk: tuple[int, int]) -> None:
            self.rows.add_entries(*chunk, sets, first, entries)

        list(threads.map(add, chunks))
        for held, size in zip(self.held, self.sizes, strict=True):
            entries += size * held[sets].all(axis=1)
        return entries


def fullness_of(baskets: Baskets, itemsets: Itemsets) -> Fullness:
    """Return the entries of the orders that hold each of `itemsets`, which are of `baskets`."""
    n_threads = os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mersalg-mining") as threads:
        filed = label_rows(baskets, itemsets.min_count, threads, n_threads, with_sizes=True)
        chunks = filed.chunks(_CHUNKS_A_THREAD * n_threads)
        sizes: list[Int64s] = []
        for rows, longer in zip(itemsets.items, itemsets.counts[1:], strict=False):
            entries = np.zeros(len(rows), dtype=np.int64)
            if len(longer):
                sets, order = filed.label_of[rows], np.empty(len(rows), dtype=np.int64)
                kernels.sort_sets(sets, len(filed.singles), order, np.empty_like(order))
                entries[order] = filed.entries_with(sets[order], chunks, threads)
            sizes.append(entries)
    return Fullness(len(baskets.items), tuple(sizes))


def label_rows(
    baskets: Baskets, min_count: int, threads: Executor, n_threads: int, *, with_sizes: bool = False
) -> Labelled:
    """Drop the items in fewer than `min_count` orders and file the others.

    `with_sizes`: the size of each order behind its row, which slows a search down.

    Raises DataError: over 2**31 entries of frequent items.
    """
    long = _long_orders(baskets, min_count)
    walked = baskets
    if len(long):
        walked = baskets.take(np.delete(np.arange(baskets.n_orders), long))
    indptr = np.ascontiguousarray(walked.indptr, dtype=np.int64)
    items = np.ascontiguousarray(walked.items, dtype=np.int32)
    blocks = _blocks(indptr, walked.n_items, n_threads)
    n_of_item = np.zeros((len(blocks), walked.n_items), dtype=np.int32)

    def count(block: int) -> None:
        low, high = blocks[block]
        kernels.count_items(items, indptr[low], indptr[high], n_of_item[block])

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
    if n_entries + walked.n_orders * with_sizes > _MAX_ENTRIES:
        raise DataError(
            f"{n_entries:,} entries of frequent items are more than one machine's engine"
            " counts: raise the minimum count, or mine with --engine spark"
        )
    n_of_label = np.ascontiguousarray(n_of_item[:, by_label], dtype=np.int64)
    fill = np.cumsum(n_of_label, axis=0) - n_of_label + first[:-1]
    n_orders = [(high - low) * with_sizes for low, high in blocks]
    starts = np.append(0, np.cumsum(n_of_label.sum(axis=1) + n_orders)).astype(np.int64)
    labels, position, row_end = (
        np.empty(n, dtype=np.uint32) for n in (starts[-1], n_entries, n_entries)
    )
    work = np.zeros((len(blocks), len(names)), dtype=np.int64)

    def file(block: int) -> None:
        low, high = blocks[block]
        where = (fill[block], starts[block], labels, position, row_end, work[block])
        kernels.file_block(indptr, items, label_of, low, high, *where, with_sizes)

    list(threads.map(file, range(len(blocks))))
    held = _held(baskets, long, label_of, len(names))
    rows = kernels.Rows(labels, first, position, row_end, held, names)
    sizes = baskets.lengths[long]
    return Labelled(item_counts, singles, label_of, rows, work.sum(axis=0), held, sizes)


def _blocks(indptr: Int64s, n_items: int, n_threads: int) -> list[tuple[int, int]]:
    """Ranges of orders with about as many entries; the counters of all take less than the rows."""
    n_entries = int(indptr[-1])
    few_enough = min(n_entries // _BLOCK_ENTRIES, n_entries // max(n_items, 1), _MAX_BLOCKS)
    cuts = np.linspace(0, n_entries, max(n_threads, few_enough) + 1)[1:-1]
    orders = {0, len(indptr) - 1, *np.searchsorted(indptr, cuts).tolist()}
    return list(pairwise(sorted(orders)))


def _long_orders(baskets: Baskets, min_count: int) -> Int64s:
    """Return the orders with the most items, if they are very many; fewer than `min_count`."""
    sizes = baskets.lengths
    long = np.flatnonzero(sizes > _LONG_ROW)
    longest = long[np.argsort(-sizes[long], kind="stable")]
    return np.sort(longest[: min(_MAX_LONG_ROWS, min_count - 1)])


def _held(baskets: Baskets, orders: Int64s, label_of: Int32s, n_labels: int) -> NDArray[np.uint8]:
    held = np.zeros((len(orders), n_labels), dtype=np.uint8)
    for index, order in enumerate(orders.tolist()):
        labels = label_of[baskets[order]]
        held[index, labels[labels >= 0]] = 1
    return held
