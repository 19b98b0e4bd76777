"""The same orders with families in place of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.config import load_config
from mersalg.engine.errors import DataError
from mersalg.engine.progress import SilentProgress
from mersalg.training.levels import by_family
from mersalg.training.reading.dataset import load_dataset
from tests.support.habit_shop import write_habit_shop
from tests.support.small_shop import write_small_shop


def test_orders_hold_the_families_of_their_items(tmp_path: Path) -> None:
    dataset = load_dataset(
        load_config(write_small_shop(tmp_path, n_orders=200)), tmp_path, SilentProgress()
    )
    coarse = by_family(dataset)
    catalogue = dataset.catalogue
    assert coarse.n_orders == dataset.n_orders
    assert list(coarse.catalogue.items.ids) == list(catalogue.family_names)
    for order in range(dataset.n_orders):
        families = catalogue.family[dataset.baskets.basket(order)]
        expected = np.unique(families[families >= 0])
        assert coarse.baskets.basket(order).tolist() == expected.tolist()
    for place in range(len(coarse.catalogue)):
        prices = catalogue.price_minor[catalogue.family == place]
        assert coarse.catalogue.price_minor[place] == int(np.median(prices[prices > 0]))
    assert not coarse.lines.duplicated(["order", "item"]).any()


def test_a_catalogue_without_families_is_reported(tmp_path: Path) -> None:
    config = load_config(write_habit_shop(tmp_path, n_orders=50))
    dataset = load_dataset(config, tmp_path, SilentProgress())
    with pytest.raises(DataError, match="no families"):
        by_family(dataset)
