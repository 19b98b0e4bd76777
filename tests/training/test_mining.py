"""Itemsets and rules against brute force, exact thresholds, and published numbers."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from fractions import Fraction
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.config import EngineName
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import ConfigError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.protocol import (
    Itemsets,
    default_min_count,
    get_engine,
    min_count_of_support,
)
from mersalg.training.mining.rules import at_least, parse_threshold, rules_from_itemsets
from mersalg.training.mining.search import mine_rules
from tests.support.repetitions import repetitions
from tests.support.shared_data import shared_data

ENGINES = ("local", "mlxtend")
"""The engines of one machine; the one on a cluster has tests of its own."""
N_ITEMS = 7
SETS = st.lists(st.sets(st.integers(0, N_ITEMS - 1), max_size=6), min_size=1, max_size=25)


def baskets_of(orders: list[set[int]], n_items: int = N_ITEMS) -> Baskets:
    pairs = [(number, item) for number, order in enumerate(orders) for item in order]
    rows = np.array([row for row, _ in pairs], dtype=np.int64)
    items = np.array([item for _, item in pairs], dtype=np.int64)
    return Baskets.from_pairs(rows, items, len(orders), n_items)


def above(table: RuleTable, confidence: Fraction, lift: Fraction | None = None) -> RuleTable:
    return table.take(np.flatnonzero(at_least(table, confidence, lift)))


def counted(orders: list[set[int]], min_count: int, max_length: int) -> dict[tuple[int, ...], int]:
    """Brute force: every subset of every order, counted."""
    counts = Counter(
        subset
        for order in orders
        for length in range(1, max_length + 1)
        for subset in combinations(sorted(order), length)
    )
    return {subset: count for subset, count in counts.items() if count >= min_count}


def as_dict(itemsets: Itemsets) -> dict[tuple[int, ...], int]:
    return {
        tuple(row): count
        for rows, counts in zip(itemsets.items, itemsets.counts, strict=True)
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True)
    }


def rules_of(table: RuleTable) -> dict[tuple[tuple[int, ...], int], tuple[int, int, int]]:
    return {
        (tuple(table.antecedents[rule].tolist()), int(table.consequent[rule])): (
            int(table.n_joint[rule]),
            int(table.n_antecedent[rule]),
            int(table.n_consequent[rule]),
        )
        for rule in range(len(table))
    }


@pytest.mark.parametrize("name", ENGINES)
@given(orders=SETS, min_count=st.integers(1, 5), max_length=st.integers(1, 5))
@settings(max_examples=repetitions(60))
def test_every_engine_counts_as_brute_force_does(
    name: str, orders: list[set[int]], min_count: int, max_length: int
) -> None:
    mined = get_engine(name).itemsets(baskets_of(orders), min_count, max_length, SilentProgress())
    assert as_dict(mined) == counted(orders, min_count, max_length)
    assert mined.max_length == max_length
    for length, (rows, counts) in enumerate(zip(mined.items, mined.counts, strict=True), 1):
        assert rows.dtype == np.int32
        assert counts.dtype == np.int64
        assert rows.shape == (len(counts), length)
        assert rows.tolist() == sorted(sorted(row) for row in rows.tolist())


@pytest.mark.parametrize("name", ENGINES)
def test_engines_take_orders_without_anything_frequent(name: str) -> None:
    engine = get_engine(name)
    for orders in ([set()], [{0}, {1}], [{0, 1}]):
        mined = engine.itemsets(baskets_of(orders), 2, 3, SilentProgress())
        assert as_dict(mined) == {}
    assert len(rules_from_itemsets(mined)) == 0


@pytest.mark.parametrize("name", ENGINES)
def test_engines_leave_the_process_warning_filters_alone(name: str) -> None:
    before = list(warnings.filters)
    get_engine(name).itemsets(baskets_of([{0, 1}] * 3), 2, 2, SilentProgress())
    assert warnings.filters == before


@given(
    orders=SETS,
    min_count=st.integers(1, 3),
    confidence=st.sampled_from(["0.1", "0.25", "1/3", "0.5", "0.7", "1"]),
    lift=st.sampled_from([None, "0.5", "1", "1.2", "7/5"]),
)
@settings(max_examples=repetitions(60))
def test_rules_are_all_and_only_those_above_the_thresholds(
    orders: list[set[int]], min_count: int, confidence: str, lift: str | None
) -> None:
    itemsets = get_engine("mlxtend").itemsets(baskets_of(orders), min_count, 4, SilentProgress())
    least_lift = Fraction(lift) if lift else None
    table = above(rules_from_itemsets(itemsets), Fraction(confidence), least_lift)
    counts = counted(orders, min_count, 4)
    expected = {}
    for items, joint in counts.items():
        for consequent in items if len(items) > 1 else ():
            antecedent = tuple(item for item in items if item != consequent)
            n_a, n_c = counts[antecedent], counts[(consequent,)]
            if Fraction(joint, n_a) < Fraction(confidence):
                continue
            if least_lift and Fraction(joint * len(orders), n_a * n_c) < least_lift:
                continue
            expected[antecedent, consequent] = (joint, n_a, n_c)
    assert rules_of(table) == expected
    assert [lengths for lengths in table.lengths.tolist() if lengths < 1] == []
    again = table.sorted()
    assert again.consequent.tolist() == table.consequent.tolist()


def test_a_rule_exactly_on_a_threshold_is_kept() -> None:
    # 7 of 10 orders with item 0 hold item 1; 0.7 has no exact float.
    orders = [{0, 1}] * 7 + [{0}] * 3
    itemsets = get_engine("mlxtend").itemsets(baskets_of(orders), 1, 2, SilentProgress())
    assert len(above(rules_from_itemsets(itemsets), Fraction("0.7"))) == 2
    higher = Fraction("0.70000000000000000001")
    assert list(rules_of(above(rules_from_itemsets(itemsets), higher))) == [((1,), 0)]


def test_rules_refuse_itemsets_that_are_not_closed() -> None:
    broken = Itemsets.from_rows(
        [np.array([[0]], dtype=np.int32), np.array([[0, 1]], dtype=np.int32)],
        [np.array([3]), np.array([2])],
        n_orders=4,
        min_count=2,
    )
    with pytest.raises(ValueError, match="not listed"):
        rules_from_itemsets(broken)


@pytest.mark.parametrize(
    ("support", "n_orders", "count"),
    [("0.07", 100, 7), ("0.001", 9835, 10), ("1", 5, 5), ("1e-9", 100, 1), ("1/3", 10, 4)],
)
def test_support_becomes_the_exact_integer_count(support: str, n_orders: int, count: int) -> None:
    assert min_count_of_support(Fraction(support), n_orders) == count


def test_default_min_count_suits_small_and_large_shops() -> None:
    assert [default_min_count(n) for n in (0, 300, 16_667, 155_848)] == [5, 5, 6, 47]


@pytest.mark.parametrize(
    "text", ["", "a", "-0.1", "1.01", "1/0", "nan", "inf", "1e-99999999", f"1e-{'9' * 20}"]
)
def test_thresholds_that_are_no_share_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--min-confidence"):
        parse_threshold(text, name="--min-confidence", at_most=Fraction(1))


def test_thresholds_are_read_exactly() -> None:
    assert parse_threshold("0.1", name="x") == Fraction(1, 10)
    assert parse_threshold("2.5e-1", name="x") == Fraction(1, 4)
    assert parse_threshold("3", name="x") == 3
    assert parse_threshold("0", name="x") == 0, "a script's word for none"
    assert parse_threshold("1e-400", name="x") == Fraction(1, 10**400)


def test_the_shop_file_knows_the_same_engines() -> None:
    assert [get_engine(name).name for name in get_args(EngineName)] == [*ENGINES, "spark"]


def test_an_unknown_engine_is_distinguished() -> None:
    with pytest.raises(ConfigError, match="there is: local, mlxtend, spark"):
        get_engine("spork")


@pytest.mark.realdata
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("support", "confidence", "n_rules"),
    [("0.001", "0.8", 410), ("0.01", "0.5", 15), ("0.006", "0.25", 463)],
)
def test_groceries_gives_the_published_numbers(
    name: str, support: str, confidence: str, n_rules: int
) -> None:
    with (shared_data("groceries") / "groceries.csv").open(newline="") as file:
        rows = [[text.strip() for text in row] for row in csv.reader(file)]
    ids = {text: place for place, text in enumerate(sorted({x for row in rows for x in row}))}
    baskets = baskets_of([{ids[text] for text in row} for row in rows], len(ids))
    assert (baskets.n_orders, baskets.n_items) == (9835, 169)
    mined = mine_rules(
        baskets,
        get_engine(name),
        min_count=min_count_of_support(Fraction(support), baskets.n_orders),
        max_length=10,
        all_rules=True,
        min_confidence=Fraction(confidence),
        progress=SilentProgress(),
    )
    assert len(mined.table) == n_rules
    assert len(mined.p) == len(mined.q) == n_rules
