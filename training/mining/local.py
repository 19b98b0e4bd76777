"""The local engine: exact counts by compiled kernels, on all cores of one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.orders import Baskets
from engine.progress import Progress, SilentProgress
from training.mining.labelling import Labelled, label_rows
from training.mining.protocol import Itemsets

_CHUNKS_A_THREAD = 12
"""Parts of the work for each thread: enough that none waits long for the last one."""
_FIRST_ROOM = 1 << 14
_MOST_ROOM = 1 << 20
"""Sets an output buffer holds at first and at most; a full one is emptied and the work resumed."""

_Sets = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]
"""Sets in rows of `max_length` columns, their counts, their lengths."""
_Digest = TypeVar("_Digest")


class LocalEngine:
    """Counts what stands in baskets by array counters (`training.mining.kernels`).

    Infrequent items are dropped first; the others are labelled by ascending frequency, so that
    what follows a label in a row is short where its occurrences are many. Memory is that of the
    frequent entries (12 bytes each), of the sets found, and of a few counters a label and thread.

    Args:
        threads: at most so many; all cores where not given.
    """

    name = "local"

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items in at least `min_count` (>= 1) orders.

        Raises:
            DataError: over 2**31 entries of frequent items.
        """
        # Numba takes half a second to load: only who mines waits for it.
        from training.mining.sorting_kernels import sort_sets

        min_count = max(min_count, 1)
        labelled, parts = self._grown(baskets, min_count, max_length, list, progress)
        found = list(chain.from_iterable(parts))
        singles = labelled.singles
        rows = [singles[:, None]]
        counts = [labelled.item_counts[singles]]
        for length in range(2, max_length + 1):
            chosen = [part[2] == length for part in found]
            sets = [part[0][here, :length] for part, here in zip(found, chosen, strict=True)]
            number = [part[1][here] for part, here in zip(found, chosen, strict=True)]
            ranks = np.concatenate([np.zeros((0, length), dtype=np.int32), *sets])
            order = sort_sets(ranks, len(singles))
            rows.append(singles[ranks[order]])
            counts.append(np.concatenate([np.zeros(0, dtype=np.int64), *number])[order])
        return Itemsets(tuple(rows), tuple(counts), baskets.n_orders, min_count)

    def sets_of_count(self, baskets: Baskets, min_count: int, max_length: int) -> NDArray[np.int64]:
        """How many sets of 2..`max_length` items stand in 0, 1, 2... orders; none is kept.

        Those in fewer than `min_count` orders are not looked for.
        """
        _, parts = self._grown(baskets, min_count, max_length, _by_count, SilentProgress())
        total = np.zeros(max([min_count, *map(len, parts)]), dtype=np.int64)
        for part in parts:
            total[: len(part)] += part
        return total

    def _grown(
        self,
        baskets: Baskets,
        min_count: int,
        max_length: int,
        digest: Callable[[Iterator[_Sets]], _Digest],
        progress: Progress,
    ) -> tuple[Labelled, list[_Digest]]:
        """What `digest` makes of the sets of each part of the work."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="mersalg-mining") as threads:
            with progress.task("Preparing compiled kernels (slow the first time only)"):
                _prepare(min(max_length, 4))
            with progress.task("Filing baskets by item"):
                labelled = label_rows(baskets, min_count, threads, self._threads)
            if max_length < 2 or not len(labelled.names):
                return labelled, []
            chunks = labelled.chunks(_CHUNKS_A_THREAD * self._threads)
            parts: list[_Digest] = []
            with progress.task("Mining itemsets", total=len(chunks)) as task:
                for part in threads.map(
                    lambda chunk: digest(_grow(labelled, *chunk, min_count, max_length)), chunks
                ):
                    parts.append(part)
                    task.advance(1)
        return labelled, parts


@cache
def _prepare(max_length: int) -> None:
    """Have every kernel loaded, or compiled where it never was, by two little baskets."""
    little = Baskets(np.array([0, 3, 6]), np.array([0, 1, 2, 0, 1, 2], dtype=np.int32), 3)
    with ThreadPoolExecutor(1) as threads:
        labelled = label_rows(little, 1, threads, 1)
    list(_grow(labelled, 0, 3, 1, max_length))


def _by_count(sets: Iterator[_Sets]) -> NDArray[np.int64]:
    total = np.zeros(0, dtype=np.int64)
    for _, counts, _ in sets:
        found = np.bincount(counts, minlength=len(total))
        found[: len(total)] += total
        total = found
    return total


def _grow(
    labelled: Labelled, low: int, high: int, min_count: int, max_length: int
) -> Iterator[_Sets]:
    """The frequent sets that begin with a label in [low, high), buffer by buffer."""
    return _expand(labelled.rows, labelled.names, (), low, high, min_count, max_length)


def _expand(
    rows: Any,
    names: NDArray[np.int32],
    prefix: tuple[int, ...],
    low: int,
    high: int,
    min_count: int,
    max_length: int,
) -> Iterator[_Sets]:
    """The frequent sets of `prefix` and a label in [low, high) and at least one behind it."""
    from training.mining import kernels

    depth = len(prefix) + 1
    if max_length <= depth + 3:
        yield from _fill(rows, names, prefix, low, high, min_count, max_length, max_length)
        return
    # Pairs first, then whatever stands behind each label as baskets of their own.
    yield from _fill(rows, names, prefix, low, high, min_count, depth + 1, max_length)
    for label in range(low, high):
        partners, behind = kernels.rows_behind(rows, label, min_count)
        if len(partners) > 1:
            longer = (*prefix, int(names[label]))
            among = (0, len(partners), min_count, max_length)
            yield from _expand(behind, names[partners], longer, *among)


def _fill(
    rows: Any,
    names: NDArray[np.int32],
    prefix: tuple[int, ...],
    low: int,
    high: int,
    min_count: int,
    up_to: int,
    width: int,
) -> Iterator[_Sets]:
    """Sets of at most `up_to` items in rows of `width` columns."""
    from training.mining import kernels

    depth = len(prefix) + 1
    capacity = _FIRST_ROOM
    resume = np.zeros(2, dtype=np.int64)
    chosen = np.zeros(up_to, dtype=np.int32)
    chosen[: len(prefix)] = prefix
    while True:
        room = kernels.Room(
            np.empty((capacity, width), dtype=np.int32),
            np.empty(capacity, dtype=np.int64),
            np.empty(capacity, dtype=np.int8),
        )
        asked = (rows, names, low, high, chosen, depth, up_to, min_count, room)
        if up_to <= depth + 2:
            filled = kernels.grow(*asked, 0, resume)
        else:
            filled = kernels.grow_deeper(*asked, resume)
        whole = filled if filled >= 0 else int(resume[1])
        yield tuple(part[:whole].copy() for part in room)
        if filled >= 0:
            return
        low = int(resume[0])
        # The sets of one label must fit: where not even they did, the room grows without end.
        capacity = capacity * 4 if whole == 0 else min(capacity * 2, _MOST_ROOM)
