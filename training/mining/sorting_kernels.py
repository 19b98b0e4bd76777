"""Compiled sorting of sets into their canonical order."""

from __future__ import annotations

import numpy as np

from training.mining.compiled import compiled


@compiled
def sort_sets(sets, n_values):
    """Sort the inside of every row in place; the order that sorts the rows, int64 (n,).

    Counting sort by each column from the last to the first, so linear in sets and values.

    Args:
        sets: int32 (n, length), values in 0..n_values - 1.
    """
    n_sets, length = sets.shape
    for row in range(n_sets):
        for right in range(1, length):
            value = sets[row, right]
            left = right - 1
            while left >= 0 and sets[row, left] > value:
                sets[row, left + 1] = sets[row, left]
                left -= 1
            sets[row, left + 1] = value
    order = np.arange(n_sets)
    if n_sets < 2:
        return order
    sorted_order = np.empty(n_sets, np.int64)
    fill = np.empty(n_values + 1, np.int64)
    for column in range(length - 1, -1, -1):
        fill[:] = 0
        for row in range(n_sets):
            fill[sets[row, column] + 1] += 1
        for value in range(n_values):
            fill[value + 1] += fill[value]
        for place in range(n_sets):
            value = sets[order[place], column]
            sorted_order[fill[value]] = order[place]
            fill[value] += 1
        order, sorted_order = sorted_order, order
    return order
