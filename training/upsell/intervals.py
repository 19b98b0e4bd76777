"""K-means of one dimension, exactly: the best cut of ascending numbers into intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.native import kernels


def best_cuts(
    values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the first index of every cluster, and what is left unexplained, for k = 1..`most`.

    Parameters
    ----------
    values : float64 (n,)
        Ascending.

    Returns
    -------
    int64 (most, most), row k - 1 holds k starts, and float64 (most,), sums of squares.
    """
    starts, left = np.empty((most, most), dtype=np.int64), np.empty(most)
    kernels.best_cuts(np.ascontiguousarray(values, dtype=np.float64), starts, left)
    return starts, left


def labels_of(starts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the number of the interval of each of `n` ascending values; shape (n,)."""
    return np.searchsorted(starts, np.arange(n), side="right") - 1


def agreement(
    values: NDArray[np.float64], moves: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of values that keep their cluster when moved and clustered anew.

    Parameters
    ----------
    values : float64 (n,)
        Ascending.
    moves : float64 (draws, n)
        What is added to each.
    starts
        Those of `best_cuts(values, most)`.

    Returns
    -------
    float64 (most,), the mean over draws, by number of clusters.
    """
    moved = values + moves
    order = np.argsort(moved, axis=1, kind="stable")
    kept = np.zeros(len(starts))
    moved = np.take_along_axis(moved, order, axis=1)
    kernels.agreement(moved, order, starts, np.empty_like(starts), kept)
    return kept
