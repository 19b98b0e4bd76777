"""Rules store by store: the counts behind each, and where the stores speak against the whole.

A rule can hold in all orders together and in no store by itself: where the stores that sell much
of A also sell much of c, for whatever reason (Simpson 1951). What the stores say when each is asked
alone is the common odds ratio of Mantel and Haenszel (1959).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from engine.vocabulary import StringTable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AGREES, MIXED, CONTRADICTED = 0, 1, 2
"""Flags of a rule: no store surely opposes it; some store does; the stores together do."""


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Counts of each rule of a table in each store that holds its antecedent.

    Attributes:
        indptr: int64 (n_rules + 1,); the cells of rule r are `indptr[r]:indptr[r + 1]`.
        store: int32 (n_cells,), ascending inside a rule; the number of stores stands for orders
            of which the store is not known.
        n_joint, n_antecedent, n_consequent: int32 (n_cells,), orders of that store.
        flag: int8 (n_rules,), AGREES, MIXED or CONTRADICTED.
        log_odds: float64 (n_rules,), of the Mantel-Haenszel odds ratio over all stores.
    """

    indptr: Integers
    store: NDArray[np.int32]
    n_joint: NDArray[np.int32]
    n_antecedent: NDArray[np.int32]
    n_consequent: NDArray[np.int32]
    flag: NDArray[np.int8]
    log_odds: Floats

    def __len__(self) -> int:
        return len(self.flag)

    def take(self, rules: Integers) -> StoreCounts:
        """The rules at positions `rules`, in that order."""
        lengths = np.diff(self.indptr)[rules]
        indptr = np.zeros(len(rules) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        inside = np.arange(int(indptr[-1]), dtype=np.int64) - np.repeat(indptr[:-1], lengths)
        cells = np.repeat(self.indptr[rules], lengths) + inside
        return StoreCounts(
            indptr,
            self.store[cells],
            self.n_joint[cells],
            self.n_antecedent[cells],
            self.n_consequent[cells],
            self.flag[rules],
            self.log_odds[rules],
        )

    def shrunk_confidence(self, table: RuleTable) -> Floats:
        """The confidence of each cell, drawn to that of all stores; float64 (n_cells,).

        (n_ac + M mu) / (n_a + M), mu being the rule's confidence in all orders: the mean of a beta
        posterior. How far stores differ is taken from the stores themselves (empirical Bayes), by
        the moments of the beta-binomial (Kleinman 1973): with K stores, N their orders with A and
        S the sum over stores of n_a (p - mu)^2, the share rho of the variance that lies between
        stores makes S / (mu (1 - mu)) come to K - 1 + rho (N - sum n_a^2 / N - K + 1); and
        M = (1 - rho) / rho. Where the stores differ no more than chance lets them, all are mu.
        """
        n_rules = len(self)
        rule = np.repeat(np.arange(n_rules), np.diff(self.indptr))
        n_a, n_ac = self.n_antecedent.astype(np.float64), self.n_joint.astype(np.float64)
        mean = table.confidence()
        variance = mean * (1 - mean)

        def total(values: Floats) -> Floats:
            return np.bincount(rule, values, minlength=n_rules).astype(np.float64)

        spread = total(n_a * (n_ac / n_a - mean[rule]) ** 2)
        orders, squares = total(n_a), total(n_a**2)
        freedom = np.diff(self.indptr) - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = (spread / variance - freedom) / (orders - squares / orders - freedom)
            rho = np.clip(np.where(np.isfinite(rho), rho, 0.0), 0.0, 1.0)
            prior = (1 - rho) / rho
            shrunk = (n_ac + prior[rule] * mean[rule]) / (n_a + prior[rule])
        return np.where(np.isfinite(prior[rule]), shrunk, mean[rule])

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> StoreCounts:
        return cls(
            np.asarray(arrays["indptr"], dtype=np.int64),
            np.asarray(arrays["store"], dtype=np.int32),
            np.asarray(arrays["n_joint"], dtype=np.int32),
            np.asarray(arrays["n_antecedent"], dtype=np.int32),
            np.asarray(arrays["n_consequent"], dtype=np.int32),
            np.asarray(arrays["flag"], dtype=np.int8),
            np.asarray(arrays["log_odds"], dtype=np.float64),
        )


@dataclass(frozen=True, slots=True)
class Stores:
    """What the stores of a shop say of its rules.

    Attributes:
        store_ids: n_stores external ids.
        n_orders: int64 (n_stores + 1,), orders of each, last those of which no store is known.
        offered: of the rules of the model.
        contradicted_rules, contradicted: rules that are not offered, for the stores contradict
            them, and their counts.
    """

    store_ids: StringTable
    n_orders: Integers
    offered: StoreCounts
    contradicted_rules: RuleTable
    contradicted: StoreCounts

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        parts = {
            "offered": self.offered.to_arrays(),
            "contradicted": self.contradicted.to_arrays(),
            "rules": self.contradicted_rules.to_arrays(),
        }
        return {
            **self.store_ids.to_arrays("store_ids"),
            "n_orders": self.n_orders,
            **{
                f"{part}_{name}": array
                for part, arrays in parts.items()
                for name, array in arrays.items()
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Stores:
        def part(prefix: str) -> dict[str, NDArray[np.generic]]:
            return {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

        return cls(
            StringTable.from_arrays(arrays, "store_ids"),
            np.asarray(arrays["n_orders"], dtype=np.int64),
            StoreCounts.from_arrays(part("offered_")),
            RuleTable.from_arrays(part("rules_")),
            StoreCounts.from_arrays(part("contradicted_")),
        )
