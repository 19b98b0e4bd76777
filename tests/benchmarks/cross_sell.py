"""HitRate@10 beside the `implicit` library, on the same hidden items of the same shops.

    python -m tests.benchmarks.cross_sell [--shop online_retail] [--samples 5000]

`implicit` (Frederickson) is no dependency: where it is not installed, that is said and the rest is
measured. Its models get every cart as a new user; defaults, and BM25 as its documentation advises.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.config import ShopConfig, parse_config
from engine.orders import Baskets
from engine.progress import SilentProgress
from tests.support.shared_data import shared_data
from tests.support.shops import breadbasket_config, coffee_ibm_config, online_retail_config
from training.basket_files import read_baskets
from training.dataset import load_dataset
from training.evaluation import learn_scorers
from training.fitting import fit_model
from training.mining.local import LocalEngine
from training.ranking.examples import Examples, bought, hide_one
from training.ranking.hits import Tested
from training.ranking.signals import purchases_of
from training.splitting import split_by_time
from training.yardsticks import ease, item_knn, plain_rules, popularity, rules_of_pairs

Ranker = Callable[[NDArray[np.int32]], NDArray[np.int32]]
_MANY = 40


def groceries_config() -> tuple[ShopConfig, Path]:
    """The basket file as a shop without times or customers: the last fifth of it is the test."""
    baskets, items = read_baskets(shared_data("groceries") / "groceries.csv")
    folder = Path(tempfile.mkdtemp(prefix="mersalg-groceries-"))
    lines = ["order_id,item_id"]
    for order in range(baskets.n_orders):
        lines += [f'{order:05},"{items.ids[item]}"' for item in baskets.basket(order).tolist()]
    (folder / "orders.csv").write_text("\n".join(lines))
    orders = {"path": "orders.csv"}
    return parse_config({"shop": {"name": "g", "currency": "EUR"}, "orders": orders}), folder


SHOPS = {
    "groceries": groceries_config,
    "online_retail": online_retail_config,
    "coffee_ibm": coffee_ibm_config,
    "breadbasket": breadbasket_config,
}


def implicit_rankers(baskets: Baskets) -> dict[str, Ranker]:
    """BM25 item-kNN and ALS of `implicit`, orders as users."""
    if importlib.util.find_spec("implicit") is None:
        sys.stdout.write("implicit is not installed; measured without it\n")
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


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--shop", choices=list(SHOPS), action="append")
    asked.add_argument("--samples", type=int, default=5_000)
    options = asked.parse_args()
    for name in options.shop or ["groceries", "online_retail"]:
        measure(name, options.samples)


def measure(name: str, samples: int) -> None:
    config, folder = SHOPS[name]()
    started, quiet = time.perf_counter(), SilentProgress()
    dataset = load_dataset(config, folder, quiet)
    train, test = split_by_time(dataset, config.training.test_share)
    scorers = learn_scorers(train, quiet)
    fitted = fit_model(train, config, LocalEngine(), quiet, scorers=scorers)
    model = fitted.model
    known = model.affinity.n_orders_of_item > 0
    examples: Examples = hide_one(test, known, samples, bought(train))
    tested = Tested.of(model, examples, purchases_of(dataset), int(test.ordered_at.min()))
    rankers: dict[str, Ranker] = {
        "popularity": popularity(model.affinity.n_orders_of_item),
        "plain rules": plain_rules(
            rules_of_pairs(train.baskets, quiet), model.affinity.n_orders_of_item
        ),
        **implicit_rankers(train.baskets),
    }
    if model.ranking is not None:
        rankers |= {"item-kNN": item_knn(model.ranking), "EASE": ease(model.ranking)}
    n = len(examples)
    hits = {title: tested.by(rank, discovery=False)[0] for title, rank in rankers.items()}
    hits |= {title: outcome.hits for title, outcome in tested.mersalg()}
    for title, found in hits.items():
        share = found / n
        error = (share * (1 - share) / n) ** 0.5
        sys.stdout.write(f"{name:14} {title:15} {share:.4f} +- {error:.4f}\n")
    best = max(found for title, found in hits.items() if not title.startswith("mersalg"))
    seconds = time.perf_counter() - started
    ratio = hits["mersalg"] / max(best, 1)
    sys.stdout.write(f"{name:14} mersalg / best other: {ratio:.3f} ({n} carts, {seconds:.0f} s)\n")


if __name__ == "__main__":
    main()
