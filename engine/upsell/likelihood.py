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
    """Signals of items that no moment changes; n is the number of items.

    Attributes
    ----------
    ladder : int32 (n,)
        -1 where it is on none.
    tier
        int16 (n,).
    log_price : float32 (n,)
        Natural logarithm of the price in minor units, 0 where not known.
    level : float32 (n,)
        Log price, centred and scaled inside the ladder; 0 where on none.
    category, brand
        int32 (n,), codes, -1 where not known.
    log_amount : float32 (n,)
        Logarithm of the pack's amount, NaN where not known.
    """

    ladder: NDArray[np.int32]
    tier: NDArray[np.int16]
    log_price: Floats
    level: Floats
    category: NDArray[np.int32]
    brand: NDArray[np.int32]
    log_amount: Floats


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts as of one moment, the last order that was known.

    Attributes
    ----------
    orders
        float32 (n_items, len(WINDOWS)), orders with the item in each window.
    promotion : float32 (n_items,)
        Share of the price given away lately; usual: all the time.
    ups, downs, moves
        float32 (n_items,), how often buyers of the item took a dearer tier, a cheaper one, anything
        of the ladder next.
    move_keys : int64 (n_moves,)
        Ascending, `item * n_items + next item`; move_times: how often.
    """

    orders: Floats
    promotion: Floats
    usual: Floats
    ups: Floats
    downs: Floats
    moves: Floats
    move_keys: NDArray[np.int64]
    move_times: Floats


@dataclass(frozen=True, slots=True)
class Likelihood:
    """P(an upgrade | customer, item) and P(this better item | an upgrade).

    What they weigh are the tables `QUESTION` and `SIBLING` of `engine/native/signals.toml`.

    Attributes
    ----------
    which
        Its `slope` sharpens the shares of a question's items (a conditional logit).
    whether
        Calibrated by Platt's method.
    offer_slope, offer_intercept
        Turn the log-odds of the product into those at which offers shown were taken; 1 and 0 until
        enough offers have been.
    """

    facts: Facts
    standing: Standing
    which: Scorer
    whether: Scorer
    offer_slope: float = 1.0
    offer_intercept: float = 0.0


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the odds of each probability, within bounds; the same shape."""
    bounded = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(bounded / (1 - bounded))
