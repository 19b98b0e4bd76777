"""Orders as mining sees them: baskets of distinct items, compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged


@dataclass(frozen=True, slots=True)
class Baskets:
    """`n_orders` sets of items.

    Attributes
    ----------
    indptr : int64 (n_orders + 1,)
        Basket b is `items[indptr[b]:indptr[b + 1]]`.
    items : int32 (n_entries,)
        Dense item indices, ascending and distinct inside a basket.
    n_items
        Size of the vocabulary the indices belong to.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    n_items: int

    @classmethod
    def from_pairs(
        cls, orders: NDArray[np.int64], items: NDArray[np.int64], n_orders: int, n_items: int
    ) -> Baskets:
        """From (order, item) pairs in any order, repeated pairs counted once; shapes (n_pairs,)."""
        # Not np.unique, which hashes first and takes several times as long.
        keys = np.sort(orders.astype(np.int64) * n_items + items)
        rows = keys // n_items if n_items else keys
        return cls.from_sorted(rows, keys - rows * n_items, n_orders, n_items)

    @classmethod
    def from_sorted(
        cls,
        orders: NDArray[np.int64],
        items: NDArray[np.int64] | NDArray[np.int32],
        n_orders: int,
        n_items: int,
    ) -> Baskets:
        """From (order, item) pairs in ascending order, repeated pairs counted once."""
        new = np.ones(len(orders), dtype=np.bool_)
        new[1:] = (orders[1:] != orders[:-1]) | (items[1:] != items[:-1])
        indptr = np.zeros(n_orders + 1, dtype=np.int64)
        np.cumsum(np.bincount(orders[new], minlength=n_orders), out=indptr[1:])
        return cls(indptr, items[new].astype(np.int32), n_items)

    @property
    def n_orders(self) -> int:
        """Number of baskets."""
        return len(self.indptr) - 1

    def basket(self, order: int) -> NDArray[np.int32]:
        """Return the items of one basket."""
        return self.items[self.indptr[order] : self.indptr[order + 1]]

    def take(self, orders: NDArray[np.int64]) -> Baskets:
        """Return the baskets at positions `orders`, in that order."""
        rows = Ragged(self.indptr, self.items).take(orders)
        return Baskets(rows.indptr, rows.values, self.n_items)

    def item_counts(self) -> NDArray[np.int64]:
        """Orders that hold each item; shape (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)
