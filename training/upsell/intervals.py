"""K-means of one dimension, exactly: the best cut of ascending numbers into intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.mining.compiled import compiled


@compiled
def best_cuts(
    values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # pragma: no cover - compiled
    """For each number of clusters k = 1..`most`: the first index of every cluster, and what it
    leaves unexplained.

    Dynamic programming over prefixes (Wang and Song 2011, Ckmeans.1d.dp), O(most * n^2).

    Args:
        values: float64 (n,), ascending.

    Returns:
        int64 (most, most), row k - 1 holds k starts, and float64 (most,), sums of squares.
    """
    n = len(values)
    total, squares = np.zeros(n + 1), np.zeros(n + 1)
    middle = values.mean() if n else 0.0
    for place in range(n):
        centred = values[place] - middle
        total[place + 1] = total[place] + centred
        squares[place + 1] = squares[place] + centred * centred
    cost = np.full((most, n + 1), np.inf)
    first = np.zeros((most, n + 1), dtype=np.int64)
    for end in range(1, n + 1):
        cost[0, end] = squares[end] - total[end] * total[end] / end
    for k in range(1, most):
        for end in range(k + 1, n + 1):
            for start in range(end - 1, k - 1, -1):
                inside = total[end] - total[start]
                own = squares[end] - squares[start] - inside * inside / (end - start)
                whole = own + cost[k - 1, start]
                if whole < cost[k, end]:
                    cost[k, end] = whole
                    first[k, end] = start
                if own > cost[k, end]:
                    break
    starts = np.zeros((most, most), dtype=np.int64)
    for k in range(most):
        end = n
        for cluster in range(k, 0, -1):
            end = first[cluster, end]
            starts[k, cluster] = end
    return starts, np.maximum(cost[:, n], 0.0)


def labels_of(starts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Number of the interval of each of `n` ascending values; shape (n,)."""
    return np.searchsorted(starts, np.arange(n), side="right") - 1


@compiled
def agreement(
    values: NDArray[np.float64], moves: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Share of values that keep their cluster when moved and clustered anew, by number of clusters.

    Args:
        values: float64 (n,), ascending.
        moves: float64 (draws, n), what is added to each.
        starts: those of `best_cuts(values, most)`.

    Returns:
        float64 (most,), the mean over draws.
    """
    most, n = len(starts), len(values)
    before = np.zeros((most, n), dtype=np.int64)
    for k in range(most):
        for cluster in range(1, k + 1):
            before[k, starts[k, cluster] :] += 1
    kept = np.zeros(most)
    for draw in range(len(moves)):
        moved = values + moves[draw]
        order = np.argsort(moved, kind="mergesort")
        anew = best_cuts(moved[order], most)[0]
        for k in range(most):
            cluster = 0
            same = 0
            for place in range(n):
                while cluster < k and anew[k, cluster + 1] <= place:
                    cluster += 1
                same += before[k, order[place]] == cluster
            kept[k] += same / n / len(moves)
    return kept
