"""Items that came after the training: they go by the trained items of their family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s
from mersalg.engine.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Newcomers:
    """New items, of dense indices from `first`, in groups of those with the same siblings."""

    first: int
    """Number of trained items."""
    by_family: Int32s
    by_category: Int32s
    """`by_family`, `by_category`: int32 (first,): the group whose siblings each trained item
    belongs to, by what the group goes by; -1 where there is none."""
    items: Int32s
    groups: Int32s
    """`items`, `groups`: int32 (n,): new items that have siblings, ascending, and the group of
    each."""
    ladder: Int32s
    """int32 (n_new,): the ladder that most siblings of each new item are on, -1 where there is
    none."""
    stand_ins: tuple[Int32s, ...]
    """The siblings of each group, those of most orders first."""

    @classmethod
    def of(cls, catalogue: Catalogue, ladder_of: Int32s, bought: Int64s) -> Self:
        """Group the items that a catalogue has beyond those that were trained.

        `ladder_of` and `bought`, (n_trained,), are the ladder and number of orders of these.
        """
        first = len(bought)
        counts: dict[tuple[str, int], int] = {}
        marks = {name: np.full(first, -1, np.int32) for name in ("family", "category")}
        items: list[int] = []
        groups: list[int] = []
        stand_ins: list[Int32s] = []
        ladder = np.full(len(catalogue) - first, -1, dtype=np.int32)
        for item in range(first, len(catalogue)):
            for name, codes in (("family", catalogue.family), ("category", catalogue.category)):
                code = codes.item(item)
                group = counts.get((name, code))
                if group is None and code >= 0:
                    siblings = np.flatnonzero(codes[:first] == code).astype(np.int32)
                    if not len(siblings):
                        continue
                    group = counts[name, code] = len(stand_ins)
                    marks[name][siblings] = group
                    stand_ins.append(siblings[np.argsort(-bought[siblings], kind="stable")])
                if group is not None:
                    items.append(item)
                    groups.append(group)
                    ladders = ladder_of[stand_ins[group]]
                    ladders = ladders[ladders >= 0]
                    if len(ladders):
                        ladder[item - first] = np.bincount(ladders).argmax()
                    break
        return cls(
            first,
            marks["family"],
            marks["category"],
            np.array(items, dtype=np.int32),
            np.array(groups, dtype=np.int32),
            ladder,
            tuple(stand_ins),
        )

    def with_stand_ins(self, cart: Int32s) -> Int32s:
        """Return the trained items of a cart, ascending, with a sibling for each new one.

        The sibling is that of most orders which the cart does not hold.
        """
        held = set(cart[cart < self.first].tolist())
        for item in cart[cart >= self.first].tolist():
            groups: list[int] = self.groups[self.items == item].tolist()
            for group in groups:
                siblings: list[int] = self.stand_ins[group].tolist()
                held.update([sibling for sibling in siblings if sibling not in held][:1])
        return np.array(sorted(held), dtype=np.int32)

    def ranked(self, items: Int32s, scores: Float64s, on_sale: Bools) -> tuple[Int32s, Float64s]:
        """Return the new items whose siblings are among trained candidates, with their scores.

        A score is the lowest of the siblings that are on sale, else the highest of the others.
        """
        best = np.full(len(self.stand_ins), -1.0)
        least = np.full(len(self.stand_ins), np.inf)
        for groups in (self.by_family, self.by_category):
            group = groups[items]
            has_group = group >= 0
            np.maximum.at(best, group[has_group], scores[has_group])
            np.minimum.at(least, group[has_group & on_sale], scores[has_group & on_sale])
        score = np.where(np.isfinite(least), least, best)[self.groups]
        is_scored = score >= 0
        return self.items[is_scored], score[is_scored]
