"""Rankings that know nothing but orders, which the others are measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.rules import rules_from_itemsets
from mersalg.training.mining.search import affordable_min_count

Ranker = Callable[[NDArray[np.int32]], NDArray[np.int32]]
"""A cart of dense indices -> items to offer beside it, best first, none of the cart."""

_MOST = 1_000
"""Items a list holds at most: enough that ten are left when what was bought before is not."""
_LEAST_JOINT = 5


def popularity(n_orders_of_item: NDArray[np.int64]) -> Ranker:
    """Return the most bought items, whatever the cart."""
    ranked = np.argsort(-n_orders_of_item, kind="stable").astype(np.int32)

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        first = ranked[: _MOST + len(cart)]
        return first[~np.isin(first, cart)]

    return rank


def rules_of_pairs(baskets: Baskets, progress: Progress) -> RuleTable:
    """Return every rule of two items that meet in five orders; more where that is too many rules.

    Many rules rank better than sure ones.
    """
    least = affordable_min_count(baskets, _LEAST_JOINT, max_length=2)
    itemsets = LocalEngine().itemsets(baskets, least, 2, progress)
    return rules_from_itemsets(itemsets, baskets.n_orders)


def plain_rules(table: RuleTable, n_orders_of_item: NDArray[np.int64]) -> Ranker:
    """Return items by the best conviction of any rule of the cart, then by popularity.

    Of the usual measures conviction finds most. `table` holds rules of single antecedents.
    """
    n_items = len(n_orders_of_item)
    first = table.antecedents.values[table.antecedents.indptr[:-1]]
    rules_of = Ragged.grouped(first, np.arange(len(table)), n_items)
    fill = popularity(n_orders_of_item)
    conviction = measures.conviction(*table.counts())

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        fired = rules_of.of(cart)
        fired = fired[np.argsort(-conviction[fired], kind="stable")]
        found = table.consequent[fired]
        found = found[~np.isin(found, cart)]
        _, first = np.unique(found, return_index=True)
        found = found[np.sort(first)][:_MOST]
        others = fill(cart)
        return np.append(found, others[~np.isin(others, found)])[:_MOST]

    return rank
