"""The local engine: exact counts by compiled kernels, on all cores of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.orders import Baskets
from engine.progress import Progress
from training.mining.protocol import Itemsets

_CHUNKS_A_THREAD = 12
"""Parts of the work for each thread: enough that none waits long for the last one."""
_FIRST_ROOM = 1 << 14
_MOST_ROOM = 1 << 20
"""Sets an output buffer holds at first and at most; a full one is emptied and the work resumed."""
_MOST_ENTRIES = 2**31 - 1

_Sets = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]
"""Sets in rows of `max_length` columns, their counts, their lengths."""


class LocalEngine:
    """Counts what stands in baskets by array counters (`training.mining.kernels`).

    Infrequent items are dropped first; the others are labelled by ascending frequency, so that
    what follows a label in a row is short where its occurrences are many. Memory is that of the
    frequent entries (16 bytes each), of the sets found, and of one counter a label and thread.

    Args:
        threads: at most so many; all cores where not given.
    """

    name = "local"

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items in at least `min_count` orders.

        Raises:
            DataError: over 2**31 entries of frequent items.
        """
        min_count = max(min_count, 1)
        item_counts = baskets.item_counts()
        frequent = np.flatnonzero(item_counts >= min_count).astype(np.int32)
        rows = [frequent[:, None]]
        counts = [item_counts[frequent]]
        if max_length > 1:
            # Of equally frequent items the first comes first: the same rows give the same work.
            names = frequent[np.argsort(item_counts[frequent], kind="stable")]
            found = self._grow(_Labelled.of(baskets, names), min_count, max_length, progress)
            lengths = np.concatenate([np.zeros(0, np.int8), *(part[2] for part in found)])
            sets = np.concatenate([np.zeros((0, max_length), np.int32), *(p[0] for p in found)])
            set_counts = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in found)])
            for length in range(2, max_length + 1):
                chosen = lengths == length
                rows.append(sets[chosen, :length])
                counts.append(set_counts[chosen])
        return Itemsets.from_rows(rows, counts, n_orders=baskets.n_orders, min_count=min_count)

    def _grow(
        self, labelled: _Labelled, min_count: int, max_length: int, progress: Progress
    ) -> list[_Sets]:
        chunks = labelled.chunks(_CHUNKS_A_THREAD * self._threads)
        found: list[_Sets] = []
        with (
            progress.task("Mining itemsets", total=len(chunks)) as task,
            ThreadPoolExecutor(self._threads, thread_name_prefix="mersalg-mining") as threads,
        ):
            mined = threads.map(
                lambda chunk: list(labelled.expand(*chunk, min_count, max_length)), chunks
            )
            for part in mined:
                found += part
                task.advance(1)
        return found


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Rows of frequent items by label, and where each label stands; see `kernels.occurrences`."""

    names: NDArray[np.int32]
    labels: NDArray[np.int32]
    first: NDArray[np.int64]
    position: NDArray[np.int32]
    row_end: NDArray[np.int32]

    @classmethod
    def of(cls, baskets: Baskets, names: NDArray[np.int32]) -> _Labelled:
        # Numba and its compiled code take half a second to load: only who mines waits for them.
        from training.mining import kernels

        label_of = np.full(baskets.n_items, -1, dtype=np.int32)
        label_of[names] = np.arange(len(names), dtype=np.int32)
        row_start, labels = kernels.frequent_rows(
            np.ascontiguousarray(baskets.indptr, dtype=np.int64),
            np.ascontiguousarray(baskets.items, dtype=np.int32),
            label_of,
        )
        if len(labels) > _MOST_ENTRIES:
            raise DataError(
                f"{len(labels):,} entries of frequent items are more than one machine's engine"
                " counts: raise the minimum count, or mine with --engine spark"
            )
        return cls(names, labels, *kernels.occurrences(row_start, labels, len(names)))

    def chunks(self, n_chunks: int) -> list[tuple[int, int]]:
        """Ranges of labels with about the same work in each: the entries behind their rows."""
        behind = np.concatenate([[0], np.cumsum(self.row_end - self.position, dtype=np.int64)])
        work = behind[self.first]
        cuts = np.searchsorted(work, np.linspace(0, work[-1], n_chunks + 1)[1:-1])
        return list(pairwise(sorted({0, len(self.names), *cuts.tolist()})))

    def expand(self, low: int, high: int, min_count: int, max_length: int) -> Iterator[_Sets]:
        """The frequent sets that begin with a label in [low, high), buffer by buffer."""
        from training.mining import kernels

        room = _FIRST_ROOM
        resume = np.zeros(2, dtype=np.int64)
        prefix = np.zeros(max_length, dtype=np.int32)
        while True:
            sets = np.empty((room, max_length), dtype=np.int32)
            counts = np.empty(room, dtype=np.int64)
            lengths = np.empty(room, dtype=np.int8)
            rows = (self.labels, self.first, self.position, self.row_end, self.names)
            if max_length <= 3:
                asked = (low, high, prefix, 1, max_length, min_count)
                filled = kernels.grow(*rows, *asked, sets, counts, lengths, 0, resume)
            else:
                asked = (low, high, prefix, max_length, min_count)
                filled = kernels.grow_four(*rows, *asked, sets, counts, lengths, resume)
            whole = filled if filled >= 0 else int(resume[1])
            yield sets[:whole].copy(), counts[:whole].copy(), lengths[:whole].copy()
            if filled >= 0:
                return
            low = int(resume[0])
            # The sets of one label must fit: where not even they did, the room grows without end.
            room = room * 4 if whole == 0 else min(room * 2, _MOST_ROOM)
