"""Compiled solver of the item-item model: one small ridge regression for each item."""

from __future__ import annotations

import numpy as np
from numba import njit

_SEARCH_FACTOR = 12
"""A row so many times longer than the neighbourhood is searched in rather than walked through."""


@njit(cache=True, nogil=True)
def solve_items(low, high, indptr, items, values, diagonal, n_neighbours, ridge):
    """Weights of the neighbours of each item in [low, high).

    Item j is regressed on the items most alike it: `(G_NN + ridge) w = g_Nj` over its
    `n_neighbours` nearest N by cosine. With all other items as neighbours this is EASE.

    Args:
        indptr, items, values: the Gram matrix without its diagonal, CSR, items ascending in a row.
        diagonal: float32 (n_items,), its diagonal.

    Returns:
        (neighbours int32, weights float32, counts int32): entries of the items one after the
        other, and how many belong to each; only weights above zero.
    """
    position = np.full(len(diagonal), -1, np.int32)
    found_items = np.empty((high - low) * n_neighbours, np.int32)
    found_weights = np.empty((high - low) * n_neighbours, np.float32)
    counts = np.zeros(high - low, np.int32)
    filled = 0
    for target in range(low, high):
        begin, end = indptr[target], indptr[target + 1]
        if begin == end:
            continue
        unlike = np.empty(end - begin, np.float32)
        for place in range(begin, end):
            scale = diagonal[items[place]] * diagonal[target]
            unlike[place - begin] = -values[place] / np.sqrt(scale)
        nearest = np.arange(end - begin)
        if end - begin > n_neighbours:
            nearest = np.argsort(unlike)[:n_neighbours]
        near = np.sort(items[begin + nearest])
        n_near = len(near)
        gram = np.zeros((n_near, n_near), np.float32)
        right = np.zeros(n_near, np.float32)
        for place in range(n_near):
            position[near[place]] = place
        for place in range(begin, end):
            if position[items[place]] >= 0:
                right[position[items[place]]] = values[place]
        for row in range(n_near):
            item = near[row]
            gram[row, row] = diagonal[item] + ridge
            first, last = indptr[item], indptr[item + 1]
            if last - first > _SEARCH_FACTOR * n_near:
                for column in range(row + 1, n_near):
                    place = first + np.searchsorted(items[first:last], near[column])
                    if place < last and items[place] == near[column]:
                        gram[row, column] = values[place]
                        gram[column, row] = values[place]
            else:
                for place in range(first, last):
                    column = position[items[place]]
                    if column > row:
                        gram[row, column] = values[place]
                        gram[column, row] = values[place]
        for place in range(n_near):
            position[near[place]] = -1
        weights = np.linalg.solve(gram, right)
        for place in range(n_near):
            if weights[place] > 1e-4:
                found_items[filled] = near[place]
                found_weights[filled] = weights[place]
                filled += 1
                counts[target - low] += 1
    return found_items[:filled].copy(), found_weights[:filled].copy(), counts
