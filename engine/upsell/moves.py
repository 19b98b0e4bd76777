"""How customers go from one item of a ladder to another, purchase after purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged


@dataclass(frozen=True, slots=True)
class Moves:
    """A move: a customer's next purchase on the ladder, in a later order, is `items`.

    Attributes
    ----------
    n_from : int64 (n_items,)
        Purchases of the item that another of its ladder followed, the item itself included: the
        denominator of every share.
    items
        Ragged of int32 over items; to which item. The item itself, bought again, is among them. Of
        very many pairs those seen once are left out.
    counts : int64
        Of each value of `items`, how often.
    """

    n_from: NDArray[np.int64]
    items: Ragged[np.int32]
    counts: NDArray[np.int64]

    def between(self, item: int, other: int) -> int:
        """How often `other` followed `item`."""
        found = np.flatnonzero(self.items[item] == other)
        return int(self.counts[self.items.indptr[item] + found[0]]) if len(found) else 0
