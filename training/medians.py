"""Medians of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def medians_of(
    group: NDArray[np.integer[Any]], values: NDArray[np.int64], n_groups: int
) -> NDArray[np.float64]:
    """Return the median of the values of each group, NaN where it has none; (n_groups,)."""
    n = len(values)
    rising = np.argsort(values)
    # Group and rank as one number: two plain sorts, and no product that could overflow.
    both = np.sort(group[rising].astype(np.int64) * n + np.arange(n))
    start = np.searchsorted(both, np.arange(n_groups + 1, dtype=np.int64) * n)
    size, first = np.diff(start), start[:-1]
    some = np.flatnonzero(size)
    medians = np.full(n_groups, np.nan)
    low, high = (
        values[rising[both[first[some] + middle] % n]].astype(np.float64)
        for middle in ((size[some] - 1) // 2, size[some] // 2)
    )
    medians[some] = low + (high - low) / 2
    return medians
