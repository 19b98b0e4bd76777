"""Where a set stands among the listed sets of its length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.mining.protocol import Itemsets

Integers = NDArray[np.int64]
_NOT_CLOSED = "a subset of a listed itemset is not listed"


class Ranks:
    """Look-ups of sets in itemsets that are closed downward, by binary search item by item.

    Attributes:
        levels: entry k holds the sets of k items, int32 (n_k, k); entry 0 the empty set.

    Raises:
        ValueError: the items of a listed set but the last are not listed.
    """

    def __init__(self, itemsets: Itemsets) -> None:
        # Numba takes half a second to load: only who mines waits for it.
        from training.mining import rule_kernels

        self._kernels = rule_kernels
        self.levels = [np.zeros((1, 0), dtype=np.int32)]
        self._first: list[Integers] = []
        for rows in itemsets.items:
            level = np.ascontiguousarray(rows, dtype=np.int32)
            first = rule_kernels.first_children(level, self.levels[-1])
            if first[-1] < 0:
                raise ValueError(_NOT_CLOSED)
            self._first.append(first)
            self.levels.append(level)
        # A single item without itself is the empty set, which begins every other.
        self._parts = [np.zeros((len(self.levels[1]), 1), dtype=np.int64)]

    def of(self, rows: NDArray[np.int32]) -> Integers:
        """Ranks of `rows`, shape (n, k), ascending inside a row.

        Raises:
            ValueError: one is not listed.
        """
        rank = np.zeros(len(rows), dtype=np.int64)
        for place in range(rows.shape[1]):
            items = np.ascontiguousarray(rows[:, place], dtype=np.int32)
            found = np.empty(len(rows), dtype=np.int64)
            level = self.levels[place + 1]
            if not self._kernels.step_down(rank, items, self._first[place], level, found):
                raise ValueError(_NOT_CLOSED)
            rank = found
        return rank

    def parts(self, length: int) -> Integers:
        """int64 (n, length): the rank of each set of `length` items without each of its items.

        Raises:
            ValueError: one is not listed.
        """
        while len(self._parts) < length:
            longer = len(self._parts) + 1
            rows, shorter = self.levels[longer], self.levels[longer - 1]
            first, shorter_first = self._first[longer - 1], self._first[longer - 2]
            above, parts = self._parts[-1], np.empty(rows.shape, dtype=np.int64)
            if not self._kernels.drop_each(rows, first, above, shorter_first, shorter, parts):
                raise ValueError(_NOT_CLOSED)
            self._parts.append(parts)
        return self._parts[length - 1]
