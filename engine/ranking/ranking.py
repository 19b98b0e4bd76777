"""Everything a fitted ranking of complements needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.facts import Mode
from mersalg.engine.native.kernels import NativeRanking
from mersalg.engine.ranking.scorer import Scorer

MODES: tuple[Mode, ...] = ("discovery", "complete")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of each item.

    Attributes
    ----------
    items
        Ragged of int32, n_items rows of n values in all, ascending inside a row.
    weight : float32 (n,)
        What the row's item adds to the score of each (EASE: Steck, "Embarrassingly Shallow
        Autoencoders for Sparse Data", 2019); 0 where only counts speak.
    n_joint : int32 (n,)
        Orders that hold both; 0 where too few to be counted.
    """

    items: Ragged[np.int32]
    weight: NDArray[np.float32]
    n_joint: NDArray[np.int32]


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


@dataclass(frozen=True, slots=True)
class Ranking:
    """Arrays only, as a version stores them.

    Attributes
    ----------
    neighbours
        The item-item model; `groups`: the same over groups of items.
    signals
        What each item is by itself.
    scorers
        One for each mode; `discovery` offers what the customer has not bought before, `complete`
        lets repeats in.
    """

    neighbours: Neighbours
    groups: Neighbours
    signals: ItemSignals
    scorers: Mapping[Mode, Scorer]

    def native(self, packed: NDArray[np.float32] | None = None) -> NativeRanking:
        """Return what ranks; `packed` is `signals.packed()` where that is stored already."""
        return NativeRanking(self, self.signals.packed() if packed is None else packed)

    def with_scorers(self, scorers: Mapping[Mode, Scorer]) -> Ranking:
        """Return the same with other scorers."""
        return replace(self, scorers=scorers)
