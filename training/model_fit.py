"""From a checked data set to an unsaved model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Int64s
from mersalg.engine.config import ShopConfig
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.cross_sell.stores import CONTRADICTED, Stores
from mersalg.engine.model import Model, Settings
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.purchases import Customers
from mersalg.engine.ranking.ranking import Mode, Scorer
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.affinity import Exclusions, build_affinity, exclusive_pairs
from mersalg.training.mining.protocol import MiningEngine, default_min_count
from mersalg.training.mining.search import affordable_min_count, mine_rules
from mersalg.training.mining.tallies import count_by_store, recency_of, weights
from mersalg.training.ranking.signals import fit_base, purchases_of
from mersalg.training.reading.dataset import Dataset, usual_prices
from mersalg.training.reading.keys import MISSING, first_of_order
from mersalg.training.upsell.events import count_moves
from mersalg.training.upsell.families import find_groups
from mersalg.training.upsell.model_fit import fit_likelihood
from mersalg.training.upsell.tiers import FormerCuts, TierCounts, fit_ladders, price_changes

UNSAVED = "unsaved"
FittedLadders = tuple[Ladders, TierCounts]
_NOBODY = np.zeros(0, dtype=np.uint64)


def store_of_order(dataset: Dataset) -> Int64s:
    """Return the store an order's lines name; int64 (n_orders,), MISSING where they name none."""
    return first_of_order(*(dataset.lines[name].to_numpy() for name in ("order", "store")))


