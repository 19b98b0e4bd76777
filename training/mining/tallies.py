"""Counts of given rules in given orders, each with a weight or in a part (a store).

Mining lists what is frequent; this looks up what is asked for. Time decay is one use of it: every
order weighs 2^(-age / half-life), age being counted from the last order. Weights are whole numbers
of 1/1024 order, so that sums of them are exact in whatever sequence they are added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mersalg.engine import clock
from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.cross_sell.rules import UNIT, Recency, RuleTable
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets


class Tallies:
    """Baskets, filed by item."""

    def __init__(self, baskets: Baskets) -> None:
        self._indptr = np.ascontiguousarray(baskets.indptr, dtype=np.int64)
        self._items = np.ascontiguousarray(baskets.items, dtype=np.int32)
        self._slot = np.full(baskets.n_items, -1, dtype=np.int64)
        first = np.zeros(baskets.n_items + 2, dtype=np.int64)
        self._orders = np.empty(len(self._items), dtype=np.int64)
        kernels.orders_by_item(self._indptr, self._items, first, self._orders)
        self._first = first[:-1]

    @property
    def n_orders(self) -> int:
        """Number of orders."""
        return len(self._indptr) - 1

    def of_rules(
        self,
        antecedents: Int32s,
        consequents: Int32s,
        *,
        part: Int64s | None = None,
        n_parts: int = 1,
        weight: Int64s | None = None,
    ) -> tuple[Int64s, Int64s]:
        """Return the orders with each antecedent, and with each rule: two int64 (n, n_parts).

        Parameters
        ----------
        antecedents
            (n, length >= 1), each row ascending.
        consequents
            (n,), not in their row; no rule is listed twice.
        part : int64 (n_orders,)
            In 0..n_parts - 1; where not given there is one part.
        weight : int64 (n_orders,)
            Where not given every order counts 1.
        """
        n_rules = len(consequents)
        sequence = np.lexsort(antecedents.T[::-1])
        rows = np.ascontiguousarray(antecedents[sequence], dtype=np.int32)
        starts = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
        n_antecedent = np.zeros((n_rules, n_parts), dtype=np.int64)
        n_joint = np.zeros((n_rules, n_parts), dtype=np.int64)
        if n_rules:
            kernels.tally(
                self._indptr,
                self._items,
                self._first,
                self._orders,
                rows[starts],
                np.append(starts, n_rules),
                np.ascontiguousarray(consequents[sequence], dtype=np.int32),
                self._of_orders(part, 0),
                self._of_orders(weight, 1),
                self._slot,
                n_antecedent,
                n_joint,
            )
        back = np.empty(n_rules, dtype=np.int64)
        back[sequence] = np.arange(n_rules)
        return n_antecedent[back], n_joint[back]

    def of_items(self, items: Int32s, *, part: Int64s, n_parts: int) -> Int64s:
        """Return the orders with each of `items`, (n,), in each part; int64 (n, n_parts)."""
        wanted = np.ascontiguousarray(items, dtype=np.int32)
        n_held = np.zeros((len(wanted), n_parts), dtype=np.int64)
        kernels.tally_items(self._first, self._orders, wanted, self._of_orders(part, 0), n_held)
        return n_held

    def _of_orders(self, values: Int64s | None, otherwise: int) -> Int64s:
        if values is None:
            return np.full(self.n_orders, otherwise, dtype=np.int64)
        return np.ascontiguousarray(values, dtype=np.int64)


def weights(ordered_at: Int64s, half_life_days: float) -> Int64s:
    """Return the weight of each order, int64 (n_orders,) in 1/UNIT; 0 after eleven half-lives.

    Parameters
    ----------
    ordered_at : int64 (n_orders,)
        Microseconds.
    """
    age_days = (ordered_at.max(initial=0) - ordered_at) / clock.MICROS_PER_DAY
    return np.rint(UNIT * np.exp2(-age_days / half_life_days)).astype(np.int64)


def recency_of(table: RuleTable, baskets: Baskets, weight: Int64s) -> Recency:
    """Return the weights of the orders behind every count of `table`.

    Parameters
    ----------
    weight : int64 (n_orders,)
        Of each basket.
    """
    n_joint = np.zeros(len(table), dtype=np.int64)
    n_antecedent = np.zeros(len(table), dtype=np.int64)
    tallies = Tallies(baskets)
    for length in np.unique(table.lengths).tolist():
        rules = np.flatnonzero(table.lengths == length)
        part = table.take(rules)
        antecedents = part.antecedents.values.reshape(len(rules), length)
        tally = tallies.of_rules(antecedents, part.consequent, weight=weight)
        n_antecedent[rules], n_joint[rules] = tally[0][:, 0], tally[1][:, 0]
    sizes = baskets.sizes
    of_entry = np.repeat(weight, sizes)
    several = np.repeat(sizes > 1, sizes)
    return Recency(
        n_joint=n_joint,
        n_antecedent=n_antecedent,
        n_orders_of_item=_sums(baskets.items, of_entry, baskets.n_items),
        n_added_of_item=_sums(baskets.items[several], of_entry[several], baskets.n_items),
        n_orders=int(weight.sum()),
    )


def _sums(groups: NDArray[np.integer], weight: Int64s, n_groups: int) -> Int64s:
    # Sums of integers in floating point are exact up to 2^53.
    return np.bincount(groups, weight, minlength=n_groups).astype(np.int64)
