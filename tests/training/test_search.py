"""The threshold chosen for a shop against counting every pair by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.orders import Baskets
from mersalg.training.mining import search
from mersalg.training.mining.search import affordable_min_count
from tests.support.repetitions import repetitions

ORDERS = st.lists(st.frozensets(st.integers(0, 7), max_size=6), max_size=40)


def baskets_of(orders: list[frozenset[int]]) -> Baskets:
    pairs = [(order, item) for order, items in enumerate(orders) for item in items]
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Baskets.from_pairs(columns[:, 0], columns[:, 1], len(orders), 8)


@given(
    orders=ORDERS,
    at_least=st.integers(1, 6),
    max_length=st.integers(2, 4),
    most_sets=st.integers(0, 20),
)
@settings(max_examples=repetitions(80), deadline=None)
def test_it_is_the_least_count_that_few_enough_sets_reach(
    orders: list[frozenset[int]], at_least: int, max_length: int, most_sets: int
) -> None:
    met = Counter(
        subset
        for items in orders
        for length in range(2, max_length + 1)
        for subset in combinations(sorted(items), length)
    )
    expected = at_least
    while sum(count >= expected for count in met.values()) > most_sets:
        expected += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "MAX_SETS", most_sets)
        found = affordable_min_count(baskets_of(orders), at_least, max_length=max_length)
    assert found == expected


def test_what_an_engine_can_afford_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # 28 pairs and 56 triples stand in at least 4 orders, 6 pairs and 4 triples of them in 7.
    baskets = baskets_of([frozenset(range(8))] * 4 + [frozenset(range(4))] * 3)
    monkeypatch.setattr(search, "MAX_PAIRS", 28)
    monkeypatch.setattr(search, "MAX_SETS", 83)
    assert affordable_min_count(baskets, 2, engine="mlxtend") == 2
    assert affordable_min_count(baskets, 2, engine="local") == 5
    assert affordable_min_count(baskets, 2, engine="local", max_length=2) == 2
    assert affordable_min_count(baskets, 2, engine="spark", max_length=3) == 5
