"""Exact tests against scipy, the false discovery rate against statsmodels, and nulls."""

from __future__ import annotations

import csv
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import pdtrc
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests

from mersalg.engine.arrays import Ragged
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.tracking.many import q_values
from mersalg.training.mining.local import fullness_of
from mersalg.training.mining.protocol import get_engine
from mersalg.training.mining.rules import (
    Ranks,
    combined_p_values,
    n_hypotheses,
    p_values,
)
from mersalg.training.mining.search import MinedRules, mine_rules
from tests.support.repetitions import repetitions
from tests.support.shared_data import shared_data


def test_poisson_tails_are_those_of_scipy() -> None:
    draw = np.random.default_rng(6)
    mean = np.append(draw.gamma(0.5, 30, 5_000), [0, 1e-300, 1e-12, 700, 1e5, 1e6])
    near = draw.poisson(mean[:5_000]) + draw.integers(-9, 30, 5_000)
    at_least = np.append(near, [3, 1, 1, 650, 100_400, 10**6]).astype(np.int64)
    tails = np.empty(len(mean))
    kernels.poisson_tails(0, len(mean), at_least, mean, tails)
    expected = np.where(at_least > 0, pdtrc(np.maximum(at_least, 1) - 1, mean), 1.0)
    np.testing.assert_allclose(tails, expected, rtol=1e-7, atol=1e-290)


def one_rule(n_joint: int, n_antecedent: int, n_consequent: int, n_orders: int) -> RuleTable:
    return RuleTable(
        Ragged.of_rows([[0]], np.int32),
        np.array([1], dtype=np.int32),
        np.array([n_joint]),
        np.array([n_antecedent]),
        np.array([n_consequent]),
        n_orders,
    )


def mine(baskets: Baskets, min_count: int, max_length: int, **options: object) -> MinedRules:
    return mine_rules(
        baskets,
        get_engine("mlxtend"),
        min_count=min_count,
        max_length=max_length,
        progress=SilentProgress(),
        **options,  # type: ignore[arg-type]
    )


def naively_significant(mined: MinedRules) -> np.ndarray:
    """By Fisher's test against plain independence alone."""
    return (mined.every.lift_lower() > 1) & (q_values(p_values(mined.every), mined.n_tests) < 0.05)


def independent(n_orders: int, shares: np.ndarray, seed: int) -> Baskets:
    """Orders whose items know nothing of each other."""
    held = np.random.default_rng(seed).random((n_orders, len(shares))) < shares
    orders, items = np.nonzero(held)
    return Baskets.from_pairs(orders, items, n_orders, len(shares))


@given(data=st.data())
def test_p_values_are_fishers(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 400))
    n_a, n_c = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    joint = data.draw(st.integers(max(1, n_a + n_c - n), max(1, min(n_a, n_c))))
    if joint < n_a + n_c - n:
        return
    table = [[joint, n_a - joint], [n_c - joint, n - n_a - n_c + joint]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert p_values(one_rule(joint, n_a, n_c, n))[0] == pytest.approx(expected, rel=1e-9)


def test_p_values_hold_far_in_the_tail() -> None:
    n_joint, n_a, n_c, n = 412, 1310, 507, 10_000
    exact = sum(
        comb(n_c, k) * comb(n - n_c, n_a - k) for k in range(n_joint, min(n_a, n_c) + 1)
    ) / comb(n, n_a)
    assert 0 < exact < 1e-250
    assert p_values(one_rule(n_joint, n_a, n_c, n))[0] == pytest.approx(exact, rel=1e-8)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 100))
def test_q_values_are_benjamini_hochberg(p: list[float], n_others: int) -> None:
    values = np.array(p)
    _, adjusted, *_ = multipletests(values, method="fdr_bh")
    np.testing.assert_allclose(q_values(values), adjusted, rtol=1e-12, atol=1e-300)
    padded = np.concatenate([values, np.ones(n_others)])
    _, adjusted, *_ = multipletests(padded, method="fdr_bh")
    found = q_values(values, len(padded))
    np.testing.assert_allclose(found, adjusted[: len(p)], rtol=1e-12, atol=1e-300)


def test_nothing_mined_is_nothing_significant() -> None:
    mined = mine(independent(10, np.full(3, 0.1), 0), 9, 2)
    assert len(mined.every) == len(mined.table) == len(mined.p) == len(mined.q) == 0


def test_the_family_of_tests_is_the_whole_search_space() -> None:
    orders = np.repeat(np.arange(4), 3)
    baskets = Baskets.from_pairs(orders, np.tile(np.arange(3), 4), 4, 5)
    itemsets = mine(baskets, 2, 3).itemsets
    # Three items: 3 * 2 rules of two items, and 3 pairs with the one item outside them.
    assert n_hypotheses(itemsets) == 9
    assert n_hypotheses(mine(baskets, 2, 2).itemsets) == 6


