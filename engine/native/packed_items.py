"""Fields of an item that kernels read, side by side in one line of a processor's cache.

Stored in a version, so that workers share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.ranking.ranking import Ranking
from mersalg.engine.upsell.likelihood import Facts, Likelihood


@dataclass(frozen=True, slots=True)
class PackedUpgrades:
    """Arrays of a model of upgrades."""

    items: NDArray[np.float32]
    """float32 (n_items, 16): facts and standing of each item; codes in their own bits."""
    moved: Ragged[np.int32]
    """Ragged of int32: the items that were bought after each item, ascending."""

    @classmethod
    def of(cls, likelihood: Likelihood) -> PackedUpgrades:
        """Pack the items of a model of upgrades."""
        standing, n_items = likelihood.standing, len(likelihood.facts.ladder)
        base = standing.move_keys // max(n_items, 1)
        starts = np.searchsorted(base, np.arange(n_items + 1)).astype(np.int64)
        moved = (standing.move_keys - base * n_items).astype(np.int32)
        packed = ladder_items(
            likelihood.facts,
            np.arange(n_items),
            standing.orders,
            (standing.promotion, standing.usual, standing.ups, standing.downs, standing.moves),
        )
        return cls(packed, Ragged(starts, moved))


@dataclass(frozen=True, slots=True)
class Packed:
    """Arrays that the kernels read; each None of a model that has none."""

    ranking: NDArray[np.float32] | None
    """float32 (n_items, 16): see `ItemSignals.packed`."""
    upgrades: PackedUpgrades | None

    @classmethod
    def of(cls, ranking: Ranking | None, likelihood: Likelihood | None) -> Packed:
        """Pack the items of a model."""
        return cls(
            None if ranking is None else ranking.signals.packed(),
            None if likelihood is None else PackedUpgrades.of(likelihood),
        )


def ladder_items(
    facts: Facts,
    item: NDArray[np.integer],
    orders: NDArray[np.floating],
    rates: Sequence[NDArray[np.floating]],
) -> NDArray[np.float32]:
    """Return what some items are, and were at a moment of each, side by side; float32 (n, 16).

    Codes are in their own bits; the columns are those of `LadderItem` in `upgrade_signals.pyx`.
    `item` is int (n,); `orders`, float32 (n, len(WINDOWS)), and `rates`, float32 (n,) of promotion,
    usual, ups, downs and moves, are as of `Standing`.
    """
    packed = np.zeros((len(item), 16), dtype=np.float32)
    for index, codes in enumerate((facts.ladder, facts.category, facts.brand)):
        packed[:, index] = np.ascontiguousarray(codes, dtype=np.int32).view(np.float32)[item]
    for index, values in enumerate((facts.tier, facts.level, facts.log_price, facts.log_amount)):
        packed[:, 3 + index] = values[item]
    packed[:, 7:11] = orders
    for index, values in enumerate(rates, start=11):
        packed[:, index] = values
    return packed
