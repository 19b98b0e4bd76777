"""What is known of items at a moment, whoever asks: popularity, promotions and moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.ranking.keyed import look_up

Floats = NDArray[np.float32]
WINDOWS = (7.0, 21.0, 60.0, 365.0)
"""Days back that an item's orders are counted."""
PROMOTION_DAYS = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What an item is, at any moment; n is the number of items.

    Attributes:
        ladder: int32 (n,), -1 where it stands on none.
        tier: int16 (n,).
        log_price: float32 (n,), natural logarithm of the price in minor units, 0 where not known.
        level: float32 (n,), log price, centred and scaled inside the ladder; 0 where on none.
        category, brand: int32 (n,), codes, -1 where not known.
        log_amount: float32 (n,), logarithm of the pack's amount, NaN where not known.
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

    Attributes:
        orders: float32 (n_items, len(WINDOWS)), orders with the item in each window.
        promotion: float32 (n_items,), share of the price given away lately; usual: all the time.
        ups, downs, moves: float32 (n_items,), how often buyers of the item took a dearer tier,
            a cheaper one, anything of the ladder next.
        move_keys: int64 (n_moves,), ascending, `item * n_items + next item`; move_times: how often.
    """

    orders: Floats
    promotion: Floats
    usual: Floats
    ups: Floats
    downs: Floats
    moves: Floats
    move_keys: NDArray[np.int64]
    move_times: Floats

    def times_moved(self, item: NDArray[np.int32], following: NDArray[np.int32]) -> Floats:
        """How often `following` was bought after `item`; shape as theirs."""
        wanted = item.astype(np.int64) * len(self.ups) + following
        place, known = look_up(self.move_keys, wanted)
        if not len(self.move_keys):
            return np.zeros(len(wanted), dtype=np.float32)
        return np.where(known, self.move_times[place], np.float32(0))
