"""Results of mining: rules as integer counts, also of recent orders, and what is beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell import measures

UNIT = 1024
"""The weight of an order of today."""
_PRIOR_ORDERS = 1.0
"""Orders' worth of belief that the consequent is bought with A as often as with anything."""
_STRONGEST = 14.0
"""Strength of a rule that never failed: it is held to fail once in a million orders."""
_CHUNK = 65_536


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


@dataclass(frozen=True, slots=True)
class Affinity:
    """The popularity of items, and the pairs that keep apart."""

    n_orders_of_item: Int64s
    """int64 (n_items,): orders that hold the item."""
    n_added_of_item: Int64s
    """int64 (n_items,): those of them that hold something else too."""
    n_orders: int
    """All orders."""
    repelled: Ragged[np.int32]
    """Ragged of int32 over items; the items bought together with item i significantly less often
    than by chance (upper bound of lift below 1, also when basket sizes are allowed for, so that a
    shop of single-item orders repels nobody)."""
    family_excludes: Bools
    """bool (n_ladders,): by ladder; True where its members substitute for each other (seldom in one
    order), so that none may be cross-sold beside another."""

    def substitutes(self, ladder: Int32s) -> Int32s:
        """Return ladders with -1 for those whose items are bought together; the same shape.

        A ladder that nothing is known of is taken for one of substitutes, which is the safe side.
        """
        combines = np.flatnonzero(~self.family_excludes)
        return np.where(np.isin(ladder, combines), np.int32(-1), ladder)


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """Rules by the first item of their antecedents, those of an item by consequent."""

    consequents: Ragged[np.int32]
    """Ragged of int32: n_items rows, n values in all."""
    strength: Float32s
    """float32 (n,): -log(1 - confidence)."""
    rule: Int32s
    """int32 (n,): position in the rule table."""
    rest: Int32s
    """int32 (n, width): the other items of the antecedent; n_items fills shorter ones."""

    @classmethod
    def of(
        cls, table: RuleTable, rules: Int64s, n_items: int, recency: Recency | None
    ) -> RuleIndex:
        """Return the index of the rules at some positions, each with an item in its antecedent."""
        starts = table.antecedents.indptr[rules]
        order = np.argsort(table.antecedents.values[starts], kind="stable")
        first, consequent = table.antecedents.values[starts[order]], table.consequent[rules[order]]
        # Single-item rules of the canonical order stand so already.
        if ((first[1:] == first[:-1]) & (consequent[1:] < consequent[:-1])).any():
            order = order[np.lexsort((consequent, first))]
        rules, starts = rules[order], starts[order]
        n_first = np.bincount(table.antecedents.values[starts], minlength=n_items)
        lengths = table.antecedents.indptr[rules + 1] - starts
        width = int(lengths.max(initial=1)) - 1
        rest = np.full((len(rules), width), n_items, dtype=np.int32)
        for index in range(width):
            longer = lengths > index + 1
            rest[longer, index] = table.antecedents.values[starts[longer] + index + 1]
        if recency is not None:
            confidence = recency.confidence(table)[rules]
        else:
            confidence = measures.confidence(table.n_joint[rules], table.n_antecedent[rules])
        with np.errstate(divide="ignore"):
            strength = np.minimum(-np.log1p(-confidence), _STRONGEST).astype(np.float32)
        consequents = Ragged.of_lengths(n_first, table.consequent[rules])
        return cls(consequents, strength, rules.astype(np.int32), rest)


@dataclass(frozen=True, slots=True)
class RuleIndexes:
    """All rules of a table that serving looks up, stored so that workers share them."""

    single: RuleIndex
    several: RuleIndex
    """`single`, `several`: rules that attract, with one item in the antecedent, and with more."""
    contrary: RuleIndex
    """Single-item rules of lift below 1."""

    @classmethod
    def of(cls, table: RuleTable, n_items: int, recency: Recency | None) -> RuleIndexes:
        """Return the indexes of a rule table."""
        attracts = np.zeros(len(table), dtype=np.bool_)
        repels = np.zeros(len(table), dtype=np.bool_)
        for start in range(0, len(table), _CHUNK):
            part = slice(start, start + _CHUNK)
            counts = (
                table.n_joint[part],
                table.n_antecedent[part],
                table.n_consequent[part],
                table.n_orders,
            )
            attracts[part] = measures.lift_lower(*counts) > 1
            repels[part] = measures.lift(*counts) < 1
        single = table.lengths == 1
        return cls(
            *(
                RuleIndex.of(table, np.flatnonzero(chosen), n_items, recency)
                for chosen in (attracts & single, attracts & ~single, repels & single)
            )
        )
