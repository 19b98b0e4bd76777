"""Fitting a ranking: against closed forms, and on shops with habits planted in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mersalg.engine.arrays import Ragged
from mersalg.engine.config import load_config
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import Ranking, Scorer
from mersalg.training.evaluation import BackTest, back_test
from mersalg.training.mining.local import LocalEngine
from mersalg.training.ranking import signals
from mersalg.training.ranking.hits import Reliability
from mersalg.training.ranking.ranker import bought, hide_one
from mersalg.training.ranking.signals import fit_signals
from mersalg.training.reading.dataset import Dataset, load_dataset
from tests.support.habit_shop import write_habit_shop
from tests.training.test_mining_local import _random_rows


def _baskets(rows: list[list[int]], n_items: int) -> Baskets:
    orders = np.array([o for o, row in enumerate(rows) for _ in row], dtype=np.int64)
    items = np.array([item for row in rows for item in row], dtype=np.int64)
    return Baskets.from_pairs(orders, items, len(rows), n_items)


def test_with_all_items_as_neighbours_it_is_ease() -> None:
    n_items = 25
    baskets = _baskets(_random_rows(5, 3_000, n_items, 6.0), n_items)
    near = signals.fit_neighbours(baskets, SilentProgress(), name="item-item")
    dense = np.zeros((baskets.n_orders, n_items))
    for order in range(baskets.n_orders):
        items = baskets[order]
        dense[order, items] = 1 / np.sqrt(len(items))
    precision = np.linalg.inv(dense.T @ dense + signals.REGULARISATION * np.eye(n_items))
    expected = precision / -np.diag(precision)
    np.fill_diagonal(expected, 0)
    found = np.zeros((n_items, n_items))
    joint = np.zeros((n_items, n_items))
    rows = near.items.owners()
    found[rows, near.items.values] = near.weight
    joint[rows, near.items.values] = near.n_joint
    np.testing.assert_allclose(found, np.where(expected > 1e-4, expected, 0), atol=2e-4)
    held = dense > 0
    counted = held.T.astype(int) @ held.astype(int)
    np.fill_diagonal(counted, 0)
    np.testing.assert_array_equal(joint, np.where(counted >= signals.MIN_ORDERS, counted, 0))


@pytest.fixture(scope="module")
def habits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, BackTest]:
    folder = tmp_path_factory.mktemp("habits")
    config = load_config(write_habit_shop(folder))
    dataset = load_dataset(config, folder, SilentProgress())
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=1_000)
    assert tested is not None
    return dataset, tested


def test_planted_habits_are_found_beside_planted_pairs(habits: tuple[Dataset, BackTest]) -> None:
    _, tested = habits
    value = {name: rate.hits / rate.n for name, rate in tested.hit_rates.items()}
    assert set(value) == {
        *("mersalg", "mersalg_static", "ease", "item_knn", "frequency"),
        *("plain_rules", "popularity"),
    }
    assert tested.choice.served == {"complete": "fitted", "discovery": "fitted"}
    # Pairs alone cannot tell whose favourite is missing; the customer's past can.
    assert value["mersalg"] > value["plain_rules"] + 0.05
    assert value["mersalg"] > value["ease"] + 0.05
    assert value["mersalg_static"] > value["ease"]
    assert value["popularity"] < 0.5 * value["mersalg"]


def test_scores_come_true_as_often_as_they_say(habits: tuple[Dataset, BackTest]) -> None:
    reported = habits[1].reliability["complete"]
    said, true = reported.predicted.sum(), reported.observed.sum()
    assert true == pytest.approx(said, rel=0.15)
    assert reported.expected_error is not None
    assert reported.expected_error < 0.01
    # What is said to be likely is likely: bins ascend where they hold enough to tell.
    full = reported.n >= 100
    shares = (reported.observed / np.maximum(reported.n, 1))[full]
    assert (np.diff(shares) > -0.03).all()
    assert shares[-1] > 10 * shares[0]


def test_hidden_items_are_of_their_orders(habits: tuple[Dataset, BackTest]) -> None:
    dataset, _ = habits
    half = np.arange(dataset.n_orders) >= 3_000
    before, later = dataset.select_orders(~half), dataset.select_orders(half)
    known = before.baskets.item_counts() > 0
    earlier = bought(before)
    for only_new in (False, True):
        examples = hide_one(later, known, 500, earlier, only_new=only_new)
        assert len(examples) == 500
        for place, order in enumerate(examples.order.tolist()):
            cart = examples.carts.values[
                examples.carts.indptr[place] : examples.carts.indptr[place + 1]
            ]
            whole = set(later.baskets[order].tolist())
            assert {*cart.tolist(), int(examples.hidden[place])} == whole
            key = examples.customer[place] * before.baskets.n_items + examples.hidden[place]
            assert examples.repeat[place] == (key in earlier)
            assert not (only_new and examples.repeat[place])
        again = hide_one(later, known, 500, earlier, only_new=only_new)
        assert (again.hidden == examples.hidden).all()


def test_the_served_arithmetic_is_that_of_scikit_learn() -> None:
    from sklearn.neural_network import MLPClassifier

    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 6)).astype(np.float32)
    target = features[:, 0] + features[:, 1] ** 2 > 1
    network = MLPClassifier((8, 4), max_iter=300, random_state=0, tol=1e-2).fit(features, target)
    scorer = Scorer(
        np.zeros(6, dtype=np.float32),
        np.ones(6, dtype=np.float32),
        tuple(weights.astype(np.float32) for weights in network.coefs_),
        tuple(bias.astype(np.float32) for bias in network.intercepts_),
        1.0,
        0.0,
    )
    expected = network.predict_proba(features)[:, 1]
    np.testing.assert_allclose(scorer.probability(features), expected, atol=1e-4)
    calibrated = replace(scorer, slope=0.0, intercept=0.0)
    assert (calibrated.probability(features) == 0.5).all()


def test_reliability_by_hand() -> None:
    reported = Reliability.of(
        np.array([0.001, 0.12, 0.12, 0.6]), np.array([False, True, False, True])
    )
    assert reported.n.tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert reported.observed.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert reported.expected_error == pytest.approx((0.001 + abs(0.24 - 1) + 0.4) / 4)
    assert Reliability.of(np.zeros(0), np.zeros(0, dtype=bool)).expected_error is None


def test_new_items_are_found_through_their_group() -> None:
    # Group 0 holds items 0 and 1, group 1 items 2 and 3; nobody has bought item 3 yet.
    rows = [[0, 2], [1, 2], [0, 2], [0, 1, 2], [1, 2], [0, 2]] * 20
    baskets = _baskets(rows, 4)
    group = np.array([0, 0, 1, 1], dtype=np.int32)
    unknown = np.full(4, -1, dtype=np.int64)
    base = Ranking(
        signals.fit_neighbours(baskets, SilentProgress(), name="item-item"),
        signals.fit_neighbours(baskets.by_group(group, 2), SilentProgress(), name="group-group"),
        fit_signals(baskets, np.zeros(len(rows), np.int64), group, 2, unknown, unknown),
        {},
    )
    carts = Ragged(np.array([0, 1]), np.array([0], dtype=np.int32))
    nobody = (np.zeros(1, dtype=np.int32), np.inf, np.zeros(0))
    found = base.native().signals(carts, Past.unknown(), "discovery", *nobody)[1]
    assert 3 in found.tolist()
    assert base.signals.n_orders[3] == 0


def test_networks_side_by_side_give_the_mean_of_their_outputs() -> None:
    from mersalg.training.networks import side_by_side

    draw = np.random.default_rng(4)
    shapes = [(5, 4), (4, 3), (3, 1)]
    networks = [
        ([draw.normal(size=shape) for shape in shapes], [draw.normal(size=n) for _, n in shapes])
        for _ in range(3)
    ]
    rows = draw.normal(size=(50, 5)).astype(np.float32)

    def outputs(weights: list[np.ndarray], biases: list[np.ndarray]) -> np.ndarray:
        return Scorer(np.zeros(5), np.ones(5), tuple(weights), tuple(biases), 1.0, 0.0).raw(rows)

    apart = np.mean([outputs(*network) for network in networks], axis=0)
    together = outputs(*map(list, side_by_side(networks)))
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)
    assert np.ptp(apart) > 0.5
