"""Which ranking is served, and which pairs are kept apart: by what the back-test finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.arrays import Ragged
from mersalg.engine.config import load_config, parse_config
from mersalg.engine.progress import SilentProgress
from mersalg.engine.ranking.purchases import Past
from mersalg.training.evaluation import BackTest, back_test
from mersalg.training.mining.local import LocalEngine
from mersalg.training.ranking import choice
from mersalg.training.ranking.choice import FITTED, RULES, simple_scorers
from mersalg.training.ranking.hits import LIFTS
from mersalg.training.reading.dataset import load_dataset
from tests.support.habit_shop import write_habit_shop
from tests.support.hit_rates import is_never_worse
from tests.support.random_ranking import random_ranking


def back_tested(folder: Path, orders: Sequence[set[int]], **more: object) -> BackTest:
    """Back-test a shop without times or customers on its last orders; `more` is its shop file."""
    rows = [f"{n:06},i{item:03}" for n, order in enumerate(orders) for item in sorted(order)]
    (folder / "orders.csv").write_text("\n".join(["order_id,item_id", *rows]))
    shop = {"shop": {"name": "s", "currency": "EUR"}, "orders": {"path": "orders.csv"}}
    config = parse_config(shop | more)
    dataset = load_dataset(config, folder, SilentProgress())
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=2_000)
    assert tested is not None
    return tested


def test_simple_rankings_are_what_their_names_say() -> None:
    draw = np.random.default_rng(4)
    for _ in range(30):
        ranking = random_ranking(draw, 30, 4)
        cart = np.sort(draw.choice(30, 3, replace=False)).astype(np.int32)
        carts = Ragged(np.array([0, 3]), cart)
        past = Past.of_orders([(9.0, np.array([1, 2], np.int32)), (4.0, np.array([2], np.int32))])
        nobody = (np.zeros(1, dtype=np.int32), np.inf, np.zeros(0))
        _, keys, signals = ranking.native().signals(carts, past, "complete", *nobody)
        raw = {name: scorer.raw(signals) for name, scorer in simple_scorers().items()}
        near, n_orders = ranking.neighbours, ranking.signals.n_orders
        weight, cosine = np.zeros(30), np.zeros(30)
        for held in cart.tolist():
            for entry in range(near.items.indptr[held], near.items.indptr[held + 1]):
                item = near.items.values[entry]
                weight[item] += near.weight[entry]
                cosine[item] += near.n_joint[entry] / np.sqrt(n_orders[held] * n_orders[item])
        times = np.bincount([1, 2, 2], minlength=30)
        for name, expected in (
            ("ease", weight),
            ("item_knn", cosine),
            ("frequency", times),
            ("popularity", n_orders),
        ):
            by_score = expected[keys][np.argsort(-raw[name], kind="stable")]
            assert (np.diff(by_score) <= 1e-5).all(), name


def rooms(n_orders: int) -> list[set[int]]:
    """One of three rooms, often with its own extra, and common extras."""
    draw = np.random.default_rng(8)
    orders: list[set[int]] = []
    for _ in range(n_orders):
        room = int(draw.integers(3))
        extras = {3 + int(draw.integers(12)), 3 + int(draw.integers(12))}
        orders.append({room} | extras | ({15 + room} if draw.random() < 0.5 else set()))
    return orders


def test_what_never_meets_is_kept_apart(tmp_path: Path) -> None:
    tested = back_tested(tmp_path, rooms(3_000))
    # Rooms that never meet cost no hits, whatever else of the shop is not kept apart.
    assert tested.choice.max_lift >= 0
    assert tested.n_kept_apart == 0
    assert is_never_worse(tested)


def test_pairs_are_not_kept_apart_where_that_costs_hits(tmp_path: Path) -> None:
    # Two best sellers, bought together in a quarter of the orders: less often than by chance.
    draw = np.random.default_rng(9)
    orders: list[set[int]] = []
    for _ in range(4_000):
        both = {0, 1} if draw.random() < 0.25 else {int(draw.integers(2))}
        orders.append(both | set(draw.integers(2, 60, 3).tolist()))
    tested = back_tested(tmp_path, orders)
    assert tested.choice.max_lift < 1.0
    assert is_never_worse(tested)


def test_the_best_is_served_and_the_preferred_of_equals() -> None:
    # Of 1,000 carts with 400 hits the standard error is 15.5 hits.
    assert choice._best({FITTED: 400, "ease": 405, "popularity": 90}, 1_000) == FITTED
    assert choice._best({FITTED: 400, "ease": 410, "popularity": 90}, 1_000) == "ease"
    assert choice._best({RULES: 60, "ease": 400, "popularity": 410}, 1_000) == "popularity"
    assert choice._best({RULES: 0, "ease": 0}, 0) == RULES


def test_a_simple_ranking_is_served_where_the_fitted_one_finds_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network that has learned nothing is fitted in time, but finds nothing.
    monkeypatch.setattr("mersalg.training.networks.MAX_EPOCHS", 1)
    monkeypatch.setattr("mersalg.training.ranking.ranker._NEGATIVES", 0)
    config = load_config(write_habit_shop(tmp_path))
    dataset = load_dataset(config, tmp_path, SilentProgress())
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=1_000)
    assert tested is not None
    assert tested.choice.served["complete"] != FITTED
    assert "fitted" in tested.hit_rates
    assert is_never_worse(tested)
    said = tested.to_json()["served"]
    assert said["complete"] in said["reason"]
    reported = tested.reliability["complete"]
    assert reported.observed.sum() == pytest.approx(reported.predicted.sum(), rel=0.3)


def test_a_shop_with_few_orders_is_ranked_by_its_rules_or_better(tmp_path: Path) -> None:
    config = load_config(write_habit_shop(tmp_path, n_orders=700))
    dataset = load_dataset(config, tmp_path, SilentProgress())
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=100)
    assert tested is not None
    assert FITTED not in tested.choice.served.values()
    assert (tested.choice.scorers is None) == (tested.choice.served["complete"] == RULES)
    assert is_never_worse(tested)


def test_levels_end_with_none() -> None:
    assert list(LIFTS) == sorted(LIFTS, reverse=True)
    assert LIFTS[-1] < 0


def test_what_the_price_cap_and_sensitive_categories_cost_is_counted(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    orders = [
        {*draw.integers(0, 20, 2).tolist(), *([20] if n % 2 else [])} | {21} for n in range(2_000)
    ]
    items = [f"i{item:03},1.00,Goods" for item in range(20)]
    items += ["i020,100.00,Food > Wine", "i021,1.00,Goods"]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,price,category", *items]))
    catalogue = {"path": "items.csv"}
    sensible = back_tested(tmp_path, orders, catalogue=catalogue, offers={"sensitive": ["wine"]})
    found = sensible.to_json()["hidden_held_back"]
    assert found["too_dear"] == found["sensitive"] > 0
    free = back_tested(
        tmp_path, orders, catalogue=catalogue, offers={"max_price_to_cart_ratio": 1000}
    )
    assert free.to_json()["hidden_held_back"] == {"too_dear": 0, "sensitive": 0}
    # Hits are counted as if neither held.
    assert free.hit_rates == sensible.hit_rates
