"""Likelihood of an upgrade, and of each target: two fitted models and their signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.ranking.ranking import Scorer

Floats = NDArray[np.float32]
WINDOWS = (7.0, 21.0, 60.0, 365.0)
"""Days back that an item's orders are counted."""
PROMOTION_DAYS = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Signals of items that no moment changes; n is the number of items."""

    ladder: NDArray[np.int32]
    """int32 (n,): -1 where it is on none."""
    tier: NDArray[np.int16]
    log_price: Floats
    """float32 (n,): natural logarithm of the price in minor units, 0 where not known."""
    level: Floats
    """float32 (n,): log price, centred and scaled inside the ladder; 0 where on none."""
    category: NDArray[np.int32]
    brand: NDArray[np.int32]
    """`category`, `brand`: int32 (n,), codes, -1 where not known."""
    log_amount: Floats
    """float32 (n,): logarithm of the pack's amount, NaN where not known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts as of one moment, the last order that was known."""

    orders: Floats
    """float32 (n_items, len(WINDOWS)), orders with the item in each window."""
    promotion: Floats
    usual: Floats
    """`promotion`, `usual`: float32 (n_items,), share of the price given away lately and ever."""
    ups: Floats
    downs: Floats
    moves: Floats
    """`ups`, `downs`, `moves`: float32 (n_items,), how often buyers of the item took a dearer tier,
    a cheaper one, anything of the ladder next."""
    move_keys: NDArray[np.int64]
    move_times: Floats
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


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the odds of each probability, within bounds; the same shape."""
    bounded = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(bounded / (1 - bounded))
