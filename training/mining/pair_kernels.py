"""Compiled: from (order, item) pairs in any order to baskets of ascending, distinct items."""

from __future__ import annotations

import numpy as np

from training.mining.compiled import compiled


@compiled
def file_pairs(orders, items, first_order, n_items, rows, sizes):
    """File pairs by order; an item repeated in an order counts once.

    Nothing is compared: the pairs are dealt out to their items, and then the items, in ascending
    order, to their orders.

    Args:
        orders: int64 (n,), in first_order..first_order + n_orders - 1.
        items: int64 (n,), in 0..n_items - 1.
        rows: int32 (n,), the items of the orders one behind the other; written.
        sizes: int64 (n_orders,), zeros; items in each order.

    Returns:
        How many entries of `rows` were written.
    """
    n_pairs = len(orders)
    fill = np.zeros(n_items + 1, np.int64)
    for pair in range(n_pairs):
        fill[items[pair] + 1] += 1
        sizes[orders[pair] - first_order] += 1
    for item in range(n_items):
        fill[item + 1] += fill[item]
    first = fill.copy()
    orders_by_item = np.empty(n_pairs, np.int32)
    for pair in range(n_pairs):
        slot = fill[items[pair]]
        orders_by_item[slot] = orders[pair] - first_order
        fill[items[pair]] = slot + 1
    start = np.zeros(len(sizes) + 1, np.int64)
    for order in range(len(sizes)):
        start[order + 1] = start[order] + sizes[order]
    stop = start[:-1].copy()
    for item in range(n_items):
        for slot in range(first[item], first[item + 1]):
            order = orders_by_item[slot]
            place = stop[order]
            if place == start[order] or rows[place - 1] != item:
                rows[place] = item
                stop[order] = place + 1
    filled = 0
    for order in range(len(sizes)):
        sizes[order] = stop[order] - start[order]
        if filled == start[order]:
            filled = stop[order]
            continue
        for place in range(start[order], stop[order]):
            rows[filled] = rows[place]
            filled += 1
    return filled
