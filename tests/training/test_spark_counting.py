"""Itemsets counted on Spark against the local engine, against counting by hand, and published."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import Itemsets, min_count_of_support
from mersalg.training.mining.rules import at_least, rules_from_itemsets
from mersalg.training.mining.spark.engine import SparkEngine, mine_source
from tests.support.shared_data import shared_data

pytestmark = [
    pytest.mark.spark,
    pytest.mark.usefixtures("spark"),
]


def _baskets(orders: list[set[int]], n_items: int) -> Baskets:
    numbers = np.array([number for number, order in enumerate(orders) for _ in order])
    items = np.array([item for order in orders for item in order], dtype=np.int64)
    return Baskets.from_pairs(numbers.astype(np.int64), items, len(orders), n_items)


def _drawn(seed: int, n_orders: int, n_items: int, n_lines: int) -> Baskets:
    draw = np.random.default_rng(seed)
    orders = draw.integers(0, n_orders, n_lines)
    items = np.minimum(draw.geometric(3 / n_items, n_lines) - 1, n_items - 1)
    return Baskets.from_pairs(orders, items, n_orders, n_items)


def _assert_equal(found: Itemsets, expected: Itemsets) -> None:
    assert (found.n_orders, found.min_count) == (expected.n_orders, expected.min_count)
    assert found.max_length == expected.max_length
    for length in range(1, expected.max_length + 1):
        for ours, theirs in zip(found.of_length(length), expected.of_length(length), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("seed", "n_orders", "n_items", "n_lines", "min_count", "max_length"),
    [(1, 300, 30, 2_400, 4, 4), (2, 2_000, 400, 9_000, 3, 3), (3, 500, 12, 3_000, 20, 5)],
)
def test_spark_counts_as_the_local_engine_does(
    seed: int, n_orders: int, n_items: int, n_lines: int, min_count: int, max_length: int
) -> None:
    baskets = _drawn(seed, n_orders, n_items, n_lines)
    expected = LocalEngine().itemsets(baskets, min_count, max_length, SilentProgress())
    assert len(expected.counts[-1])
    found = SparkEngine().itemsets(baskets, min_count, max_length, SilentProgress())
    _assert_equal(found, expected)


def test_spark_counts_as_a_hand_does() -> None:
    orders = [{0, 1, 2}, {0, 1}, {1, 2, 3}, {0, 1, 2, 3}, set(), {4}, {0, 2}]
    mined = SparkEngine().itemsets(_baskets(orders, 5), 2, 3, SilentProgress())
    counts = Counter(
        subset
        for order in orders
        for length in (1, 2, 3)
        for subset in combinations(sorted(order), length)
    )
    found = {
        tuple(row): count
        for rows, level in zip(mined.items, mined.counts, strict=True)
        for row, count in zip(rows.tolist(), level.tolist(), strict=True)
    }
    assert found == {subset: count for subset, count in counts.items() if count >= 2}


def test_nothing_frequent_is_no_error() -> None:
    for orders in ([set()], [{0}, {1}], [{0, 1}], [{0, 1}, {0, 2}]):
        mined = SparkEngine().itemsets(_baskets(orders, 3), 2, 4, SilentProgress())
        assert [len(level) for level in mined.counts[1:]] == [0, 0, 0]
        assert mined.max_length == 4


def test_a_huge_basket_is_counted() -> None:
    """Three million pairs in one basket; few of them are frequent."""
    n_items = 2_500
    draw = np.random.default_rng(4)
    small = [set(draw.integers(0, n_items, 6).tolist()) for _ in range(2_000)]
    # Every item is frequent, so that nothing of the huge basket is filtered away.
    every = [{item, (item + 1) % n_items, (item + 2) % n_items} for item in range(n_items)]
    baskets = _baskets([set(range(n_items)), *small, *every], n_items)
    expected = LocalEngine().itemsets(baskets, 3, 3, SilentProgress())
    assert min(map(len, expected.counts)) > 0
    _assert_equal(SparkEngine().itemsets(baskets, 3, 3, SilentProgress()), expected)


@pytest.mark.realdata
def test_groceries_gives_the_published_numbers() -> None:
    source = str(shared_data("groceries") / "groceries.csv")
    mined = mine_source(
        source, min_support=Fraction("0.001"), max_length=10, progress=SilentProgress()
    )
    n_orders = mined.itemsets.n_orders
    assert (n_orders, mined.n_items, mined.fullness.n_entries) == (9_835, 169, 43_367)
    table = rules_from_itemsets(mined.itemsets)

    def n_rules(support: str, confidence: str) -> int:
        frequent = table.n_joint >= min_count_of_support(Fraction(support), n_orders)
        sure = at_least(table, Fraction(confidence), None)
        return int((frequent & sure).sum())

    assert n_rules("0.001", "0.8") == 410
    assert n_rules("0.01", "0.5") == 15
    assert n_rules("0.006", "0.25") == 463