def not_contradicted(
    table: RuleTable, dataset: Dataset, orders: Int64s, baskets: Baskets, max_q: float
) -> tuple[RuleTable, Stores | None]:
    """Return the rules that the stores together do not contradict, and the counts by store.

    `orders` are the positions of the orders that `baskets` are of. Where orders are not known to be
    of several stores, it is `table` as it is, and None.
    """
    store = store_of_order(dataset)[orders]
    n_stores = len(dataset.store_ids)
    if len(np.unique(store[store != MISSING])) < 2:
        return table, None
    counts = count_by_store(table, baskets, store, n_stores, max_q)
    contradicted = counts.flag == CONTRADICTED
    kept, dropped = np.flatnonzero(~contradicted), np.flatnonzero(contradicted)
    stores = Stores(
        store_ids=dataset.store_ids,
        n_orders=np.bincount(np.where(store == MISSING, n_stores, store), minlength=n_stores + 1),
        offered=counts.take(kept),
        contradicted_rules=table.take(dropped),
        contradicted=counts.take(dropped),
    )
    return table.take(kept), stores


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, what was counted on the way, and all pairs that the model could keep apart."""

    model: Model
    apart: Exclusions
    counts: Mapping[str, object]


def fit_model(
    dataset: Dataset,
    config: ShopConfig,
    engine: MiningEngine,
    progress: Progress,
    *,
    fitted_ladders: FittedLadders | None = None,
    scorers: Mapping[Mode, Scorer] | None = None,
    max_lift: float = 1.0,
    customer_key: bytes | None = None,
    forgotten: NDArray[np.uint64] = _NOBODY,
) -> Fitted:
    """Mine, test, tier and tally; the model's version is "unsaved".

    `scorers` weigh what the model finds for a cart; without them its rules rank. Pairs are kept
    apart whose lift is surely not above `max_lift`. Without `customer_key`, which hashes their ids,
    the model remembers no customers; never those whose hashes are `forgotten`.
    """
    settings = config.training
    sizes = dataset.baskets.lengths
    orders = np.flatnonzero((sizes >= 1) & (sizes <= settings.max_basket_size))
    baskets = dataset.baskets.take(orders)
    with progress.task("Choosing the threshold"):
        min_count = settings.min_count or affordable_min_count(
            baskets,
            default_min_count(baskets.n_orders),
            engine=engine.name,
            max_length=settings.max_length,
        )
    mined = mine_rules(
        baskets,
        engine,
        min_count=min_count,
        max_length=settings.max_length,
        max_q=settings.max_q,
        progress=progress,
    )
    ladders, tier_counts = fitted_ladders or ladders_of(dataset, progress)
    with progress.task("Finding pairs that exclude each other"):
        apart = exclusive_pairs(baskets, mined.itemsets)
        affinity = build_affinity(baskets, apart.at_most(max_lift), ladders, dataset.catalogue)
    with progress.task("Testing rules by store"):
        table, stores = not_contradicted(mined.table, dataset, orders, baskets, settings.max_q)
    recency = None
    if settings.half_life_days is not None:
        with progress.task("Weighing recent orders"):
            weight = weights(dataset.ordered_at[orders], settings.half_life_days)
            recency = recency_of(table, baskets, weight)
    ranking, customers = None, None
    if scorers is not None:
        minable_part = dataset if len(orders) == dataset.n_orders else dataset.select_orders(orders)
        ranking = fit_base(minable_part, usual_prices(dataset), progress).with_scorers(scorers)
    # Whatever ranks: what a customer has already is nothing to discover.
    if customer_key is not None and len(dataset.customer_ids):
        with progress.task("Storing purchases of customers"):
            customers = Customers.of(
                dataset.customer_ids, purchases_of(dataset), customer_key
            ).without(forgotten)
    likelihood = None
    # Back-tests of the cross-sell ranking have no use for it.
    if customer_key is not None:
        with progress.task("Fitting models of upgrades"):
            likelihood = fit_likelihood(
                dataset,
                ladders,
                dataset.catalogue.price_minor.astype(np.float64),
                (config.offers.min_price_ratio, config.offers.max_price_ratio),
            )
    model = Model(
        version=UNSAVED,
        settings=Settings(
            shop=config.shop,
            offers=config.offers,
            experiment=config.experiment,
            tracking=config.tracking,
            attributes=config.catalogue.reading if config.catalogue else AttributesSection(),
            alerts=config.alerts,
        ),
        catalogue=dataset.catalogue,
        rules=table,
        affinity=affinity,
        ladders=ladders,
        recency=recency,
        stores=stores,
        ranking=ranking,
        customers=customers,
        customer_key=customer_key or b"",
        likelihood=likelihood,
    )
    counts: dict[str, object] = {
        "orders": baskets.n_orders,
        "orders_oversized": int((sizes > settings.max_basket_size).sum()),
        "entries": len(baskets.items),
        "items": len(dataset.catalogue),
        "items_sold": int((affinity.n_orders_of_item > 0).sum()),
        "min_count": min_count,
        "itemsets": len(mined.itemsets),
        "rules_mined": len(mined.every),
        "hypotheses": mined.n_tests,
        "rules": len(table),
        "rules_contradicted": len(mined.table) - len(table),
        "neighbours": len(ranking.neighbours.items.values) if ranking else 0,
        "customers": customers.purchases.n_customers if customers else 0,
        "upgrade_moves": len(likelihood.standing.move_keys) if likelihood else 0,
        "repelled_pairs": len(affinity.repelled.values) // 2,
        "families_exclusive": int(affinity.family_excludes.sum()),
        **{f"tiers_{name}": value for name, value in tier_counts.to_json().items()},
    }
    return Fitted(model, apart, counts)


def ladders_of(
    dataset: Dataset, progress: Progress, *, former: FormerCuts | None = None
) -> FittedLadders:
    """Return the ladders of the catalogue, prices checked against those that orders paid.

    `former`: where the version before cut its tiers, which then stay where they can.
    """
    ladders, counts = fit_ladders(
        dataset.catalogue,
        usual_prices(dataset),
        progress,
        groups=find_groups(dataset.catalogue, dataset.baskets, progress),
        changes=price_changes(dataset),
        former=former,
    )
    moves = count_moves(dataset.baskets, dataset.customer, ladders.family)
    return replace(ladders, moves=moves), counts
