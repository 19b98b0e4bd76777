"""How customers go from one item of a ladder to another, purchase after purchase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moves:
    """A move: a customer's next purchase on the ladder, in a later order, is `items`.

    Attributes:
        n_from: int64 (n_items,), purchases of the item that another of its ladder followed, the
            item itself included: the denominator of every share.
        indptr, items, counts: CSR over items; to which item, int32, and how often, int64. The item
            itself, bought again, is among them. Of very many pairs those seen once are left out.
    """

    n_from: NDArray[np.int64]
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    counts: NDArray[np.int64]

    def between(self, item: int, other: int) -> int:
        """How often `other` followed `item`."""
        row = slice(int(self.indptr[item]), int(self.indptr[item + 1]))
        found = np.flatnonzero(self.items[row] == other)
        return int(self.counts[row][found[0]]) if len(found) else 0

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "n_from": self.n_from,
            "indptr": self.indptr,
            "items": self.items,
            "counts": self.counts,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Moves:
        return cls(
            np.asarray(arrays["n_from"], dtype=np.int64),
            np.asarray(arrays["indptr"], dtype=np.int64),
            np.asarray(arrays["items"], dtype=np.int32),
            np.asarray(arrays["counts"], dtype=np.int64),
        )
