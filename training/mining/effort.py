"""How low a threshold may be before mining takes longer, or more room, than a training should."""

from __future__ import annotations

import numpy as np

from engine.orders import Baskets
from training.mining.local import LocalEngine

MOST_PAIRS = 30_000
"""Frequent pairs a default threshold lets by for mlxtend: about ten seconds of FP-growth."""
MOST_SETS = 400_000
"""Frequent sets of two and more items for the other engines: about a million rules to test."""


def affordable_min_count(
    baskets: Baskets, at_least: int, *, engine: str = "local", max_length: int = 3
) -> int:
    """The least count, not below `at_least`, that no more sets reach than `engine` should bring.

    mlxtend's sets are those of two items, since what it takes goes by their number.
    """
    if engine == "mlxtend":
        return least_count(baskets, at_least, 2, MOST_PAIRS)
    return least_count(baskets, at_least, max_length, MOST_SETS)


def least_count(baskets: Baskets, at_least: int, max_length: int, most_sets: int) -> int:
    """The least count, not below `at_least`, that at most `most_sets` sets of items reach.

    Sets of 2..`max_length` items are counted exactly and only their counts are kept.
    """
    sets_of_count = LocalEngine().sets_of_count(baskets, at_least, max_length)
    reaching = np.cumsum(sets_of_count[::-1])[::-1]
    few_enough = np.flatnonzero(reaching <= most_sets)
    return max(at_least, int(few_enough[0]) if len(few_enough) else len(reaching))
