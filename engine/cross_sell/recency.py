"""Confidence of rules among recent orders, where old orders are to count for less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.cross_sell.rules import RuleTable

UNIT = 1024
"""The weight of an order of today."""
_PRIOR_ORDERS = 1.0
"""Orders' worth of belief that the consequent is bought with A as often as with anything."""


@dataclass(frozen=True, slots=True)
class Recency:
    """Counts in which an order weighs the less the older it is; in 1/UNIT of an order.

    They rank. What is shown as evidence stays the true count of the rule table.

    Attributes
    ----------
    n_joint, n_antecedent
        int64 (n_rules,), of the rules of the table.
    n_orders_of_item, n_added_of_item
        int64 (n_items,), orders that hold the item, and those that hold it beside something else.
    n_orders
        All orders.
    """

    n_joint: NDArray[np.int64]
    n_antecedent: NDArray[np.int64]
    n_orders_of_item: NDArray[np.int64]
    n_added_of_item: NDArray[np.int64]
    n_orders: int

    def confidence(self, table: RuleTable) -> NDArray[np.float64]:
        """Return how often c is in a recent order that holds A; float64 (n_rules,), in [0, 1].

        (n_ac + m p_c) / (n_a + m) with m one order and p_c the share of recent orders that hold c:
        the m-estimate (Cestnik 1990), for there may be few recent orders, or none.
        """
        prior = _PRIOR_ORDERS * UNIT
        base = self.n_orders_of_item[table.consequent] / max(self.n_orders, 1)
        return (self.n_joint + prior * base) / (self.n_antecedent + prior)
