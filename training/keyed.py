"""Arrays filed by integer key: grouping, adding up and looking up.

A batch of carts is worked on at once; what belongs to one cart and one item has the key
`cart * n_items + item`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float32]


def distinct(keys: Keys) -> Keys:
    """Return the values of `keys`, each once, ascending."""
    # NumPy's `unique` hashes integers, which takes ten times as long on millions of keys.
    ranked = np.sort(keys)
    if not len(ranked):
        return ranked
    return ranked[np.append(True, ranked[1:] != ranked[:-1])]


@dataclass(frozen=True, slots=True)
class Grouping:
    """Entries put together by key.

    Attributes
    ----------
    keys : int64 (n,)
        Distinct, ascending.
    order
        Positions of the entries, grouped.
    starts : int64 (n,)
        Where each key's entries begin in `order`.
    """

    keys: Keys
    order: Keys
    starts: Keys

    @classmethod
    def of(cls, keys: Keys) -> Grouping:
        """Group rows by key."""
        order = np.argsort(keys)
        ranked = keys[order]
        first = np.ones(len(ranked), dtype=np.bool_)
        np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
        starts = first.nonzero()[0]
        return cls(ranked[starts], order, starts)

    def sum(self, values: NDArray[np.floating]) -> Floats:
        """Return the sum of each group."""
        return self._reduced(np.add, values)

    def max(self, values: NDArray[np.floating]) -> Floats:
        """Return the greatest value of each group."""
        return self._reduced(np.maximum, values)

    def min(self, values: NDArray[np.floating]) -> Floats:
        """Return the least value of each group."""
        return self._reduced(np.minimum, values)

    def size(self) -> Floats:
        """Entries of each key."""
        return np.diff(self.starts, append=len(self.order)).astype(np.float32)

    def _reduced(self, how: np.ufunc, values: NDArray[np.floating]) -> Floats:
        if not len(self.starts):
            return np.zeros(0, dtype=np.float32)
        return how.reduceat(values[self.order].astype(np.float32), self.starts)


def look_up(keys: Keys, wanted: Keys) -> tuple[Keys, NDArray[np.bool_]]:
    """Place of each of `wanted` in the ascending `keys`, and whether it is there; else place 0."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    return place, keys[place] == wanted


def medians_of(
    group: NDArray[np.integer[Any]], values: NDArray[np.int64], n_groups: int
) -> NDArray[np.float64]:
    """Return the median of the values of each group, NaN where it has none; (n_groups,)."""
    n = len(values)
    rising = np.argsort(values)
    # Group and rank as one number: two plain sorts, and no product that could overflow.
    both = np.sort(group[rising].astype(np.int64) * n + np.arange(n))
    start = np.searchsorted(both, np.arange(n_groups + 1, dtype=np.int64) * n)
    size, first = np.diff(start), start[:-1]
    some = np.flatnonzero(size)
    medians = np.full(n_groups, np.nan)
    low, high = (
        values[rising[both[first[some] + middle] % n]].astype(np.float64)
        for middle in ((size[some] - 1) // 2, size[some] // 2)
    )
    medians[some] = low + (high - low) / 2
    return medians
