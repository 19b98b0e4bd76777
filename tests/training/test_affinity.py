"""Popularity, pairs that keep apart, and families that substitute or go together."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged
from mersalg.engine.cross_sell.rules import Affinity
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.affinity import (
    build_affinity,
    exclusive_pairs,
    family_excludes,
    size_adjusted,
)
from mersalg.training.mining.protocol import get_engine
from mersalg.training.reading.catalogue_file import catalogue_of_ids
from tests.support.repetitions import repetitions
from tests.support.shared_data import shared_data


def no_ladders(n_items: int) -> Ladders:
    none = np.full(n_items, -1)
    return Ladders(
        none.astype(np.int32),
        none.astype(np.int16),
        Ragged.empty(0, np.int32),
    )


def one_ladder(members: list[int], n_items: int) -> Ladders:
    family, tier = np.full(n_items, -1, dtype=np.int32), np.full(n_items, -1, dtype=np.int16)
    family[members], tier[members] = 0, np.arange(len(members))
    return Ladders(family, tier, Ragged.of_rows([members], np.int32))


def from_table(held: np.ndarray) -> Baskets:
    orders, items = np.nonzero(held)
    return Baskets.from_pairs(orders, items, *held.shape)


def affinity_of(baskets: Baskets, min_count: int = 5) -> Affinity:
    itemsets = get_engine("mlxtend").itemsets(baskets, min_count, 2, SilentProgress())
    repelled = exclusive_pairs(baskets, itemsets).at_most(1.0)
    catalogue = catalogue_of_ids(
        pa.array(map(str, range(baskets.n_items)), pa.large_string()), "NOK"
    )
    return build_affinity(baskets, repelled, no_ladders(baskets.n_items), catalogue)


def repelled_pairs(affinity: Affinity) -> set[tuple[int, int]]:
    return {
        (item, int(other))
        for item in range(len(affinity.n_orders_of_item))
        for other in affinity.repelled[item]
    }


def test_popularity_counts_orders_and_those_with_company() -> None:
    baskets = Baskets.from_pairs(np.array([0, 1, 1, 2, 2, 2]), np.array([0, 0, 1, 0, 1, 2]), 4, 4)
    affinity = affinity_of(baskets, 1)
    assert affinity.n_orders_of_item.tolist() == [3, 2, 1, 0]
    assert affinity.n_added_of_item.tolist() == [2, 2, 1, 0]
    assert affinity.n_orders == 4


def test_popular_items_that_never_meet_keep_apart() -> None:
    held = np.random.default_rng(1).random((1_000, 6)) < 0.4
    held[:, 1] &= ~held[:, 0]
    pairs = repelled_pairs(affinity_of(from_table(held)))
    assert {(0, 1), (1, 0)} <= pairs
    # Barred from each other's orders, the two make room for others, but nothing else keeps apart.
    assert all({0, 1} == set(pair) for pair in pairs)


def test_rare_items_that_never_meet_say_nothing() -> None:
    held = np.zeros((1_000, 3), dtype=np.bool_)
    held[:50, 0], held[50:100, 1], held[:, 2] = True, True, True
    # Chance promises 2.5 orders with both; none is no surprise worth acting on.
    assert repelled_pairs(affinity_of(from_table(held))) == set()


def test_single_item_orders_alone_repel_nobody() -> None:
    # Eight of ten orders hold one item, so the lift of every pair is far below 1.
    draw = np.random.default_rng(3)
    sizes = np.where(draw.random(5_000) < 0.8, 1, 2)
    orders = np.repeat(np.arange(5_000), sizes)
    items = np.concatenate([draw.choice(10, size, replace=False) for size in sizes])
    baskets = Baskets.from_pairs(orders, items, 5_000, 10)
    assert len(repelled_pairs(affinity_of(baskets))) <= 2


@given(st.integers(0, 1_000))
@settings(max_examples=repetitions(10))
def test_repulsion_is_mutual_sorted_and_never_of_oneself(seed: int) -> None:
    draw = np.random.default_rng(seed)
    held = draw.random((400, 8)) < draw.uniform(0.1, 0.6, 8)
    held[:, 3] &= ~held[:, 4] | (draw.random(400) < 0.3)
    affinity = affinity_of(from_table(held))
    pairs = repelled_pairs(affinity)
    assert {(right, left) for left, right in pairs} == pairs
    assert all(left != right for left, right in pairs)
    for item in range(8):
        row = affinity.repelled[item].tolist()
        assert row == sorted(set(row))


def test_expected_pairs_add_up_to_those_there_are() -> None:
    held = np.random.default_rng(6).random((500, 9)) < 0.3
    baskets = from_table(held)
    share, scale = size_adjusted(baskets)
    expected = scale * np.outer(share, share)
    sizes = held.sum(axis=1)
    assert expected[np.triu_indices(9, 1)].sum() == pytest.approx((sizes * (sizes - 1) / 2).sum())


def _room_and_extras(seed: int) -> np.ndarray:
    """Columns 0-2: one room an order. 3-5: extras, each in 40% of the orders. 6-7: hardly sold."""
    draw = np.random.default_rng(seed)
    held = np.zeros((2_000, 8), dtype=np.bool_)
    held[np.arange(2_000), draw.integers(0, 3, 2_000)] = True
    held[:, 3:6] = draw.random((2_000, 3)) < 0.4
    held[:3, 6:] = True
    return held


@pytest.mark.parametrize(
    ("members", "excludes"),
    [
        ([0, 1, 2], True),  # nobody takes two rooms
        ([3, 4, 5], False),  # extras are taken together
        ([6, 7], True),  # three orders prove nothing
    ],
)
def test_families_exclude_unless_they_clearly_go_together(
    members: list[int], excludes: bool
) -> None:
    baskets = from_table(_room_and_extras(4))
    assert family_excludes(baskets, one_ladder(members, 8)).tolist() == [excludes]


def test_full_baskets_alone_do_not_make_a_family_go_together() -> None:
    # Sizes 1 and 12 of 30 items at random: plain lift is high for every pair, adjusted is 1.
    draw = np.random.default_rng(2)
    sizes = draw.choice([1, 1, 1, 12], 1_500)
    orders = np.repeat(np.arange(1_500), sizes)
    items = np.concatenate([draw.choice(30, size, replace=False) for size in sizes])
    baskets = Baskets.from_pairs(orders, items, 1_500, 30)
    counts = baskets.item_counts()
    together = sum(1 for order in range(1_500) if {0, 1} <= set(baskets[order].tolist()))
    assert together * 1_500 / (counts[0] * counts[1]) > 1.5
    assert family_excludes(baskets, one_ladder([0, 1, 2, 3], 30)).tolist() == [True]


def test_no_ladders_no_exclusion() -> None:
    assert family_excludes(from_table(np.ones((3, 2), dtype=np.bool_)), no_ladders(2)).size == 0


@pytest.mark.realdata
def test_bread_repels_coffee() -> None:
    orders: dict[str, set[str]] = {}
    with (shared_data("breadbasket") / "BreadBasket_DMS.csv").open() as file:
        for row in csv.DictReader(file):
            if row["Item"] != "NONE":
                orders.setdefault(row["Transaction"], set()).add(row["Item"])
    ids = {name: place for place, name in enumerate(sorted(set().union(*orders.values())))}
    pairs = [(number, ids[name]) for number, o in enumerate(orders.values()) for name in o]
    rows, items = np.array(pairs).T
    affinity = affinity_of(Baskets.from_pairs(rows, items, len(orders), len(ids)))
    repelled = repelled_pairs(affinity)
    assert (ids["Bread"], ids["Coffee"]) in repelled
    assert (ids["Toast"], ids["Coffee"]) not in repelled
