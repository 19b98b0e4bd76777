"""The back-test: what is hidden, how each ranker ranks, and what is counted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.config import load_config
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.evaluation import (
    HitRate,
    back_test,
    by_family,
    plain_rules,
    upsell_coverage,
)
from mersalg.training.mining.protocol import get_engine
from mersalg.training.mining.rules import rules_from_itemsets
from mersalg.training.ranking.ranker import Examples, hide_one
from mersalg.training.reading.dataset import load_dataset
from tests.support.habit_shop import write_habit_shop
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, tiny_model
from tests.support.small_shop import write_small_shop

N_ITEMS = 8
ORDERS = st.lists(st.sets(st.integers(0, N_ITEMS - 1)), min_size=1, max_size=20)


def baskets_of(orders: list[set[int]]) -> Baskets:
    pairs = [(number, item) for number, order in enumerate(orders) for item in order]
    rows = np.array([row for row, _ in pairs], dtype=np.int64)
    items = np.array([item for _, item in pairs], dtype=np.int64)
    return Baskets.from_pairs(rows, items, len(orders), N_ITEMS)


def rules_for(orders: list[set[int]], max_length: int = 3) -> RuleTable:
    mined = get_engine("mlxtend").itemsets(baskets_of(orders), 1, max_length, SilentProgress())
    return rules_from_itemsets(mined)


@given(ORDERS, st.sets(st.integers(0, N_ITEMS - 1)), st.integers(1, 30))
def test_one_known_item_of_each_drawn_basket_is_hidden(
    orders: list[set[int]], unknown: set[int], n_samples: int
) -> None:
    known = np.array([item not in unknown for item in range(N_ITEMS)])
    examples = _hidden_in(orders, known, n_samples)
    whole = [order - unknown for order in orders if len(order - unknown) >= 2]
    assert examples.n_eligible == len(whole)
    assert len(examples) == min(n_samples, examples.n_eligible)
    for place, item in enumerate(examples.hidden.tolist()):
        cart = set(examples.carts_of(slice(place, place + 1)).values.tolist())
        assert item not in cart
        assert {*cart, item} in whole
    assert _hidden_in(orders, known, n_samples).hidden.tolist() == examples.hidden.tolist()


def _hidden_in(orders: list[set[int]], known: np.ndarray, n_samples: int) -> Examples:
    nobody = np.full(len(orders), -1, dtype=np.int64)
    later = SimpleNamespace(baskets=baskets_of(orders), customer=nobody, ordered_at=nobody)
    return hide_one(later, known, n_samples, np.zeros(0, dtype=np.int64))


@given(ORDERS, st.sets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=4))
def test_plain_rules_rank_by_their_best_conviction(orders: list[set[int]], cart: set[int]) -> None:
    held = np.array([sum(item in order for order in orders) for item in range(N_ITEMS)])
    rank = plain_rules(rules_for(orders, 2), held)
    ranked = rank(np.array(sorted(cart), dtype=np.int32)).tolist()
    best: dict[int, float] = {}
    for consequent in set(range(N_ITEMS)) - cart:
        for antecedent in cart:
            holding = [order for order in orders if antecedent in order]
            joint = sum(consequent in order for order in holding)
            if joint:
                missing = len(holding) - joint
                lacks = 1 - held[consequent] / len(orders)
                conviction = lacks * len(holding) / missing if missing else math.inf
                best[consequent] = max(best.get(consequent, 0), conviction)
    by_rule, by_popularity = ranked[: len(best)], ranked[len(best) :]
    assert set(by_rule) == set(best)
    scores = [best[item] for item in by_rule]
    assert all(one >= next_ or one == pytest.approx(next_) for one, next_ in pairwise(scores))
    assert set(by_popularity) == set(range(N_ITEMS)) - cart - set(best)
    assert held[by_popularity].tolist() == sorted(held[by_popularity], reverse=True)


def test_plain_rules_without_rules_fall_back_on_popularity() -> None:
    rank = plain_rules(RuleTable.empty(), np.array([5, 1, 3, 9, 9]))
    assert rank(np.array([0, 1], dtype=np.int32)).tolist() == [3, 4, 2]
    assert rank(np.array([], dtype=np.int32)).tolist() == [3, 4, 0, 2, 1]


def test_hit_rates_carry_their_standard_error() -> None:
    rate = HitRate(30, 200)
    assert rate.value == 0.15
    assert rate.standard_error == pytest.approx(math.sqrt(0.15 * 0.85 / 200))
    assert HitRate(0, 0).to_json() == {"value": None, "standard_error": None, "hits": 0, "n": 0}


def test_upsell_coverage_by_hand() -> None:
    # phone-64, -128 and -256 have a dearer sibling within 2.5 times; cases 199 -> 249 and glasses
    # 99 -> 129 too. Twelve items are sold.
    assert upsell_coverage(tiny_model()) == pytest.approx(5 / 12)
    unsold = [replace(item, n_orders=0) for item in PHONE_SHOP_ITEMS]
    assert upsell_coverage(tiny_model(items=unsold)) is None
    gone = [
        TinyItem("a", "A", "100.00", family="f", n_orders=3),
        TinyItem("b", "B", "150.00", family="f", n_orders=1, offerable=False),
    ]
    assert upsell_coverage(tiny_model(items=gone, rules=(), repelled={})) == 0.0


def test_a_planted_habit_is_found_in_later_orders(tmp_path: Path) -> None:
    config = load_config(write_small_shop(tmp_path, n_orders=1_000, n_pairs=20))
    dataset = load_dataset(config, tmp_path, SilentProgress())
    engine = get_engine("mlxtend")
    tested = back_test(dataset, config, engine, SilentProgress(), n_samples=100)
    assert tested is not None
    assert tested.n_train + tested.n_test == dataset.n_orders == 1_000
    assert tested.n_test == pytest.approx(200, abs=2)
    rates = tested.hit_rates
    assert {rate.n for rate in rates.values()} == {min(100, tested.n_eligible)}
    assert tested.choice.served["complete"] == "rules"
    assert set(rates) == {
        *("mersalg", "ease", "item_knn", "frequency", "plain_rules", "popularity")
    }
    # A cup belongs to its plate: lists of ten out of 48 items find it by rule, not by popularity.
    assert rates["popularity"].hits < 0.5 * rates["popularity"].n
    assert rates["mersalg"].hits > 0.8 * rates["mersalg"].n
    assert tested.upsell_coverage == pytest.approx(2 / 48)


def test_a_single_order_cannot_be_split(tmp_path: Path) -> None:
    config = load_config(write_small_shop(tmp_path, n_orders=4))
    lines = (tmp_path / "orders.csv").read_text().splitlines()
    kept = [line for line in lines if line.startswith(("order_id", "o00000"))]
    (tmp_path / "orders.csv").write_text("\n".join(kept) + "\n")
    dataset = load_dataset(config, tmp_path, SilentProgress())
    assert dataset.n_orders == 1
    assert back_test(dataset, config, get_engine("mlxtend"), SilentProgress(), n_samples=9) is None


def test_orders_hold_the_families_of_their_items(tmp_path: Path) -> None:
    dataset = load_dataset(
        load_config(write_small_shop(tmp_path, n_orders=200)), tmp_path, SilentProgress()
    )
    coarse = by_family(dataset)
    catalogue = dataset.catalogue
    assert coarse.n_orders == dataset.n_orders
    assert list(coarse.catalogue.items.ids) == list(catalogue.family_names)
    for order in range(dataset.n_orders):
        families = catalogue.family[dataset.baskets[order]]
        expected = np.unique(families[families >= 0])
        assert coarse.baskets[order].tolist() == expected.tolist()
    for place in range(len(coarse.catalogue)):
        prices = catalogue.price_minor[catalogue.family == place]
        assert coarse.catalogue.price_minor[place] == int(np.median(prices[prices > 0]))
    assert not coarse.lines.duplicated(["order", "item"]).any()


def test_a_catalogue_without_families_is_reported(tmp_path: Path) -> None:
    config = load_config(write_habit_shop(tmp_path, n_orders=50))
    dataset = load_dataset(config, tmp_path, SilentProgress())
    with pytest.raises(DataError, match="no families"):
        by_family(dataset)
