"""Counts how customers move along their ladders from order to order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.orders import Baskets
from mersalg.engine.upsell.tiers import Moves

MANY_PAIRS = 500_000
"""Above so many different moves, those seen only once are forgotten."""


def count_moves(
    baskets: Baskets, customer: NDArray[np.int64], ladder: NDArray[np.int32]
) -> Moves | None:
    """From every purchase to the same customer's next one on the ladder, in a later order.

    Where that order holds several items of the ladder, each is moved to.

    Parameters
    ----------
    customer : int64 (n_orders,)
        -1 unknown; orders stand in time order.
    ladder : int32 (n_items,)
        -1 where an item stands on none.

    Returns
    -------
    None where no order names its customer.
    """
    n_items = baskets.n_items
    order = np.repeat(np.arange(baskets.n_orders, dtype=np.int64), np.diff(baskets.indptr))
    item, of_ladder = baskets.items.astype(np.int64), ladder[baskets.items].astype(np.int64)
    known = (of_ladder >= 0) & (customer[order] >= 0)
    if not (customer >= 0).any():
        return None
    order, item, of_ladder = order[known], item[known], of_ladder[known]
    who = customer[order]
    ordered = np.lexsort((item, order, of_ladder, who))
    order, item, of_ladder, who = order[ordered], item[ordered], of_ladder[ordered], who[ordered]
    # A visit: what one order holds of one ladder.
    new_history = np.append(True, (who[1:] != who[:-1]) | (of_ladder[1:] != of_ladder[:-1]))
    new_visit = new_history | np.append(True, order[1:] != order[:-1])
    if not len(item):
        new_history = new_visit = np.zeros(0, dtype=np.bool_)
    starts = np.flatnonzero(new_visit)
    ends = np.append(starts[1:], len(item))
    visit = np.cumsum(new_visit) - 1
    has_next = np.zeros(len(starts), dtype=np.bool_)
    if len(starts):
        has_next[:-1] = ~new_history[starts[1:]]
    base = np.flatnonzero(has_next[visit]) if len(item) else np.zeros(0, dtype=np.int64)
    following = visit[base] + 1
    lengths = (ends[following] - starts[following]) if len(base) else np.zeros(0, dtype=np.int64)
    offset = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    to = item[np.repeat(starts[following], lengths) + offset] if len(base) else item[:0]
    n_from = np.bincount(item[base], minlength=n_items).astype(np.int64)
    keys, counts = np.unique(np.repeat(item[base], lengths) * n_items + to, return_counts=True)
    if len(keys) > MANY_PAIRS:
        keys, counts = keys[counts > 1], counts[counts > 1]
    first, following = np.divmod(keys, max(n_items, 1))
    lengths = np.bincount(first, minlength=n_items)
    items = Ragged.of_lengths(lengths, following.astype(np.int32))
    return Moves(n_from, items, counts.astype(np.int64))
