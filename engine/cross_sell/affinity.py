"""What mining learnt beside the rules: how popular each item is, and which items keep apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Affinity:
    """Popularity and repulsion.

    Attributes:
        n_orders_of_item: int64 (n_items,), orders that hold the item.
        n_added_of_item: int64 (n_items,), those of them that hold something else too.
        n_orders: all orders.
        repelled_indptr, repelled_items: CSR over items; the items bought together with item i
            significantly less often than by chance (upper bound of lift below 1, also when basket
            sizes are allowed for, so that a shop of single-item orders repels nobody).
        family_excludes: bool (n_ladders,), by ladder; True where its members substitute for
            each other (seldom in one order), so that none may be cross-sold beside another.
    """

    n_orders_of_item: NDArray[np.int64]
    n_added_of_item: NDArray[np.int64]
    n_orders: int
    repelled_indptr: NDArray[np.int64]
    repelled_items: NDArray[np.int32]
    family_excludes: NDArray[np.bool_]

    def repelled_by(self, item: int) -> NDArray[np.int32]:
        return self.repelled_items[self.repelled_indptr[item] : self.repelled_indptr[item + 1]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "n_orders_of_item": self.n_orders_of_item,
            "n_added_of_item": self.n_added_of_item,
            "n_orders": np.array([self.n_orders], dtype=np.int64),
            "repelled_indptr": self.repelled_indptr,
            "repelled_items": self.repelled_items,
            "family_excludes": self.family_excludes,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Affinity:
        return cls(
            np.asarray(arrays["n_orders_of_item"], dtype=np.int64),
            np.asarray(arrays["n_added_of_item"], dtype=np.int64),
            int(arrays["n_orders"][0]),
            np.asarray(arrays["repelled_indptr"], dtype=np.int64),
            np.asarray(arrays["repelled_items"], dtype=np.int32),
            np.asarray(arrays["family_excludes"], dtype=np.bool_),
        )
