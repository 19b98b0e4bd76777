"""Signals of an item by itself: its popularity, also lately, its kind, its price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged


@dataclass(frozen=True, slots=True)
class ItemSignals:
    """Column by column; n is the number of items, g the number of groups.

    A group is what the catalogue calls family, else its category; -1 where it tells neither.

    Attributes
    ----------
    n_orders : float32 (n,)
        Orders that hold the item; `n_orders_all`: float32 (1,), all.
    recent, latest
        float32 (n,), share of the last orders that hold the item, older ones counting less: half
        after 14 and after 4 days.
    group
        int32 (n,).
    share : float32 (n,)
        Of the recent sales of its group.
    log_price : float32 (n,)
        Natural logarithm of minor units; 0 where not known.
    margin : float32 (n,)
        (price - cost) / price; 0 where not known.
    popular : int32 (p,)
        The items most bought lately, most first.
    leaders
        Ragged of int32 over groups; the best sellers of each lately, best first.
    """

    n_orders: NDArray[np.float32]
    n_orders_all: NDArray[np.float32]
    recent: NDArray[np.float32]
    latest: NDArray[np.float32]
    group: NDArray[np.int32]
    share: NDArray[np.float32]
    log_price: NDArray[np.float32]
    margin: NDArray[np.float32]
    popular: NDArray[np.int32]
    leaders: Ragged[np.int32]

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.n_orders)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.leaders)

    def packed(self) -> NDArray[np.float32]:
        """Return float32 (n_items, 16): what each is by itself, as `RankedItem` of the kernels."""
        overall = self.n_orders / np.maximum(self.n_orders_all[0], 1)
        floor, little = np.float32(1e-5), np.float32(0.01)
        packed = np.zeros((self.n_items, 16), dtype=np.float32)
        columns = (
            np.ascontiguousarray(self.group, dtype=np.int32).view(np.float32),
            self.share,
            self.log_price,
            self.margin,
            np.log(overall + floor),
            np.log(self.recent + floor),
            np.log(self.latest + floor),
            np.log(self.share + little),
        )
        for place, values in enumerate(columns):
            packed[:, place] = values
        return packed