@settings(max_examples=repetitions(5))
@given(st.integers(0, 10_000))
def test_noise_gives_hardly_a_rule(seed: int) -> None:
    # 300 rare items: of 44,850 pairs some meet often by luck alone, and only those are listed.
    baskets = independent(3_000, np.full(300, 0.03), seed)
    mined = mine(baskets, 10, 2)
    assert len(mined.every) > 0
    assert len(mined.table) <= 2


def test_full_and_empty_baskets_make_no_rules_of_three() -> None:
    # Sizes differ much, items are drawn at random: triples look like much and are nothing.
    draw = np.random.default_rng(5)
    sizes = draw.choice([1, 1, 1, 2, 3, 6], 6_000)
    orders = np.repeat(np.arange(len(sizes)), sizes)
    items = np.concatenate([draw.choice(20, size, replace=False) for size in sizes])
    baskets = Baskets.from_pairs(orders, items, len(sizes), 20)
    mined = mine(baskets, 5, 3)
    longer = mined.every.lengths == 2
    naive = naively_significant(mined)
    assert naive[longer].mean() > 0.4
    assert int((mined.table.lengths == 2).sum()) <= 1


def test_a_triple_that_is_more_than_its_parts_is_found() -> None:
    draw = np.random.default_rng(8)
    held = draw.random((4_000, 6)) < 0.2
    both = held[:, 0] & held[:, 1]
    held[both, 2] = draw.random(int(both.sum())) < 0.9
    orders, items = np.nonzero(held)
    mined = mine(Baskets.from_pairs(orders, items, 4_000, 6), 5, 3)
    found = {
        (tuple(mined.table.antecedents[rule].tolist()), int(mined.table.consequent[rule]))
        for rule in range(len(mined.table))
    }
    assert ((0, 1), 2) in found


def test_a_bystander_in_the_antecedent_adds_no_rule() -> None:
    # Item 0 brings item 1; item 2 is in half of all orders and has nothing to do with it.
    draw = np.random.default_rng(9)
    held = draw.random((4_000, 5)) < [0.3, 0.05, 0.5, 0.3, 0.3]
    held[:, 1] |= held[:, 0] & (draw.random(4_000) < 0.6)
    orders, items = np.nonzero(held)
    baskets = Baskets.from_pairs(orders, items, 4_000, 5)
    mined = mine(baskets, 5, 3)
    single = mined.every.lengths == 1
    naive = naively_significant(mined)
    assert naive[~single].any()
    assert (mined.table.lengths == 1).all()
    assert [0] in [mined.table.antecedents[rule].tolist() for rule in range(len(mined.table))]
    p = p_values(mined.every)
    weakest = combined_p_values(
        *(mined.every, p, mined.itemsets, fullness_of(baskets, mined.itemsets)),
        Ranks(mined.itemsets),
    )
    assert (weakest >= p).all()


def test_thresholds_on_measures_do_not_change_certainty() -> None:
    from fractions import Fraction

    draw = np.random.default_rng(3)
    held = draw.random((2_000, 12)) < 0.15
    held[:, 1] |= held[:, 0] & (draw.random(2_000) < 0.5)
    orders, items = np.nonzero(held)
    baskets = Baskets.from_pairs(orders, items, 2_000, 12)
    free = mine(baskets, 5, 2, all_rules=True)
    strict = mine(baskets, 5, 2, all_rules=True, min_confidence=Fraction("0.2"))
    assert 0 < len(strict.table) < len(free.table)
    kept = free.table.confidence() >= 0.2
    np.testing.assert_array_equal(strict.q, free.q[kept])


def _pizza_orders() -> list[set[str]]:
    orders: dict[str, set[str]] = {}
    with (shared_data("pizzaplace_great_tables") / "05-pizzaplace.csv").open() as file:
        for row in csv.DictReader(file):
            orders.setdefault(row["id"], set()).add(row["name"])
    return list(orders.values())


@pytest.mark.realdata
@pytest.mark.parametrize("max_length", [2, 3])
def test_pizza_orders_are_a_null(max_length: int) -> None:
    orders = [order for order in _pizza_orders() if len(order) > 1]
    ids = {name: place for place, name in enumerate(sorted(set().union(*orders)))}
    pairs = [(number, ids[name]) for number, order in enumerate(orders) for name in order]
    rows, items = np.array(pairs).T
    baskets = Baskets.from_pairs(rows, items, len(orders), len(ids))
    mined = mine(baskets, 5, max_length)
    assert int((mined.every.lengths == 1).sum()) == 2 * 496
    assert len(mined.table) <= 1
