"""Results of mining beside the rules: the popularity of items, and the pairs that keep apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Bools, Int32s, Int64s, Ragged


@dataclass(frozen=True, slots=True)
class Affinity:
    """Popularity and repulsion."""

    n_orders_of_item: Int64s
    """int64 (n_items,): orders that hold the item."""
    n_added_of_item: Int64s
    """int64 (n_items,): those of them that hold something else too."""
    n_orders: int
    """All orders."""
    repelled: Ragged[np.int32]
    """Ragged of int32 over items; the items bought together with item i significantly less often
    than by chance (upper bound of lift below 1, also when basket sizes are allowed for, so that a
    shop of single-item orders repels nobody)."""
    family_excludes: Bools
    """bool (n_ladders,): by ladder; True where its members substitute for each other (seldom in one
    order), so that none may be cross-sold beside another."""

    def substitutes(self, ladder: Int32s) -> Int32s:
        """Return ladders with -1 for those whose items are bought together; the same shape.

        A ladder that nothing is known of is taken for one of substitutes, which is the safe side.
        """
        combines = np.flatnonzero(~self.family_excludes)
        return np.where(np.isin(ladder, combines), np.int32(-1), ladder)
