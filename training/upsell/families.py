"""Families learned from names and baskets, for items of which the shop names none.

Items are of one family where they are of one category (or of none), are called alike, and keep out
of each other's orders. Names alike but for size or grade are one unit; units join by complete
linkage, so that no family holds a pair that is bought together on purpose.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.cross_sell import measures
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.upsell.tiers import CATEGORY, GIVEN, LEARNED, Families
from mersalg.engine.vocabulary import StringTable
from mersalg.training.affinity import pooled, size_adjusted
from mersalg.training.upsell.names import (
    design_words,
    share_a_kind,
    similar_pairs,
    stem_of,
    vectors_of,
    words_of,
)

ALIKE = 0.6
"""Likeness of names that makes a family, where baskets do not speak against it."""
ALIKE_AND_APART = 0.35
"""The same, where baskets surely speak for it."""
MIN_EXPECTED = 5.0
"""Orders chance must promise before items that never meet are surely apart."""
CLEARLY_APART = 0.5
"""Share of the orders chance promises, below which items that meet surely replace each other."""
ONE_NAME_TOGETHER = 2.0
"""How many times chance the sizes of one name must meet to be no family: guests of one table take
a small and a large one."""
MAX_UNITS = 1_500
"""Units that are linked at once; more are linked by closer likeness first."""


@dataclass(frozen=True, slots=True)
class LearnedFamilies:
    """`family`: int32 (n_items,), position in `names`, UNKNOWN where none was learned.

    `similarity`: float64 (n_families,), mean likeness of the members' names.
    """

    family: Int32s
    names: list[str]
    similarity: Float64s

    @classmethod
    def none(cls, n_items: int) -> LearnedFamilies:
        """Return no families."""
        return cls(np.full(n_items, UNKNOWN, dtype=np.int32), [], np.zeros(0))


def together_on_purpose(met: Float64s, expected: Float64s) -> Bools:
    """Met more often than chance explains, by more than luck (Poisson, one-sided 5%)."""
    from scipy.stats import poisson

    return (met > expected) & (poisson.sf(met - 1, np.maximum(expected, 1e-12)) < 0.05)


def surely_exclusive(met: Float64s, expected: Float64s) -> Bools:
    """Met less than half as often as chance explains, with 95% certainty."""
    seen = np.maximum(met, 1.0)
    # The number met is near Poisson, so its logarithm has variance 1 / count.
    most = seen * np.exp(measures.Z_95 / np.sqrt(seen))
    return (expected >= MIN_EXPECTED) & (most < CLEARLY_APART * expected)


def learn_families(catalogue: Catalogue, baskets: Baskets, progress: Progress) -> LearnedFamilies:
    """Families of the items that have none of the shop's; each of two items at least."""
    n_items = len(catalogue)
    # Where names are missing, ids stand in for them, and those say nothing.
    named = [
        item
        for item in np.flatnonzero(catalogue.family == UNKNOWN).tolist()
        if catalogue.names[item] != catalogue.items[item]
        and any(map(str.isalpha, catalogue.names[item]))
    ]
    items = np.array(named, dtype=np.int64)
    items = items[_first_of_their_ids(catalogue, items, baskets.item_counts())]
    if len(items) < 2:
        return LearnedFamilies.none(n_items)
    with progress.task("Learning families"):
        stems = [stem_of(catalogue.names[item]) for item in items.tolist()]
        keys = [*zip(catalogue.category[items].tolist(), stems, strict=True)]
        numbers: dict[tuple[int, str], int] = {}
        unit = np.full(n_items, UNKNOWN, dtype=np.int64)
        unit[items] = [numbers.setdefault(key, len(numbers)) for key in keys]
        category = np.array([key[0] for key in numbers], dtype=np.int64)
        names = [key[1] for key in numbers]
        designs = design_words(names, _usual_price(catalogue, unit, len(names)))
        clusters, likeness = _link(names, category, unit, baskets, designs)
    return _named(clusters, likeness, unit, names, baskets)


def _first_of_their_ids(
    catalogue: Catalogue, items: Int64s, n_orders: NDArray[np.integer]
) -> Bools:
    """Return the mask of `items` that are the most ordered of ids that differ by case only."""
    first: dict[str, int] = {}
    for item in items[np.argsort(-n_orders[items], kind="stable")].tolist():
        first.setdefault(catalogue.items[item].casefold(), item)
    return np.isin(items, list(first.values()))


