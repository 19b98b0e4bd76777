"""The threshold chosen for a shop against counting every pair by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.orders import Baskets
from training.mining.effort import affordable_min_count

ORDERS = st.lists(st.frozensets(st.integers(0, 7), max_size=6), max_size=40)


def baskets_of(orders: list[frozenset[int]]) -> Baskets:
    pairs = [(order, item) for order, items in enumerate(orders) for item in items]
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Baskets.from_pairs(columns[:, 0], columns[:, 1], len(orders), 8)


@given(orders=ORDERS, at_least=st.integers(1, 6), most_pairs=st.integers(0, 12))
def test_it_is_the_least_count_that_few_enough_pairs_reach(
    orders: list[frozenset[int]], at_least: int, most_pairs: int
) -> None:
    met = Counter(pair for items in orders for pair in combinations(sorted(items), 2))
    expected = at_least
    while sum(count >= expected for count in met.values()) > most_pairs:
        expected += 1
    assert affordable_min_count(baskets_of(orders), at_least, most_pairs) == expected
