"""Rules from itemsets, and what their tests are made of, against counting by hand and scipy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from mersalg.engine.arrays import arrays_of
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import Itemsets
from mersalg.training.mining.rules import Ranks, at_least, rules_from_itemsets, upper_tails
from tests.support.repetitions import repetitions

_ROWS = st.lists(st.sets(st.integers(0, 8), max_size=7), min_size=1, max_size=30)


def _baskets(rows: list[set[int]]) -> Baskets:
    orders = np.array([order for order, row in enumerate(rows) for _ in row], dtype=np.int64)
    items = np.array([item for row in rows for item in sorted(row)], dtype=np.int64)
    return Baskets.from_pairs(orders, items, len(rows), 9)


def _random(seed: int = 1, n_orders: int = 20_000, n_items: int = 120) -> Baskets:
    draw = np.random.default_rng(seed)
    orders = np.repeat(np.arange(n_orders), 6)
    items = np.minimum(draw.geometric(5 / n_items, len(orders)), n_items) - 1
    return Baskets.from_pairs(orders, items, n_orders, n_items)


def above(table: RuleTable, confidence: Fraction, lift: Fraction | None = None) -> RuleTable:
    return table.take(np.flatnonzero(at_least(table, confidence, lift)))


@given(rows=_ROWS, min_count=st.integers(1, 4), max_length=st.integers(1, 5))
@settings(max_examples=repetitions(60), deadline=None)
def test_ranks_are_positions(rows: list[set[int]], min_count: int, max_length: int) -> None:
    itemsets = LocalEngine().itemsets(_baskets(rows), min_count, max_length, SilentProgress())
    ranks = Ranks(itemsets)
    for length in range(1, max_length + 1):
        sets, _ = itemsets.of_length(length)
        np.testing.assert_array_equal(ranks.of(sets), np.arange(len(sets)))
        shorter = [tuple(row) for row in ranks.levels[length - 1].tolist()]
        for row, parts in zip(sets.tolist(), ranks.parts(length).tolist(), strict=True):
            without = [tuple(row[:place] + row[place + 1 :]) for place in range(length)]
            assert [shorter[part] for part in parts] == without
    with pytest.raises(ValueError, match="not listed"):
        ranks.of(np.array([[99]], dtype=np.int32))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_pair_of_a_triple_is_reported(missing: int) -> None:
    pairs = np.delete(np.array([[0, 1], [0, 2], [1, 2]], dtype=np.int32), missing, axis=0)
    broken = Itemsets.from_rows(
        [np.array([[0], [1], [2]], dtype=np.int32), pairs, np.array([[0, 1, 2]], dtype=np.int32)],
        [np.array([3, 3, 3]), np.array([2, 2]), np.array([2])],
        n_orders=4,
        min_count=2,
    )
    with pytest.raises(ValueError, match="not listed"):
        rules_from_itemsets(broken)


@pytest.mark.parametrize("confidence", ["1/10", "0.05", "3/20", "1/12", "0.10000000000000000001"])
def test_thresholds_are_compared_in_whole_numbers(confidence: str) -> None:
    baskets = _random()
    itemsets = LocalEngine().itemsets(baskets, 20, 3, SilentProgress())
    every = rules_from_itemsets(itemsets)
    least = Fraction(confidence)
    kept = above(rules_from_itemsets(itemsets), least)
    shares = zip(every.n_joint.tolist(), every.n_antecedent.tolist(), strict=True)
    expected = every.take(np.flatnonzero([Fraction(*share) >= least for share in shares]))
    assert 0 < len(expected) < len(every)
    for ours, theirs in zip(arrays_of(kept).values(), arrays_of(expected).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rules_on_the_threshold_exactly_are_many_and_kept() -> None:
    baskets = _random(2, 4_000, 40)
    itemsets = LocalEngine().itemsets(baskets, 3, 3, SilentProgress())
    for least in (Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)):
        table = above(rules_from_itemsets(itemsets), least)
        on_it = table.n_joint * least.denominator == table.n_antecedent * least.numerator
        higher = least + Fraction(1, 10**12)
        stricter = above(rules_from_itemsets(itemsets), higher)
        assert int(on_it.sum()) > 5
        assert len(stricter) == len(table) - int(on_it.sum())


def test_rules_come_in_canonical_order() -> None:
    itemsets = LocalEngine().itemsets(_random(3, 2_000, 30), 4, 4, SilentProgress())
    table = rules_from_itemsets(itemsets)
    assert set(table.lengths.tolist()) == {1, 2, 3}
    for ours, again in zip(
        arrays_of(table).values(), arrays_of(table.sorted()).values(), strict=True
    ):
        np.testing.assert_array_equal(ours, again)


_TAILS = st.integers(1, 5_000).flatmap(
    lambda total: st.tuples(
        st.just(total),
        st.integers(0, total),
        st.integers(0, total),
        st.integers(0, total),
    )
)


@given(st.lists(_TAILS, min_size=1, max_size=50))
@settings(max_examples=repetitions(100), deadline=None)
def test_tails_are_those_of_scipy(cases: list[tuple[int, int, int, int]]) -> None:
    total, marked, drawn, at_least = np.array(cases, dtype=np.int64).T
    expected = hypergeom.sf(at_least - 1, total, marked, drawn)
    found = upper_tails(at_least, total, marked, drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-290)


def test_tails_of_a_large_shop() -> None:
    draw = np.random.default_rng(6)
    n = 30_000
    total = np.full(n, 2_000_000)
    marked, drawn = (np.rint(10 ** draw.uniform(1, 5.5, n)).astype(np.int64) for _ in range(2))
    mean = marked * drawn / total
    around = np.rint(mean + draw.normal(0, 4, n) * np.sqrt(mean + 1)).astype(np.int64)
    at_least = np.clip(around, 1, np.minimum(marked, drawn))
    found = upper_tails(at_least, total, marked, drawn)
    # More than a thousand tests are shared among the cores, and every one of them is made.
    expected = hypergeom.sf(at_least[::50] - 1, total[::50], marked[::50], drawn[::50])
    np.testing.assert_allclose(found[::50], expected, rtol=1e-7, atol=1e-290)
