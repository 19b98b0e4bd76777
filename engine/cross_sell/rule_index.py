"""Rules by the first item of their antecedents, as a cart looks for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Float32s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.rules import Recency, RuleTable

_STRONGEST = 14.0
"""Strength of a rule that never failed: it is held to fail once in a million orders."""
_CHUNK = 65_536


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
