"""The stores of a shop: which rules they bear out, and which hold in all orders together alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.cross_sell.stores import CONTRADICTED, Stores
from mersalg.engine.orders import Baskets
from mersalg.training.keys import MISSING, first_of_order
from mersalg.training.mining.strata import count_by_store

if TYPE_CHECKING:
    from mersalg.training.dataset import Dataset


def store_of_order(dataset: Dataset) -> NDArray[np.int64]:
    """Return the store an order's lines name; int64 (n_orders,), MISSING where they name none."""
    return first_of_order(*(dataset.lines[name].to_numpy() for name in ("order", "store")))


def borne_out(
    table: RuleTable,
    dataset: Dataset,
    orders: NDArray[np.int64],
    baskets: Baskets,
    max_q: float,
) -> tuple[RuleTable, Stores | None]:
    """Return the rules that the stores together do not contradict, and the counts by store.

    Parameters
    ----------
    orders : int64
        Positions of the orders that `baskets` are of.

    Returns
    -------
    `table` as it is and None where orders are not known to be of several stores.
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
