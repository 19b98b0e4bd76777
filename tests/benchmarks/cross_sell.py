"""HitRate@10 of what is served beside simpler rankings, on the same hidden items of each shop.

    python -m tests.benchmarks.cross_sell [--shop online_retail] [--samples 5000]

`implicit` (Frederickson) is no dependency: where it is installed, its BM25 item-kNN and its ALS are
measured too. They get every cart as a new user; defaults, and BM25 as its documentation advises.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.evaluation import HitRate, Ranker, back_test
from mersalg.training.mining.local import LocalEngine
from mersalg.training.ranking.ranker import bought, hide_one
from mersalg.training.reading.dataset import Dataset, load_dataset, split_by_time
from tests.support.shops import complete_journey_config, online_retail_config
from tests.training.test_never_worse import SHOPS

_MANY = 40
_SHOPS = {
    **SHOPS,
    "complete journey, products": complete_journey_config,
    "online_retail": lambda _: online_retail_config(),
}


def implicit_rankers(baskets: Baskets) -> dict[str, Ranker]:
    """BM25 item-kNN and ALS of `implicit`, orders as users."""
    if importlib.util.find_spec("implicit") is None:
        return {}
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender, bm25_weight

    ones = np.ones(len(baskets.items), dtype=np.float32)
    shape = (baskets.n_orders, baskets.n_items)
    matrix = csr_matrix((ones, baskets.items, baskets.indptr), shape=shape)
    knn = BM25Recommender(K=100)
    knn.fit(matrix, show_progress=False)
    als = AlternatingLeastSquares(factors=64, random_state=7)
    als.fit(bm25_weight(matrix).tocsr().astype(np.float32), show_progress=False)

    def ranker(model: BM25Recommender | AlternatingLeastSquares, fresh: bool) -> Ranker:
        def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
            values = np.ones(len(cart), dtype=np.float32)
            row = csr_matrix((values, cart, [0, len(cart)]), shape=(1, shape[1]))
            found = model.recommend(0, row, N=_MANY, recalculate_user=fresh)[0]
            return found[~np.isin(found, cart)].astype(np.int32)

        return rank

    return {"implicit BM25": ranker(knn, False), "implicit ALS": ranker(als, True)}


def by_implicit(dataset: Dataset, test_share: float, samples: int) -> dict[str, HitRate]:
    train, test = split_by_time(dataset, test_share)
    examples = hide_one(test, train.baskets.item_counts() > 0, samples, bought(train))
    rates: dict[str, HitRate] = {}
    for name, rank in implicit_rankers(train.baskets).items():
        carts = (
            examples.carts_of(slice(place, place + 1)).values for place in range(len(examples))
        )
        hits = sum(
            item in rank(cart)[:10] for item, cart in zip(examples.hidden, carts, strict=True)
        )
        rates[name] = HitRate(hits, len(examples))
    return rates


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--shop", choices=list(_SHOPS), action="append")
    asked.add_argument("--samples", type=int, default=5_000)
    options = asked.parse_args()
    for name in options.shop or _SHOPS:
        with tempfile.TemporaryDirectory(prefix="mersalg-shop-") as folder:
            measure(name, Path(folder), options.samples)


def measure(name: str, folder: Path, samples: int) -> None:
    config, source = _SHOPS[name](folder)
    dataset = load_dataset(config, source, SilentProgress())
    started = time.process_time()
    tested = back_test(dataset, config, LocalEngine(), SilentProgress(), n_samples=samples)
    seconds = time.process_time() - started
    if tested is None:
        raise ValueError(f"{name} has too few orders for a back-test")
    served = tested.choice.served
    sys.stdout.write(
        f"{name}: {dataset.n_orders:,} orders, {len(dataset.catalogue):,} items,"
        f" {seconds:.0f} s of CPU\n"
        f"  served: {tested.reason}; to discover: {served['discovery']};"
        f" pairs kept apart up to a lift of {tested.choice.max_lift:g}\n"
    )
    rates = {**tested.hit_rates, **by_implicit(dataset, config.training.test_share, samples)}
    for title, rate in rates.items():
        new = tested.discovery.get(title)
        sys.stdout.write(
            f"  {title:15} {rate.value:.4f} +- {rate.standard_error:.4f}"
            + (f", new {new.value:.4f} +- {new.standard_error:.4f}\n" if new else "\n")
        )


if __name__ == "__main__":
    main()
