"""Likelihood of an upgrade, and of each target: two fitted models, and their signals as stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Float32s, Float64s, Int16s, Int32s, Int64s, Ragged
from mersalg.engine.ranking.ranking import Scorer

WINDOWS = (7.0, 21.0, 60.0, 365.0)
"""Days back that an item's orders are counted."""
PROMOTION_DAYS = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Signals of items that no moment changes; n is the number of items."""

    ladder: Int32s
    """int32 (n,): -1 where it is on none."""
    tier: Int16s
    log_price: Float32s
    """float32 (n,): natural logarithm of the price in minor units, 0 where not known."""
    level: Float32s
    """float32 (n,): log price, centred and scaled inside the ladder; 0 where on none."""
    category: Int32s
    brand: Int32s
    """`category`, `brand`: int32 (n,), codes, -1 where not known."""
    log_amount: Float32s
    """float32 (n,): logarithm of the pack's amount, NaN where not known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts as of one moment, the last order that was known."""

    orders: Float32s
    """float32 (n_items, len(WINDOWS)), orders with the item in each window."""
    promotion: Float32s
    usual: Float32s
    """`promotion`, `usual`: float32 (n_items,), share of the price given away lately and ever."""
    ups: Float32s
    downs: Float32s
    moves: Float32s
    """`ups`, `downs`, `moves`: float32 (n_items,), how often buyers of the item took a dearer tier,
    a cheaper one, anything of the ladder next."""
    move_keys: Int64s
    move_times: Float32s
    """`move_keys`, `move_times`: (n_moves,), `item * n_items + next item`, ascending; how often."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """P(an upgrade | customer, item) and P(this better item | an upgrade).

    What they weigh are the tables `QUESTION` and `SIBLING` of `engine/native/signals.toml`.
    """

    facts: Facts
    standing: Standing
    which: Scorer
    """Its `slope` sharpens the shares of a question's items (a conditional logit)."""
    whether: Scorer
    """Calibrated by Platt's method."""
    offer_slope: float = 1.0
    offer_intercept: float = 0.0
    """`offer_slope`, `offer_intercept`: turn the log-odds of the product into those at which offers
    shown were taken; 1 and 0 until enough offers have been."""


@dataclass(frozen=True, slots=True)
class PackedUpgrades:
    """Fields of an item that kernels read, side by side in one line of a processor's cache."""

    items: Float32s
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


def ladder_items(
    facts: Facts,
    item: NDArray[np.integer],
    orders: NDArray[np.floating],
    rates: Sequence[NDArray[np.floating]],
) -> Float32s:
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


def log_odds(probability: Float64s) -> Float64s:
    """Return the logarithm of the odds of each probability, within bounds; the same shape."""
    bounded = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(bounded / (1 - bounded))
