"""Training end to end on a small shop of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.config import load_config
from mersalg.engine.cross_sell.recommender import CrossSell
from mersalg.engine.errors import ConfigError
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.progress import SilentProgress
from mersalg.engine.registry import Registry
from mersalg.training.mining.protocol import get_engine
from mersalg.training.model_fit import fit_model
from mersalg.training.pipeline import TrainingResult, train
from mersalg.training.reading.dataset import load_dataset, usual_prices
from tests.support.small_shop import ITEMS, write_small_shop


def train_shop(folder: Path, models: Path, **options: object) -> TrainingResult:
    config = load_config(folder / "shop.toml")
    return train(config, folder, models, progress=SilentProgress(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cafe")
    write_small_shop(folder)
    return folder


@pytest.fixture(scope="module")
def trained(shop: Path) -> tuple[TrainingResult, Model]:
    result = train_shop(shop, shop / "models")
    return result, Registry(shop / "models").load()


def ids(model: Model, items: np.ndarray) -> list[str]:
    return [model.catalogue.items[item] for item in items.tolist()]


def test_the_first_version_is_published(trained: tuple[TrainingResult, Model]) -> None:
    result, model = trained
    assert result.published
    assert not result.refused
    assert model.version == result.version
    assert all(verdict.passed for verdict in result.verdicts)
    json.dumps(result.to_json())


def test_planted_habits_become_rules(trained: tuple[TrainingResult, Model]) -> None:
    _, model = trained
    rules = {
        (tuple(ids(model, model.rules.antecedents[rule])), model.catalogue.items[consequent])
        for rule, consequent in enumerate(model.rules.consequent.tolist())
    }
    assert (("coffee-small",), "croissant") in rules
    assert (("coffee-large",), "almond-croissant") in rules
    assert (("tea",), "scone") in rules
    assert (("tea",), "croissant") not in rules
    small = model.catalogue.items.index_of("coffee-small")
    assert small is not None
    first, _ = CrossSell.prepare(model).rank([small], 1)
    assert ids(model, first) == ["croissant"]


def test_families_become_ladders_by_price(trained: tuple[TrainingResult, Model]) -> None:
    _, model = trained
    ladders = [
        ids(model, model.ladders.members[ladder]) for ladder in range(model.ladders.n_ladders)
    ]
    assert sorted(ladders) == [
        ["coffee-small", "coffee-large"],
        ["croissant", "almond-croissant"],
    ]
    assert model.affinity.family_excludes.all()


def test_the_manifest_tells_what_was_trained(
    shop: Path, trained: tuple[TrainingResult, Model]
) -> None:
    result, _ = trained
    manifest = Registry(shop / "models").manifest(result.version)
    assert manifest.counts["orders"] == 800
    assert manifest.counts["items"] == len(ITEMS)
    assert manifest.counts["min_count"] == 5
    assert manifest.metrics == json.loads(json.dumps(result.metrics))
    assert manifest.data_range["first"].startswith("2026-01-05T07:00")
    assert manifest.libraries["mlxtend"]
    assert "800 orders" in manifest.summary
    assert set(result.seconds) == {"read", "tiers", "back_test", "fit", "carts", "write"}
    assert manifest.counts["carts_offered"] == manifest.counts["carts_sampled"] == 500


def test_the_same_data_gives_the_same_model(shop: Path) -> None:
    config = load_config(shop / "shop.toml")
    dataset = load_dataset(config, shop, SilentProgress())
    models = [
        fit_model(dataset, config, get_engine("mlxtend"), SilentProgress()).model for _ in range(2)
    ]
    left, right = (model.arrays() for model in models)
    for name, array in left.items():
        np.testing.assert_array_equal(right[name], array)
    assert models[0].version == "unsaved"
    self_check(models[0])


def test_usual_prices_are_medians_of_what_was_paid(shop: Path) -> None:
    config = load_config(shop / "shop.toml")
    dataset = load_dataset(config, shop, SilentProgress())
    np.testing.assert_array_equal(usual_prices(dataset), dataset.catalogue.price_minor)
    dataset.lines.loc[:, "unit_price_minor"] = -1
    assert (usual_prices(dataset) == -1).all()


def test_oversized_baskets_are_left_out_and_counted(shop: Path) -> None:
    config = load_config(shop / "shop.toml")
    training = config.training.model_copy(update={"max_basket_size": 2})
    config = config.model_copy(update={"training": training})
    dataset = load_dataset(config, shop, SilentProgress())
    counts = fit_model(dataset, config, get_engine("local"), SilentProgress()).counts
    n_oversized = int((dataset.baskets.lengths > 2).sum())
    assert counts["orders_oversized"] == n_oversized > 0
    assert counts["orders"] == 800 - n_oversized


def test_the_gate_keeps_a_shrunken_shop_from_being_published(tmp_path: Path) -> None:
    write_small_shop(tmp_path)
    models = tmp_path / "models"
    first = train_shop(tmp_path, models)
    write_small_shop(tmp_path, n_orders=300)
    refused = train_shop(tmp_path, models)
    assert refused.refused
    assert not refused.published
    assert [v.check for v in refused.verdicts if not v.passed] == ["orders"]
    registry = Registry(models)
    assert registry.current() == first.version
    # Refused, but written: it can be looked at, and published by hand or by force.
    assert registry.load(refused.version).version == refused.version
    forced = train_shop(tmp_path, models, force=True)
    assert (forced.published, forced.refused) == (True, False)
    assert registry.current() == forced.version
    assert registry.rollback() == first.version


def test_a_shop_with_nothing_to_suggest_is_refused(tmp_path: Path) -> None:
    write_small_shop(tmp_path, planted=False)
    catalogue = tmp_path / "catalogue.csv"
    text = catalogue.read_text().replace(",coffee,", ",,").replace(",pastry,", ",,")
    # Names alike would make families as well.
    catalogue.write_text(text.replace("Large coffee", "Mocha").replace("Almond croissant", "Bun"))
    result = train_shop(tmp_path, tmp_path / "models")
    assert [v.check for v in result.verdicts if not v.passed] == ["something_to_offer", "carts"]
    assert Registry(tmp_path / "models").current() is None


def test_publishing_can_be_left_for_later(tmp_path: Path) -> None:
    write_small_shop(tmp_path)
    result = train_shop(tmp_path, tmp_path / "models", publish=False)
    assert (result.published, result.refused) == (False, False)
    registry = Registry(tmp_path / "models")
    assert registry.current() is None
    registry.publish(result.version)
    assert registry.load().version == result.version


def test_a_broken_published_version_does_not_block_training(tmp_path: Path) -> None:
    write_small_shop(tmp_path)
    models = tmp_path / "models"
    first = train_shop(tmp_path, models)
    (models / first.version / "manifest.json").write_text("{")
    second = train_shop(tmp_path, models)
    assert second.published
    assert Registry(models).load().version == second.version


def test_an_unknown_engine_stops_before_reading(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no mining engine"):
        train_shop(shop, tmp_path, engine="abacus")
    assert list(tmp_path.iterdir()) == []
