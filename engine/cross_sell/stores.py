"""Rules store by store: the counts behind each, and where the stores speak against the whole.

A rule can hold in all orders together and in no store by itself: where the stores that sell much
of A also sell much of c, for whatever reason (Simpson 1951). What the stores say when each is asked
alone is the common odds ratio of Mantel and Haenszel (1959).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.vocabulary import StringTable

AGREES, MIXED, CONTRADICTED = 0, 1, 2
"""Flags of a rule: no store surely opposes it; some store does; the stores together do."""


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Counts of each rule of a table in each store that holds its antecedent."""

    stores: Ragged[np.int32]
    """Ragged of int32, n_rules rows of n_cells in all, ascending inside a rule; the number of
    stores means orders whose store is not known."""
    n_joint: Int32s
    n_antecedent: Int32s
    n_consequent: Int32s
    """`n_joint`, `n_antecedent`, `n_consequent`: int32 (n_cells,), orders of that store."""
    flag: NDArray[np.int8]
    """int8 (n_rules,): AGREES, MIXED or CONTRADICTED."""
    log_odds: Float64s
    """float64 (n_rules,): of the Mantel-Haenszel odds ratio over all stores."""

    def __len__(self) -> int:
        return len(self.flag)

    def take(self, rules: Int64s) -> StoreCounts:
        """Return the rules at positions `rules`, in that order."""
        cells = self.stores.places(rules)
        return StoreCounts(
            self.stores.take(rules),
            self.n_joint[cells],
            self.n_antecedent[cells],
            self.n_consequent[cells],
            self.flag[rules],
            self.log_odds[rules],
        )

    def shrunk_confidence(self, table: RuleTable) -> Float64s:
        """Return the confidence of each cell, drawn to that of all stores; float64 (n_cells,).

        (n_ac + M mu) / (n_a + M), mu being the rule's confidence in all orders: the mean of a beta
        posterior. How far stores differ is taken from the stores themselves (empirical Bayes), by
        the moments of the beta-binomial (Kleinman 1973): with K stores, N their orders with A and
        S the sum over stores of n_a (p - mu)^2, the share rho of the variance that is between
        stores makes S / (mu (1 - mu)) come to K - 1 + rho (N - sum n_a^2 / N - K + 1); and
        M = (1 - rho) / rho. Where the stores differ no more than chance lets them, all are mu.
        """
        n_rules = len(self)
        rule = self.stores.owners()
        n_a, n_ac = self.n_antecedent.astype(np.float64), self.n_joint.astype(np.float64)
        mean = table.confidence()
        variance = mean * (1 - mean)

        def total(values: Float64s) -> Float64s:
            return np.bincount(rule, values, minlength=n_rules).astype(np.float64)

        spread = total(n_a * (n_ac / n_a - mean[rule]) ** 2)
        orders, squares = total(n_a), total(n_a**2)
        freedom = self.stores.lengths - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = (spread / variance - freedom) / (orders - squares / orders - freedom)
            rho = np.clip(np.where(np.isfinite(rho), rho, 0.0), 0.0, 1.0)
            prior = (1 - rho) / rho
            shrunk = (n_ac + prior[rule] * mean[rule]) / (n_a + prior[rule])
        return np.where(np.isfinite(prior[rule]), shrunk, mean[rule])


@dataclass(frozen=True, slots=True)
class Stores:
    """Agreement of the stores of a shop with its rules."""

    store_ids: StringTable
    """n_stores external ids."""
    n_orders: Int64s
    """int64 (n_stores + 1,): orders of each, last those of which no store is known."""
    offered: StoreCounts
    """Of the rules of the model."""
    contradicted_rules: RuleTable
    contradicted: StoreCounts
    """`contradicted_rules`, `contradicted`: rules that are not offered, for the stores contradict
    them, and their counts."""
