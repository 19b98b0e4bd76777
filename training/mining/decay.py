"""Time decay: how often a rule holds among recent orders, beside its true counts.

Every order weighs 2^(-age / half-life), age being counted from the last order. Weights are whole
numbers of 1/1024 order, so that sums of them are exact in whatever sequence they are added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine import clock
from engine.cross_sell.recency import UNIT, Recency
from engine.cross_sell.rules import RuleTable
from engine.orders import Baskets
from training.mining.tallies import Tallies

Integers = NDArray[np.int64]


def weights(ordered_at: Integers, half_life_days: float) -> Integers:
    """int64 (n_orders,), in 1/UNIT of an order; 0 beyond some eleven half-lives.

    Args:
        ordered_at: int64 (n_orders,), microseconds.
    """
    age_days = (ordered_at.max(initial=0) - ordered_at) / clock.MICROS_PER_DAY
    return np.rint(UNIT * np.exp2(-age_days / half_life_days)).astype(np.int64)


def recency_of(table: RuleTable, baskets: Baskets, weight: Integers) -> Recency:
    """The weights of the orders behind every count of `table`.

    Args:
        weight: int64 (n_orders,), of each basket.
    """
    n_joint = np.zeros(len(table), dtype=np.int64)
    n_antecedent = np.zeros(len(table), dtype=np.int64)
    tallies = Tallies(baskets)
    for length in np.unique(table.lengths).tolist():
        rules = np.flatnonzero(table.lengths == length)
        part = table.take(rules)
        antecedents = part.antecedent_items.reshape(len(rules), length)
        found = tallies.of_rules(antecedents, part.consequent, weight=weight)
        n_antecedent[rules], n_joint[rules] = found[0][:, 0], found[1][:, 0]
    sizes = np.diff(baskets.indptr)
    of_entry = np.repeat(weight, sizes)
    several = np.repeat(sizes > 1, sizes)
    return Recency(
        n_joint=n_joint,
        n_antecedent=n_antecedent,
        n_orders_of_item=_sums(baskets.items, of_entry, baskets.n_items),
        n_added_of_item=_sums(baskets.items[several], of_entry[several], baskets.n_items),
        n_orders=int(weight.sum()),
    )


def _sums(groups: NDArray[np.integer], weight: Integers, n_groups: int) -> Integers:
    # Sums of integers in floating point are exact up to 2^53.
    return np.bincount(groups, weight, minlength=n_groups).astype(np.int64)
