"""Places in one slate: how many each category may take, and who gets them."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.recommender import top

_LOOKED_AT = 4
"""Times the places there are; only where these do not fill them is everything put in order."""


class CategoryRoom:
    """The places categories have left; an item of no known category needs none.

    Args:
        category: int32 (n_items,), code of each item's whole path, or -1.
        most: places of each category, None where they are not counted.
    """

    def __init__(self, category: NDArray[np.int32], most: int | None) -> None:
        self._category, self._most = category, most
        self._held = Counter[int]()

    def take(self, item: int) -> bool:
        """Whether there is room for `item`, which then takes it."""
        if not self.has(item):
            return False
        self.add(item)
        return True

    def has(self, item: int) -> bool:
        if self._most is None:
            return True
        code = int(self._category[item])
        return code < 0 or self._held[code] < self._most

    def add(self, item: int) -> None:
        """Count `item`, whether there was room for it or not."""
        self._held[int(self._category[item])] += 1

    def best(
        self, items: NDArray[np.int32], scores: NDArray[np.float64], limit: int
    ) -> NDArray[np.int64]:
        """Positions of the `limit` highest scores that find room; ties by position."""
        if self._most is None or limit <= 0:
            return top(scores, limit)
        found: list[int] = []
        looked_at = 0
        for width in (_LOOKED_AT * limit, len(scores)):
            for place in top(scores, width)[looked_at:].tolist():
                if self.take(int(items[place])):
                    found.append(place)
                    if len(found) == limit:
                        return np.array(found, dtype=np.int64)
            looked_at = width
            if width >= len(scores):
                break
        return np.array(found, dtype=np.int64)