def _usual_price(catalogue: Catalogue, unit: Int64s, n_units: int) -> Float64s:
    """Geometric mean of the prices of each unit's items; float64 (n_units,), NaN where unknown."""
    priced = (unit >= 0) & (catalogue.price_minor > 0)
    held = np.bincount(unit[priced], minlength=n_units)
    total = np.bincount(unit[priced], np.log(catalogue.price_minor[priced]), minlength=n_units)
    return np.where(held > 0, np.exp(total / np.maximum(held, 1)), np.nan)


def _link(
    names: list[str], category: Int64s, unit: Int64s, baskets: Baskets, designs: frozenset[str]
) -> tuple[Int64s, Float64s]:
    """Cluster of each unit, and the mean likeness inside each cluster's widest link."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_units = len(names)
    met, expected = pooled(baskets, unit, n_units)
    purpose = together_on_purpose(met, expected) & (met > ONE_NAME_TOGETHER * expected)
    pairs, alike = similar_pairs(vectors_of(names), category)
    joint, chance = _between(pairs, unit, n_units, baskets)
    apart = surely_exclusive(joint, chance)
    fit = (alike >= ALIKE) | (apart & (alike >= ALIKE_AND_APART))
    # Where meetings can be counted on, those that meet as often as chance has it replace nothing.
    fit &= ~together_on_purpose(joint, chance) & ((chance < MIN_EXPECTED) | (joint < chance))
    fit &= ~purpose[pairs].any(axis=1) & share_a_kind(names, pairs, designs)
    pairs, alike = pairs[fit], alike[fit]
    clusters = np.arange(n_units)
    clusters[purpose] = UNKNOWN
    _, component = connected_components(
        coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_units, n_units)),
        directed=False,
    )
    by_component = Ragged.grouped(component[pairs[:, 0]], np.arange(len(pairs)), n_units)
    for index in np.flatnonzero(by_component.lengths).tolist():
        _complete(pairs[by_component[index]], alike[by_component[index]], clusters)
    likeness = np.ones(n_units)
    inside = clusters[pairs[:, 0]] == clusters[pairs[:, 1]]
    roots = clusters[pairs[inside, 0]]
    held = np.bincount(roots, minlength=n_units)
    total = np.bincount(roots, alike[inside], minlength=n_units)
    likeness[held > 0] = total[held > 0] / held[held > 0]
    return clusters, likeness


def _complete(pairs: Int64s, alike: Float64s, clusters: Int64s) -> None:
    """Complete linkage of one component: two clusters join where every pair of theirs fits."""
    nodes = np.unique(pairs)
    if len(nodes) > MAX_UNITS:
        nodes = np.unique(pairs[np.argsort(-alike, kind="stable")][: MAX_UNITS // 2])
        is_inside = np.isin(pairs, nodes).all(axis=1)
        pairs, alike = pairs[is_inside], alike[is_inside]
    fits: dict[int, set[int]] = {int(node): set() for node in nodes}
    for left, right in pairs.tolist():
        fits[left].add(right)
        fits[right].add(left)
    members: dict[int, set[int]] = {node: {node} for node in fits}
    root = {node: node for node in fits}
    for left, right in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], -alike))].tolist():
        one, other = root[left], root[right]
        if one == other or not all(members[other] <= fits[node] for node in members[one]):
            continue
        for node in members[other]:
            root[node] = one
        members[one] |= members.pop(other)
    for node, head in root.items():
        clusters[node] = head


def _between(
    pairs: Int64s, unit: Int64s, n_units: int, baskets: Baskets
) -> tuple[Float64s, Float64s]:
    """Orders that hold something of both units of each pair, and how many chance explains."""
    of_entry = unit[baskets.items]
    has_group = of_entry >= 0
    orders = baskets.owners()[has_group]
    by_unit = Baskets.from_pairs(of_entry[has_group], orders, n_units, baskets.n_orders)
    share, scale = size_adjusted(baskets)
    member = unit >= 0
    of_unit = np.bincount(unit[member], share[member], minlength=n_units)
    expected = np.asarray(scale * of_unit[pairs[:, 0]] * of_unit[pairs[:, 1]], dtype=np.float64)
    met = np.zeros(len(pairs))
    for index, (left, right) in enumerate(pairs.tolist()):
        one, other = by_unit[left], by_unit[right]
        if len(one) > len(other):
            one, other = other, one
        if len(one):
            at = np.minimum(np.searchsorted(other, one), len(other) - 1)
            met[index] = float((other[at] == one).sum())
    return met, expected


def _named(
    clusters: Int64s, likeness: Float64s, unit: Int64s, names: list[str], baskets: Baskets
) -> LearnedFamilies:
    """Families of two items at least that are not, all together, bought on purpose."""
    n_units = len(names)
    cluster = np.where(unit >= 0, clusters[np.maximum(unit, 0)], UNKNOWN)
    size = np.bincount(cluster[cluster >= 0], minlength=n_units)
    met, expected = pooled(baskets, cluster, n_units)
    several = np.bincount(clusters[clusters >= 0], minlength=n_units) > 1
    purpose = together_on_purpose(met, expected) & (several | (met > ONE_NAME_TOGETHER * expected))
    purpose |= several & (expected >= MIN_EXPECTED) & (met >= expected)
    roots = np.flatnonzero((size >= 2) & ~purpose)
    code = np.full(n_units + 1, UNKNOWN, dtype=np.int32)
    code[roots] = np.arange(len(roots), dtype=np.int32)
    units_of: dict[int, list[int]] = {}
    for index, head in enumerate(clusters.tolist()):
        units_of.setdefault(head, []).append(index)
    taken: Counter[str] = Counter()
    labels: list[str] = []
    for head in roots.tolist():
        stems = [names[index] for index in units_of[head]]
        label = " ".join(shared_words(stems)) or min(stems, key=lambda stem: (len(stem), stem))
        taken[label] += 1
        labels.append(label if taken[label] == 1 else f"{label} ({taken[label]})")
    family = np.where(cluster >= 0, code[cluster], UNKNOWN).astype(np.int32)
    return LearnedFamilies(family, labels, likeness[roots])


def shared_words(stems: list[str]) -> list[str]:
    """Words that stand in every stem, in the order of the first."""
    rest = [set(stem.split()) for stem in stems[1:]]
    return [word for word in words_of(stems[0]) if all(word in words for words in rest)]


@dataclass(frozen=True, slots=True)
class Groups:
    """`group`: int64 (n_items,), UNKNOWN where an item has none; then n_groups entries each."""

    group: Int64s
    names: list[str]
    """The shop's name of the family or category, or the words of a learned one."""
    method: NDArray[np.int8]
    """As of `mersalg.engine.upsell.tiers`."""
    similarity: Float64s
    n_together: Float64s
    n_expected: Float64s
    """`similarity`, `n_together`, `n_expected`: as there."""
    words: list[str]
    """What all members' names share."""

    def __len__(self) -> int:
        return len(self.names)

    def is_learned(self, groups: NDArray[np.integer]) -> Bools:
        """Bool of the same shape; False for UNKNOWN."""
        if not len(self):
            return np.zeros(groups.shape, dtype=np.bool_)
        return (groups >= 0) & (self.method[np.maximum(groups, 0)] == LEARNED)

    def families(self, chosen: Int64s) -> Families:
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
    category = catalogue.category + n_given + n_learned
    group = np.where(catalogue.category >= 0, category, UNKNOWN).astype(np.int64)
    group = np.where(learned.family >= 0, learned.family + n_given, group)
    group = np.where(catalogue.family >= 0, catalogue.family, group)
    n_categories = len(catalogue.category_names)
    method = np.repeat([GIVEN, LEARNED, CATEGORY], [n_given, n_learned, n_categories])
    similarity = np.full(len(method), np.nan)
    similarity[n_given : n_given + n_learned] = learned.similarity
    names = [*catalogue.family_names, *learned.names, *catalogue.category_names]
    nothing, no_words = np.zeros(len(method)), [""] * len(method)
    kinds = method.astype(np.int8)
    return Groups(group, names, kinds, similarity, nothing, nothing, no_words)


def find_groups(catalogue: Catalogue, baskets: Baskets, progress: Progress) -> Groups:
    """Return the groups, with families learned where the shop names none, and their reasons."""
    groups = groups_of(catalogue, learn_families(catalogue, baskets, progress))
    met, expected = pooled(baskets, groups.group, len(groups))
    stems: list[list[str]] = [[] for _ in range(len(groups))]
    for item in np.flatnonzero(groups.group >= 0).tolist():
        stems[int(groups.group[item])].append(stem_of(catalogue.names[item]))
    words = [" ".join(shared_words(members)) if members else "" for members in stems]
    return replace(groups, n_together=met, n_expected=expected, words=words)
