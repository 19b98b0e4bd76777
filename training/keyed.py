"""Arrays filed by integer key: grouping, adding up and looking up.

A batch of carts is worked on at once; what belongs to one cart and one item has the key
`cart * n_items + item`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int64s


def distinct(keys: Int64s) -> Int64s:
    """Return the values of `keys`, each once, ascending."""
    # NumPy's `unique` hashes integers, which takes ten times as long on millions of keys.
    ranked = np.sort(keys)
    if not len(ranked):
        return ranked
    return ranked[np.append(True, ranked[1:] != ranked[:-1])]


def least_by_key(keys: Int64s, values: NDArray[np.floating]) -> tuple[Int64s, Float32s]:
    """Return the distinct keys, ascending, and the least value of each."""
    order = np.argsort(keys)
    ranked = keys[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)])
    if not len(starts):
        return ranked, np.zeros(0, dtype=np.float32)
    return ranked[starts], np.minimum.reduceat(values[order].astype(np.float32), starts)


def look_up(keys: Int64s, wanted: Int64s) -> tuple[Int64s, Bools]:
    """Place of each of `wanted` in the ascending `keys`, and whether it is there; else place 0."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    index = np.searchsorted(keys, wanted)
    index[index == len(keys)] = 0
    return index, keys[index] == wanted


def rank_by_key(keys: Int64s, *by: NDArray[Any]) -> Int64s:
    """Return the place of each entry among those of its key, ordered by `by`."""
    order = np.lexsort((*reversed(by), keys))
    ranked = keys[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(keys)])
    rank = np.empty(len(keys), dtype=np.int64)
    rank[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(starts, append=len(keys)))
    return rank


def medians_of(group: NDArray[np.integer[Any]], values: Int64s, n_groups: int) -> Float64s:
    """Return the median of the values of each group, NaN where it has none; (n_groups,)."""
    by_group = pd.Series(values).groupby(group)
    return by_group.median().reindex(range(n_groups)).to_numpy(dtype=np.float64)
