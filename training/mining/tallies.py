"""How often given rules stand in given orders.

Mining lists what is frequent; this looks up what is asked for, in any orders: the new ones, each
with its weight, or each in its part (a store).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.orders import Baskets

Integers = NDArray[np.int64]
Rows = NDArray[np.int32]


class Tallies:
    """Baskets, filed by item."""

    def __init__(self, baskets: Baskets) -> None:
        # Numba takes half a second to load: only who counts waits for it.
        from training.mining import tally_kernels

        self._kernels = tally_kernels
        self._indptr = np.ascontiguousarray(baskets.indptr, dtype=np.int64)
        self._items = np.ascontiguousarray(baskets.items, dtype=np.int32)
        self._slot = np.full(baskets.n_items, -1, dtype=np.int64)
        self._first, self._orders = tally_kernels.orders_by_item(
            self._indptr, self._items, baskets.n_items
        )

    @property
    def n_orders(self) -> int:
        return len(self._indptr) - 1

    def of_rules(
        self,
        antecedents: Rows,
        consequents: Rows,
        *,
        part: Integers | None = None,
        n_parts: int = 1,
        weight: Integers | None = None,
    ) -> tuple[Integers, Integers]:
        """The orders with each antecedent, and with each rule: two arrays (n, n_parts), int64.

        Args:
            antecedents: (n, length >= 1), each row ascending.
            consequents: (n,), not in their row; no rule stands twice.
            part: int64 (n_orders,), in 0..n_parts - 1; where not given there is one part.
            weight: int64 (n_orders,); where not given every order counts 1.
        """
        n_rules = len(consequents)
        sequence = np.lexsort(antecedents.T[::-1])
        rows = np.ascontiguousarray(antecedents[sequence], dtype=np.int32)
        starts = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
        n_antecedent = np.zeros((n_rules, n_parts), dtype=np.int64)
        n_joint = np.zeros((n_rules, n_parts), dtype=np.int64)
        if n_rules:
            self._kernels.tally(
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

    def of_sets(self, sets: Rows) -> Integers:
        """The orders with each of `sets`, distinct rows (n, length), ascending; int64 (n,)."""
        if sets.shape[1] == 1:
            return np.diff(self._first)[sets[:, 0]]
        return self.of_rules(sets[:, :-1], sets[:, -1])[1][:, 0]

    def of_items(self, items: Rows, *, part: Integers, n_parts: int) -> Integers:
        """The orders with each of `items`, (n,), in each part; int64 (n, n_parts)."""
        wanted = np.ascontiguousarray(items, dtype=np.int32)
        return self._kernels.tally_items(
            self._first, self._orders, wanted, self._of_orders(part, 0), n_parts
        )

    def _of_orders(self, values: Integers | None, otherwise: int) -> Integers:
        if values is None:
            return np.full(self.n_orders, otherwise, dtype=np.int64)
        return np.ascontiguousarray(values, dtype=np.int64)
