"""Rules as integer counts, with an index from items to the rules they can fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell import measures


@dataclass(frozen=True, slots=True)
class RuleTable:
    """`n` single-consequent rules; counts are stored, measures are derived.

    Attributes:
        antecedent_indptr: int64 (n + 1,); antecedent of rule r is
            `antecedent_items[antecedent_indptr[r]:antecedent_indptr[r + 1]]`, ascending.
        antecedent_items: int32, dense item indices.
        consequent: int32 (n,).
        n_joint, n_antecedent, n_consequent: int64 (n,), orders.
        n_orders: orders mined.
    """

    antecedent_indptr: NDArray[np.int64]
    antecedent_items: NDArray[np.int32]
    consequent: NDArray[np.int32]
    n_joint: NDArray[np.int64]
    n_antecedent: NDArray[np.int64]
    n_consequent: NDArray[np.int64]
    n_orders: int

    @classmethod
    def empty(cls, n_orders: int = 0) -> RuleTable:
        none32, none64 = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        return cls(np.zeros(1, dtype=np.int64), none32, none32, none64, none64, none64, n_orders)

    def __len__(self) -> int:
        return len(self.consequent)

    def antecedent(self, rule: int) -> NDArray[np.int32]:
        start, stop = self.antecedent_indptr[rule], self.antecedent_indptr[rule + 1]
        return self.antecedent_items[start:stop]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items in each antecedent; shape (n,)."""
        return np.diff(self.antecedent_indptr)

    def counts(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
        """In the order every function of `measures` takes them."""
        return self.n_joint, self.n_antecedent, self.n_consequent, self.n_orders

    def confidence(self) -> NDArray[np.float64]:
        return measures.confidence(self.n_joint, self.n_antecedent)

    def lift(self) -> NDArray[np.float64]:
        return measures.lift(*self.counts())

    def lift_lower(self) -> NDArray[np.float64]:
        return measures.lift_lower(*self.counts())

    def take(self, rules: NDArray[np.int64]) -> RuleTable:
        """The rules at positions `rules`, in that order."""
        lengths = self.lengths[rules]
        indptr = np.zeros(len(rules) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        inside = np.arange(int(indptr[-1]), dtype=np.int64) - np.repeat(indptr[:-1], lengths)
        return RuleTable(
            indptr,
            self.antecedent_items[np.repeat(self.antecedent_indptr[rules], lengths) + inside],
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
        column = np.arange(len(self.antecedent_items)) - np.repeat(
            self.antecedent_indptr[:-1], lengths
        )
        padded[np.repeat(np.arange(len(self)), lengths), column] = self.antecedent_items
        keys = [self.consequent, *(padded[:, place] for place in reversed(range(width))), lengths]
        return self.take(np.lexsort(keys))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "antecedent_indptr": self.antecedent_indptr,
            "antecedent_items": self.antecedent_items,
            "consequent": self.consequent,
            "n_joint": self.n_joint,
            "n_antecedent": self.n_antecedent,
            "n_consequent": self.n_consequent,
            "n_orders": np.array([self.n_orders], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> RuleTable:
        return cls(
            np.asarray(arrays["antecedent_indptr"], dtype=np.int64),
            np.asarray(arrays["antecedent_items"], dtype=np.int32),
            np.asarray(arrays["consequent"], dtype=np.int32),
            np.asarray(arrays["n_joint"], dtype=np.int64),
            np.asarray(arrays["n_antecedent"], dtype=np.int64),
            np.asarray(arrays["n_consequent"], dtype=np.int64),
            int(arrays["n_orders"][0]),
        )


@dataclass(frozen=True, slots=True)
class AntecedentIndex:
    """Which rules an item can help to fire: each rule is filed under its first antecedent item.

    Attributes:
        indptr: int64 (n_items + 1,).
        rules: int64 (n_rules,), rule positions.
    """

    indptr: NDArray[np.int64]
    rules: NDArray[np.int64]

    @classmethod
    def build(cls, table: RuleTable, n_items: int) -> AntecedentIndex:
        first = table.antecedent_items[table.antecedent_indptr[:-1]] if len(table) else None
        if first is None:
            return cls(np.zeros(n_items + 1, dtype=np.int64), np.zeros(0, dtype=np.int64))
        indptr = np.zeros(n_items + 1, dtype=np.int64)
        np.cumsum(np.bincount(first, minlength=n_items), out=indptr[1:])
        return cls(indptr, np.argsort(first, kind="stable").astype(np.int64))

    def rules_of(self, item: int) -> NDArray[np.int64]:
        return self.rules[self.indptr[item] : self.indptr[item + 1]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"index_indptr": self.indptr, "index_rules": self.rules}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> AntecedentIndex:
        return cls(
            np.asarray(arrays["index_indptr"], dtype=np.int64),
            np.asarray(arrays["index_rules"], dtype=np.int64),
        )
