"""Rules as integer counts, and the same counts of recent orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell import measures

UNIT = 1024
"""The weight of an order of today."""
_PRIOR_ORDERS = 1.0
"""Orders' worth of belief that the consequent is bought with A as often as with anything."""


@dataclass(frozen=True, slots=True)
class RuleTable:
    """`n` single-consequent rules; counts are stored, measures are derived."""

    antecedents: Ragged[np.int32]
    """Ragged of int32, n rows of dense item indices, ascending."""
    consequent: Int32s
    """int32 (n,)."""
    n_joint: Int64s
    n_antecedent: Int64s
    n_consequent: Int64s
    """`n_joint`, `n_antecedent`, `n_consequent`: int64 (n,), orders."""
    n_orders: int
    """Orders mined."""

    @classmethod
    def empty(cls, n_orders: int = 0) -> RuleTable:
        """Return a table without rules."""
        none32, none64 = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        return cls(Ragged.empty(0, np.int32), none32, none64, none64, none64, n_orders)

    def __len__(self) -> int:
        return len(self.consequent)

    @property
    def lengths(self) -> Int64s:
        """Items in each antecedent; shape (n,)."""
        return self.antecedents.lengths

    def counts(self) -> tuple[Int64s, Int64s, Int64s, int]:
        """In the order every function of `measures` takes them."""
        return self.n_joint, self.n_antecedent, self.n_consequent, self.n_orders

    def confidence(self) -> Float64s:
        """Return the confidence of each rule."""
        return measures.confidence(self.n_joint, self.n_antecedent)

    def lift(self) -> Float64s:
        """Return the lift of each rule."""
        return measures.lift(*self.counts())

    def lift_lower(self) -> Float64s:
        """Return the lower bound of each rule's lift."""
        return measures.lift_lower(*self.counts())

    def take(self, rules: Int64s) -> RuleTable:
        """Return the rules at positions `rules`, in that order."""
        return RuleTable(
            self.antecedents.take(rules),
            self.consequent[rules],
            self.n_joint[rules],
            self.n_antecedent[rules],
            self.n_consequent[rules],
            self.n_orders,
        )

    def sorted(self) -> RuleTable:
        """In the canonical order: antecedent length, antecedent items, consequent.

        Two engines that found the same rules give equal arrays after this.
        """
        if len(self) == 0:
            return self
        lengths = self.lengths
        width = int(lengths.max())
        padded = np.full((len(self), width), -1, dtype=np.int64)
        antecedents = self.antecedents
        column = np.arange(len(antecedents.values)) - np.repeat(antecedents.indptr[:-1], lengths)
        padded[antecedents.owners(), column] = antecedents.values
        keys = [self.consequent, *(padded[:, index] for index in reversed(range(width))), lengths]
        return self.take(np.lexsort(keys))


@dataclass(frozen=True, slots=True)
class Recency:
    """Counts in which an order weighs the less the older it is; in 1/UNIT of an order.

    They rank. What is shown as evidence stays the true count of the rule table.
    """

    n_joint: Int64s
    n_antecedent: Int64s
    """`n_joint`, `n_antecedent`: int64 (n_rules,), of the rules of the table."""
    n_orders_of_item: Int64s
    n_added_of_item: Int64s
    """`n_orders_of_item`, `n_added_of_item`: int64 (n_items,), orders that hold the item, and those
    that hold it beside something else."""
    n_orders: int
    """All orders."""

    def confidence(self, table: RuleTable) -> Float64s:
        """Return how often c is in a recent order that holds A; float64 (n_rules,), in [0, 1].

        (n_ac + m p_c) / (n_a + m) with m one order and p_c the share of recent orders that hold c:
        the m-estimate (Cestnik 1990), for there may be few recent orders, or none.
        """
        prior = _PRIOR_ORDERS * UNIT
        base = self.n_orders_of_item[table.consequent] / max(self.n_orders, 1)
        return (self.n_joint + prior * base) / (self.n_antecedent + prior)
