"""Compiled: how large the orders are that hold given sets of items."""

from __future__ import annotations

import numpy as np

from training.mining.compiled import compiled


@compiled
def add_sizes(indptr, items, first, orders, by_rarest, sets, low, high, n_entries):
    """Add up the entries of the orders that hold each set whose rarest item is in [low, high).

    Args:
        indptr, items: CSR of the baskets.
        first, orders: int64 (n_items + 1,) and (n,): the orders of item i ascend from `first[i]`.
        by_rarest: int64 (n_items + 1,): where the sets begin whose rarest item is i.
        sets: int32 (n_sets, length).
        n_entries: int64 (n_sets,), zeros; the answer.
    """
    seen = np.full(len(first) - 1, -1, np.int64)
    for rarest in range(low, high):
        begin, end = by_rarest[rarest], by_rarest[rarest + 1]
        if begin == end:
            continue
        for position in range(first[rarest], first[rarest + 1]):
            order = orders[position]
            size = indptr[order + 1] - indptr[order]
            if size < sets.shape[1]:
                continue
            for entry in range(indptr[order], indptr[order + 1]):
                seen[items[entry]] = order
            for row in range(begin, end):
                held = True
                for place in range(sets.shape[1]):
                    if seen[sets[row, place]] != order:
                        held = False
                        break
                if held:
                    n_entries[row] += size
