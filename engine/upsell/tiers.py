"""Ladders: the price tiers of each family, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.upsell.families import Families
from mersalg.engine.upsell.moves import Moves


@dataclass(frozen=True, slots=True)
class Ladders:
    """Families of items that substitute for each other, and the tier of each item in its family.

    A ladder's family is the catalogue's `family`, else one learned from names and baskets, else
    the category.

    Attributes
    ----------
    family : int32 (n_items,)
        Ladder of each item, -1 where it is on none.
    tier : int16 (n_items,)
        Rank of the item's price level in its ladder, 0 the cheapest, -1 where it is on none.
    members
        Ragged of int32 over ladders; items of each, by price then index, ascending.
    families
        Why each ladder's items are one family; None in versions that did not keep it.
    moves
        How customers went from item to item of a ladder; None where orders name none.
    """

    family: NDArray[np.int32]
    tier: NDArray[np.int16]
    members: Ragged[np.int32]
    families: Families | None = None
    moves: Moves | None = None

    @property
    def n_ladders(self) -> int:
        """Number of ladders."""
        return len(self.members)
