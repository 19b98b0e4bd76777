"""Which items may stand on one ladder: the shop's families, learned ones, else categories."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.upsell.tiers import CATEGORY, GIVEN, LEARNED, Families
from mersalg.engine.vocabulary import StringTable
from mersalg.training.affinity import pooled
from mersalg.training.upsell.families import LearnedFamilies, learn_families, shared_words
from mersalg.training.upsell.names import stem_of


@dataclass(frozen=True, slots=True)
class Groups:
    """`group`: int64 (n_items,), UNKNOWN where an item has none; then n_groups entries each.

    Attributes
    ----------
    names
        The shop's name of the family or category, or the words of a learned one.
    method : int8
        As of `mersalg.engine.upsell.tiers`.
    similarity, n_together, n_expected
        As there.
    words
        What all members' names share.
    """

    group: NDArray[np.int64]
    names: list[str]
    method: NDArray[np.int8]
    similarity: NDArray[np.float64]
    n_together: NDArray[np.float64]
    n_expected: NDArray[np.float64]
    words: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def is_learned(self, groups: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Bool of the same shape; False for UNKNOWN."""
        if not len(self):
            return np.zeros(groups.shape, dtype=np.bool_)
        return (groups >= 0) & (self.method[np.maximum(groups, 0)] == LEARNED)

    def families(self, chosen: NDArray[np.int64]) -> Families:
        """Return names, methods and evidence of the groups `chosen`, as ladders store them."""
        return Families(
            StringTable.from_texts([self.names[group] for group in chosen.tolist()]),
            self.method[chosen],
            self.similarity[chosen],
            self.n_together[chosen],
            self.n_expected[chosen],
            StringTable.from_texts([self.words[group] for group in chosen.tolist()]),
        )


def groups_of(catalogue: Catalogue, learned: LearnedFamilies | None = None) -> Groups:
    """Group of each item: its family, else the one that was learned, else its category."""
    learned = learned or LearnedFamilies.none(len(catalogue))
    n_given, n_learned = len(catalogue.family_names), len(learned.names)
    group = np.where(
        catalogue.family >= 0,
        catalogue.family,
        np.where(
            learned.family >= 0,
            learned.family + n_given,
            np.where(catalogue.category >= 0, catalogue.category + n_given + n_learned, UNKNOWN),
        ),
    ).astype(np.int64)
    n_categories = len(catalogue.category_names)
    method = np.repeat([GIVEN, LEARNED, CATEGORY], [n_given, n_learned, n_categories])
    n_groups = len(method)
    similarity = np.full(n_groups, np.nan)
    similarity[n_given : n_given + n_learned] = learned.similarity
    return Groups(
        group,
        [*catalogue.family_names, *learned.names, *catalogue.category_names],
        method.astype(np.int8),
        similarity,
        np.zeros(n_groups),
        np.zeros(n_groups),
        [""] * n_groups,
    )


def find_groups(catalogue: Catalogue, baskets: Baskets, progress: Progress) -> Groups:
    """Return the groups, with families learned where the shop names none, and their reasons."""
    groups = groups_of(catalogue, learn_families(catalogue, baskets, progress))
    met, expected = pooled(baskets, groups.group, len(groups))
    stems: list[list[str]] = [[] for _ in range(len(groups))]
    for item in np.flatnonzero(groups.group >= 0).tolist():
        stems[int(groups.group[item])].append(stem_of(catalogue.names[item]))
    words = [" ".join(shared_words(members)) if members else "" for members in stems]
    return replace(groups, n_together=met, n_expected=expected, words=words)
