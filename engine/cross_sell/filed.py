"""Rules by the first item of their antecedents, as a cart looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell import measures
from engine.cross_sell.recency import Recency
from engine.cross_sell.rules import RuleTable

Items = NDArray[np.int32]

_WAY = 1
"""Grows with every change of what the arrays mean."""
_STRONGEST = 14.0
"""Strength of a rule that never failed: it is held to fail once in a million orders."""
_CHUNK = 65_536


def row_slices(indptr: NDArray[np.int64], rows: Items) -> list[slice]:
    """Where the rows of a CSR matrix lie, one slice a row."""
    starts, stops = indptr[rows].tolist(), indptr[rows + 1].tolist()
    return [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]


@dataclass(frozen=True, slots=True)
class Filed:
    """Rules by their first antecedent item, and of each by consequent; `strength` is
    -log(1 - confidence).

    Attributes:
        indptr: int64 (n_items + 1,).
        consequent: int32 (n,).
        strength: float32 (n,).
        rule: int32 (n,), position in the rule table.
        rest: int32 (n, width), the other antecedent items; n_items fills shorter ones.
    """

    indptr: NDArray[np.int64]
    consequent: Items
    strength: NDArray[np.float32]
    rule: NDArray[np.int32]
    rest: Items

    @classmethod
    def file(
        cls, table: RuleTable, rules: NDArray[np.int64], n_items: int, recency: Recency | None
    ) -> Filed:
        """`rules` are positions of rules that have at least one antecedent item."""
        starts = table.antecedent_indptr[rules]
        order = np.argsort(table.antecedent_items[starts], kind="stable")
        first, consequent = table.antecedent_items[starts[order]], table.consequent[rules[order]]
        # Single-item rules of the canonical order stand so already.
        if ((first[1:] == first[:-1]) & (consequent[1:] < consequent[:-1])).any():
            order = order[np.lexsort((consequent, first))]
        rules, starts = rules[order], starts[order]
        indptr = np.zeros(n_items + 1, dtype=np.int64)
        first = table.antecedent_items[starts]
        np.cumsum(np.bincount(first, minlength=n_items), out=indptr[1:])
        lengths = table.antecedent_indptr[rules + 1] - starts
        width = int(lengths.max(initial=1)) - 1
        rest = np.full((len(rules), width), n_items, dtype=np.int32)
        for place in range(width):
            longer = lengths > place + 1
            rest[longer, place] = table.antecedent_items[starts[longer] + place + 1]
        if recency is not None:
            confidence = recency.confidence(table)[rules]
        else:
            confidence = measures.confidence(table.n_joint[rules], table.n_antecedent[rules])
        with np.errstate(divide="ignore"):
            strength = np.minimum(-np.log1p(-confidence), _STRONGEST).astype(np.float32)
        return cls(indptr, table.consequent[rules], strength, rules.astype(np.int32), rest)

    def slices(self, cart: Items) -> list[slice]:
        return row_slices(self.indptr, cart)

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        return {
            f"{name}_indptr": self.indptr,
            f"{name}_consequent": self.consequent,
            f"{name}_strength": self.strength,
            f"{name}_rule": self.rule,
            f"{name}_rest": self.rest,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> Filed:
        return cls(
            np.asarray(arrays[f"{name}_indptr"], dtype=np.int64),
            np.asarray(arrays[f"{name}_consequent"], dtype=np.int32),
            np.asarray(arrays[f"{name}_strength"], dtype=np.float32),
            np.asarray(arrays[f"{name}_rule"], dtype=np.int32),
            np.asarray(arrays[f"{name}_rest"], dtype=np.int32),
        )


@dataclass(frozen=True, slots=True)
class FiledRules:
    """All rules of a table that serving looks up, kept in a version so that workers share them."""

    single: Filed
    several: Filed
    contrary: Filed
    """Single-item rules that say the opposite: lift below 1."""

    @classmethod
    def file(cls, table: RuleTable, n_items: int, recency: Recency | None) -> FiledRules:
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
                Filed.file(table, np.flatnonzero(chosen), n_items, recency)
                for chosen in (attracts & single, attracts & ~single, repels & single)
            )
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """With the number of the way they are filed in."""
        return {
            "way": np.array([_WAY], dtype=np.int64),
            **self.single.to_arrays("single"),
            **self.several.to_arrays("several"),
            **self.contrary.to_arrays("contrary"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> FiledRules | None:
        """None where they were filed in another way: then they are filed anew."""
        if int(arrays["way"][0]) != _WAY:
            return None
        return cls(*(Filed.from_arrays(arrays, name) for name in ("single", "several", "contrary")))
