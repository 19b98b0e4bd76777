"""On real shops and on an invented one, no simple ranking finds more than what is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mersalg.engine.config import ShopConfig
from mersalg.engine.progress import SilentProgress
from mersalg.training.evaluation import back_test
from mersalg.training.mining.local import LocalEngine
from mersalg.training.reading.dataset import load_dataset
from tests.support import shops
from tests.support.hit_rates import is_never_worse

Shop = Callable[[Path], tuple[ShopConfig, Path]]

SHOPS: dict[str, Shop] = {
    "breadbasket": lambda _: shops.breadbasket_config(),
    "coffee_ibm": lambda _: shops.coffee_ibm_config(),
    "pizzaplace": lambda _: shops.pizzaplace_config(),
    "groceries": shops.groceries_config,
    "telco": shops.telco_config,
    "retail, 100 items": lambda folder: shops.fimi_retail_config(folder, 15_000, 100),
    "retail, all items": lambda folder: shops.fimi_retail_config(folder, 15_000, 20_000),
    "dense": shops.dense_config,
    "complete journey, types": shops.complete_journey_types_config,
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SHOPS)
def test_what_is_served_is_never_worse(name: str, tmp_path: Path) -> None:
    config, folder = SHOPS[name](tmp_path)
    dataset = load_dataset(config, folder, SilentProgress())
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=5_000)
    assert tested is not None
    assert tested.hit_rates["mersalg"].n > 1_000
    assert is_never_worse(tested), tested.to_json()
