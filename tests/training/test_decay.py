"""Time decay: recent orders rank, true counts stay the evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine import clock
from mersalg.engine.arrays import arrays_of
from mersalg.engine.config import load_config, parse_config
from mersalg.engine.cross_sell.recommender import Candidates, CrossSell
from mersalg.engine.cross_sell.rules import UNIT
from mersalg.engine.errors import ConfigError, ModelCorrupt
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.registry import Registry
from mersalg.training.mining.protocol import get_engine
from mersalg.training.mining.search import mine_rules
from mersalg.training.mining.tallies import recency_of, weights
from mersalg.training.model_fit import fit_model
from mersalg.training.pipeline import train
from mersalg.training.reading.dataset import load_dataset

DAY = clock.MICROS_PER_DAY
ENGINE = get_engine("mlxtend")
ORDERS = st.lists(
    st.tuples(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 900)),
    min_size=1,
    max_size=30,
)


def test_an_order_weighs_half_after_each_half_life() -> None:
    ages = np.array([0, 30, 60, 90, 300, 400, 5000])
    found = weights((1_000_000 - ages) * DAY, 30)
    assert found.tolist() == [1024, 512, 256, 128, 1, 0, 0]
    assert weights(np.zeros(0, dtype=np.int64), 30).tolist() == []


@given(orders=ORDERS, half_life=st.floats(1, 1_000))
def test_weights_add_up_as_by_hand(
    orders: list[tuple[frozenset[int], int]], half_life: float
) -> None:
    pairs = [(number, item) for number, (order, _) in enumerate(orders) for item in order]
    rows, items = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    baskets = Baskets.from_pairs(rows, items, len(orders), 6)
    weight = weights(np.array([day for _, day in orders]) * DAY, half_life)
    mined = mine_rules(
        baskets, ENGINE, min_count=1, max_length=3, progress=SilentProgress(), all_rules=True
    )
    found = recency_of(mined.table, baskets, weight)

    def of(items: set[int]) -> int:
        held = zip(orders, weight.tolist(), strict=True)
        return sum(each for (order, _), each in held if items <= order)

    for rule, consequent in enumerate(mined.table.consequent.tolist()):
        antecedent = set(mined.table.antecedents[rule].tolist())
        assert found.n_antecedent[rule] == of(antecedent)
        assert found.n_joint[rule] == of(antecedent | {consequent})
    assert found.n_orders_of_item.tolist() == [of({item}) for item in range(6)]
    assert found.n_orders == weight.sum()
    # Where every order is of today, the weights are the counts.
    today = recency_of(mined.table, baskets, np.full(len(orders), UNIT))
    np.testing.assert_array_equal(today.n_joint, mined.table.n_joint * UNIT)
    np.testing.assert_array_equal(today.n_antecedent, mined.table.n_antecedent * UNIT)


SHOP = """
[shop]
name = "Drift"
currency = "NOK"
[orders]
path = "orders.csv"
columns = {{ ordered_at = "ordered_at" }}
[training]
{training}
"""


def write_drift(folder: Path, training: str) -> Path:
    """Lamps went with candles a year ago, in more orders than they go with bulbs now."""
    folder.mkdir()
    lines = ["order_id,ordered_at,item_id"]
    for number in range(600):
        early = number < 400
        day = f"{2025 if early else 2026}-{1 + number % 3:02}-{1 + number % 28:02}"
        items = [f"other{number % 7}"]
        if number % 2:
            items.append("lamp")
            if number % 10 < 8:
                items.append("candle" if early else "bulb")
        lines += [f"o{number},{day},{item}" for item in items]
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    (folder / "shop.toml").write_text(SHOP.format(training=training))
    return folder


def fitted(folder: Path) -> Model:
    config = load_config(folder / "shop.toml")
    dataset = load_dataset(config, folder, SilentProgress())
    return fit_model(dataset, config, ENGINE, SilentProgress()).model


def offered(model: Model, item: str) -> list[str]:
    position = model.catalogue.items.index_of(item)
    assert position is not None
    found, _ = CrossSell.prepare(model).rank([position], 2)
    return [model.catalogue.items[one] for one in found.tolist()]


def test_what_is_new_passes_what_is_dead(tmp_path: Path) -> None:
    without = fitted(write_drift(tmp_path / "without", ""))
    assert without.recency is None
    assert offered(without, "lamp") == ["candle", "bulb"]
    decayed = fitted(write_drift(tmp_path / "decayed", "half_life_days = 60"))
    assert offered(decayed, "lamp")[0] == "bulb"
    # The evidence is the same, to the integer.
    for name, array in arrays_of(without.rules).items():
        np.testing.assert_array_equal(arrays_of(decayed.rules)[name], array)
    recommender = CrossSell.prepare(decayed)
    lamp, candle = (decayed.catalogue.items.index_of(item) for item in ("lamp", "candle"))
    cart = np.array([lamp], dtype=np.int32)
    candidates = Candidates.of(recommender, None, cart, Past.unknown(), "complete")
    counts = candidates.evidence(candle)
    assert (counts.n_joint, counts.n_antecedent) == (160, 300)
    assert counts.confidence == pytest.approx(160 / 300)
    assert candidates.score_of(candle) < 0.05


def test_popularity_fades_too(tmp_path: Path) -> None:
    folder = write_drift(tmp_path / "shop", "half_life_days = 30\nmin_count = 1000")
    recommender = CrossSell.prepare(fitted(folder))
    items = recommender.popular.tolist()
    model = fitted(folder)
    candle, bulb = (model.catalogue.items.index_of(item) for item in ("candle", "bulb"))
    assert bulb in items
    assert candle not in items


def test_a_decayed_version_is_written_and_read_back(tmp_path: Path) -> None:
    folder = write_drift(tmp_path / "shop", "half_life_days = 60")
    config = load_config(folder / "shop.toml")
    result = train(config, folder, folder / "models", progress=SilentProgress())
    model, expected = Registry(folder / "models").load(result.version), fitted(folder)
    assert model.recency is not None
    assert expected.recency is not None
    for name, array in arrays_of(expected.recency).items():
        np.testing.assert_array_equal(arrays_of(model.recency)[name], array)
    confidence = model.recency.confidence(model.rules)
    assert ((confidence > 0) & (confidence < 1)).all()


def test_a_recency_that_does_not_fit_its_rules_is_found(tmp_path: Path) -> None:
    model = fitted(write_drift(tmp_path / "shop", "half_life_days = 60"))
    arrays = model.arrays()
    for name, array, problem in (
        ("n_joint", np.zeros(1, dtype=np.int64), "recency.n_joint has shape"),
        ("n_antecedent", np.zeros(len(model.rules), dtype=np.int64), "impossible"),
    ):
        broken = {**arrays, f"recency.{name}": array}
        with pytest.raises(ModelCorrupt, match=problem):
            self_check(Model.of_arrays("broken", model.settings, broken))


def test_ages_need_a_column_of_times(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,item_id\n1,a\n")
    shop = parse_config(
        {
            "shop": {"name": "Test", "currency": "NOK"},
            "orders": {"path": "orders.csv"},
            "training": {"half_life_days": 30},
        }
    )
    with pytest.raises(ConfigError, match="half_life_days needs"):
        load_dataset(shop, tmp_path, SilentProgress())
