"""The few highest of many scores, by the compiled kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.native.library import address_of, counted, library

_MOST = 256
"""Each new one is put in its place among those found, so that they had better be few."""


def highest(scores: NDArray[np.float64], limit: int) -> NDArray[np.int64] | None:
    """Positions of the `limit` highest, highest first; ties by position.

    None where NumPy has to sort: where many are wanted.
    """
    if not 0 < limit <= _MOST:
        return None
    scores, places = np.ascontiguousarray(scores, dtype=np.float64), np.empty(limit, np.int64)
    kernel = library().functions.mersalg_highest
    n = counted(kernel(address_of(scores), len(scores), limit, address_of(places)))
    return places[:n]
