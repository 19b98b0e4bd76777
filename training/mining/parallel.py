"""Work of compiled kernels, which need no interpreter, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_PARTS_A_THREAD = 4
_WORTH_A_THREAD = 10_000


def in_ranges(work: NDArray[np.integer], do: Callable[[int, int], object]) -> None:
    """Call `do(low, high)` for ranges that cover all of `work`, with about as much in each.

    Args:
        work: (n,), above 0; how long each place takes.
        do: must release the interpreter's lock to gain anything, and write to its range alone.
    """
    ends = np.cumsum(work, dtype=np.int64)
    if len(ends) == 0:
        return
    n_threads = os.cpu_count() or 1
    if n_threads == 1 or ends[-1] < _WORTH_A_THREAD:
        do(0, len(ends))
        return
    cuts = np.linspace(0, ends[-1], _PARTS_A_THREAD * n_threads + 1)[1:-1]
    bounds = sorted({0, len(ends), *np.searchsorted(ends, cuts).tolist()})
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mersalg-mining") as threads:
        list(threads.map(lambda bound: do(*bound), pairwise(bounds)))
