"""Entries beside sets of items are counted as a search of every order counts them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.orders import Baskets
from mersalg.training.mining.tallies import Tallies
from tests.support.repetitions import repetitions

ITEM = st.integers(0, 6)


@settings(max_examples=repetitions(50))
@given(
    orders=st.lists(st.frozensets(ITEM, max_size=5), max_size=20),
    sets=st.sets(st.frozensets(ITEM, min_size=2, max_size=4), max_size=12),
)
def test_entries_beside_sets_are_counted(
    orders: list[frozenset[int]], sets: set[frozenset[int]]
) -> None:
    pairs = [(number, item) for number, order in enumerate(orders) for item in order]
    rows, items = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    tallies = Tallies(Baskets.from_pairs(rows, items, len(orders), 7))
    for length in range(2, 5):
        wanted = [sorted(each) for each in sets if len(each) == length]
        table = np.array(wanted, dtype=np.int32).reshape(len(wanted), length)
        expected = [sum(len(order) for order in orders if order >= set(row)) for row in wanted]
        assert tallies.entries_with(table).tolist() == expected
