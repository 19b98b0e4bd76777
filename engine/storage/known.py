"""Which ids came before, of tens of millions, in a few bytes each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FULL = 0.75
_FEWEST = 1_000_000
_MOST = 80_000_000
"""Ids for which there is memory: 530 MB."""

Hashes = NDArray[np.uint64]


class Crowded(Exception):
    """More ids than there is memory for."""


class KnownIds:
    """A set of ids by their fingerprints: it never takes a known id for a new one.

    It takes a new one for known about once in a thousand files of 30 million facts: fingerprints
    have 39 bits beside their place. Python keys its hashes anew in every process, so that nobody
    can make up ids that meet.
    """

    def __init__(self, expected: int) -> None:
        self._tables = [_Table(min(max(expected, _FEWEST), _MOST))]

    def add(self, ids: Sequence[str], kind: int) -> bool:
        """Whether all of `ids` were new as ids of this kind; all or some are known from now on.

        Raises:
            Crowded: no memory is left for them.
        """
        if len(set(ids)) < len(ids):
            return False
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids)).view(np.uint64)
        # By an odd number, which loses nothing; the same id is another one as another kind.
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15 + 2 * kind)
        if not self._tables[-1].has_room(len(ids)):
            size = sum(table.capacity for table in self._tables)
            if size >= _MOST:
                raise Crowded
            self._tables.append(_Table(max(size, len(ids))))
        if any(table.holds_any(hashes) for table in self._tables[:-1]):
            return False
        return self._tables[-1].add(hashes)


class _Table:
    """Open addressing with linear probing, all ids of a call at once."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self._taken = capacity, 0
        self._size = int(capacity / _FULL) + 1
        self._low = np.zeros(self._size, np.uint32)  # odd where a place is taken, else 0
        self._high = np.zeros(self._size, np.uint8)

    def has_room(self, n_ids: int) -> bool:
        return self._taken + n_ids <= self.capacity

    def holds_any(self, hashes: Hashes) -> bool:
        places, low, high = self._fingerprints(hashes)
        while places.size:
            held = self._low[places]
            if bool(((held == low) & (self._high[places] == high)).any()):
                return True
            further = held != 0
            places, low, high = self._after(places[further]), low[further], high[further]
        return False

    def add(self, hashes: Hashes) -> bool:
        """Whether none was held before."""
        self._taken += hashes.size
        places, low, high = self._fingerprints(hashes)
        while places.size:
            held = self._low[places]
            if bool(((held == low) & (self._high[places] == high)).any()):
                return False
            free = held == 0
            self._low[places[free]], self._high[places[free]] = low[free], high[free]
            # Of several that want one place the last has it; the others go on.
            left = ~free | (self._low[places] != low) | (self._high[places] != high)
            places, low, high = self._after(places[left]), low[left], high[left]
        return True

    def _fingerprints(
        self, hashes: Hashes
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint8]]:
        """Where to look first, and the two parts of the fingerprint."""
        upper = hashes >> np.uint64(32)
        places = (upper * np.uint64(self._size) >> np.uint64(32)).astype(np.int64)
        # The last of the upper bits say the least about the place.
        return places, hashes.astype(np.uint32) | np.uint32(1), upper.astype(np.uint8)

    def _after(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        following = places + 1
        following[following == self._size] = 0
        return following
