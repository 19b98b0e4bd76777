"""Where sets of items stand: the orders that hold a rule's antecedent, and those with it whole.

Mining lists what is frequent; this looks up what is asked for, in any orders. Every count of a rule
in a part of the orders (those of a store, the new ones, each with its weight) is a sum over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.orders import Baskets

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One antecedent, and the rules that begin with it.

    Attributes:
        rules: int64 (k,), their positions.
        holders: int64 (n_antecedent,), the orders that hold the antecedent, ascending.
        slots, orders: int64 (n_hits,), one entry for each rule of `rules` (a place in it) and each
            order that holds the whole rule.
    """

    rules: Integers
    holders: Integers
    slots: Integers
    orders: Integers


class Occurrences:
    """Baskets, filed by item."""

    def __init__(self, baskets: Baskets) -> None:
        self._baskets = baskets
        sizes = np.diff(baskets.indptr)
        order_of_entry = np.repeat(np.arange(baskets.n_orders, dtype=np.int64), sizes)
        self._orders_by_item = order_of_entry[np.argsort(baskets.items, kind="stable")]
        self._bounds = np.zeros(baskets.n_items + 1, dtype=np.int64)
        np.cumsum(baskets.item_counts(), out=self._bounds[1:])
        self._slot = np.full(baskets.n_items, -1, dtype=np.int64)

    def orders_of(self, item: int) -> Integers:
        """The orders that hold `item`, ascending."""
        return self._orders_by_item[self._bounds[item] : self._bounds[item + 1]]

    def of(
        self, antecedents: NDArray[np.int32], consequents: NDArray[np.int32]
    ) -> Iterator[Occurrence]:
        """Every distinct antecedent of one length, in lexicographic order.

        Args:
            antecedents: (n, length >= 1), each row ascending.
            consequents: (n,), not in their row; no rule stands twice.
        """
        if not len(consequents):
            return
        sequence = np.lexsort(antecedents.T[::-1])
        rows = antecedents[sequence]
        changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
        bounds = [0, *changes.tolist(), len(rows)]
        prefix: list[tuple[int, Integers]] = []
        for start, stop in pairwise(bounds):
            holders = self._holders(rows[start].tolist(), prefix)
            rules = sequence[start:stop]
            slots, orders = self._hits(holders, consequents[rules])
            yield Occurrence(rules, holders, slots, orders)

    def _holders(self, antecedent: Sequence[int], prefix: list[tuple[int, Integers]]) -> Integers:
        """Orders of `antecedent`; those of what it shares with the one before stand in `prefix`."""
        shared = 0
        while shared < len(prefix) and prefix[shared][0] == antecedent[shared]:
            shared += 1
        del prefix[shared:]
        for item in antecedent[shared:]:
            orders = self.orders_of(item)
            prefix.append((item, _common(prefix[-1][1], orders) if prefix else orders))
        return prefix[-1][1]

    def _hits(self, holders: Integers, consequents: NDArray[np.int32]) -> tuple[Integers, Integers]:
        starts = self._baskets.indptr[holders]
        lengths = self._baskets.indptr[holders + 1] - starts
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        entries = np.arange(total, dtype=np.int64) + np.repeat(starts - ends + lengths, lengths)
        self._slot[consequents] = np.arange(len(consequents))
        slots = self._slot[self._baskets.items[entries]]
        self._slot[consequents] = -1
        found = np.flatnonzero(slots >= 0)
        return slots[found], np.repeat(holders, lengths)[found]


def count_sets(rows: NDArray[np.int32], occurrences: Occurrences) -> Integers:
    """Orders that hold each of `rows`, distinct sets (n, length), ascending inside; int64 (n,)."""
    counts = np.zeros(len(rows), dtype=np.int64)
    if rows.shape[1] == 1:
        for place, item in enumerate(rows[:, 0].tolist()):
            counts[place] = len(occurrences.orders_of(item))
        return counts
    for found in occurrences.of(rows[:, :-1], rows[:, -1]):
        counts[found.rules] = np.bincount(found.slots, minlength=len(found.rules))
    return counts


def _common(left: Integers, right: Integers) -> Integers:
    """Values in both of two ascending arrays, by look-ups of the shorter in the longer."""
    if not len(left) or not len(right):
        return left[:0]
    few, many = (left, right) if len(left) <= len(right) else (right, left)
    places = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return few[many[places] == few]
