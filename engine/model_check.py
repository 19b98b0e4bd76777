"""The cheap check every loaded model passes: sizes agree, indices in range, pointers ascend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import filter as matching
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged, arrays_of
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.model import COMPONENTS, Model
from mersalg.engine.native.signals import COMPLEMENT, QUESTION, SIBLING
from mersalg.engine.ranking.ranking import MODES
from mersalg.engine.words import counted

# The shape of arrays, by what there is one of for each entry: things of the model (`_sizes`) or the
# entries of another array. Pointers to rows and offsets of texts have one more.
_SHAPES: Mapping[str, str] = {
    "items": """
        catalogue.items.sums catalogue.items.places catalogue.price_minor catalogue.cost_minor
        catalogue.category catalogue.family catalogue.offerable catalogue.sold_out
        affinity.n_orders_of_item affinity.n_added_of_item recency.n_orders_of_item
        recency.n_added_of_item ladders.family ladders.tier readings.sums ranking.signals.n_orders
        ranking.signals.recent ranking.signals.latest ranking.signals.group ranking.signals.share
        ranking.signals.log_price ranking.signals.margin likelihood.facts.*
        likelihood.standing.promotion likelihood.standing.usual likelihood.standing.ups
        likelihood.standing.downs likelihood.standing.moves ladders.moves.n_from""",
    "items x 4": "likelihood.standing.orders",
    "items x 16": "packed.ranking packed.upgrades.items",
    "items + 1": """
        catalogue.names.offsets catalogue.image_urls.offsets catalogue.attributes.values.*.offsets
        catalogue.compatible.indptr catalogue.bundles.indptr catalogue.upgrades.indptr
        affinity.repelled.indptr ranking.neighbours.items.indptr packed.upgrades.moved.indptr
        rule_index.*.consequents.indptr readings.texts.offsets ladders.moves.items.indptr""",
    "rules": """
        rules.n_joint rules.n_antecedent rules.n_consequent rules.consequent recency.n_joint
        recency.n_antecedent stores.offered.flag stores.offered.log_odds""",
    "rules + 1": "rules.antecedents.indptr stores.offered.stores.indptr",
    "contradicted": """
        stores.contradicted_rules.n_joint stores.contradicted_rules.n_antecedent
        stores.contradicted_rules.n_consequent stores.contradicted_rules.consequent
        stores.contradicted.flag stores.contradicted.log_odds""",
    "contradicted + 1": """
        stores.contradicted_rules.antecedents.indptr stores.contradicted.stores.indptr""",
    "stores": "stores.n_orders",
    "stores.offered.stores.values": """
        stores.offered.n_joint stores.offered.n_antecedent stores.offered.n_consequent""",
    "stores.contradicted.stores.values": """
        stores.contradicted.n_joint stores.contradicted.n_antecedent
        stores.contradicted.n_consequent""",
    "ladders": """
        affinity.family_excludes ladders.families.method ladders.families.similarity
        ladders.families.n_together ladders.families.n_expected""",
    "ladders + 1": """
        ladders.members.indptr ladders.families.names.offsets ladders.families.words.offsets""",
    "ladders.moves.items.values": "ladders.moves.counts",
    "groups + 1": "ranking.signals.leaders.indptr ranking.groups.items.indptr",
    "ranking.neighbours.items.values": "ranking.neighbours.weight ranking.neighbours.n_joint",
    "ranking.groups.items.values": "ranking.groups.weight ranking.groups.n_joint",
    "signals": "ranking.scorers.values.*.mean",
    "customers.hashes": "customers.rows",
    "customers.purchases.ordered_at.values + 1": "customers.purchases.items.indptr",
    "likelihood.standing.move_keys": "likelihood.standing.move_times packed.upgrades.moved.values",
    "rule_index.single.rule": "rule_index.single.consequents.values rule_index.single.strength",
    "rule_index.several.rule": "rule_index.several.consequents.values rule_index.several.strength",
    "rule_index.contrary.rule": """
        rule_index.contrary.consequents.values rule_index.contrary.strength""",
}
# What the entries of arrays point to; `or none` where -1 is none of these.
_POINTERS: Mapping[str, str] = {
    "items": """
        catalogue.items.places catalogue.compatible.values catalogue.bundles.values
        catalogue.upgrades.values rules.antecedents.values rules.consequent
        rule_index.*.consequents.values packed.upgrades.moved.values affinity.repelled.values
        ladders.members.values ladders.moves.items.values ranking.signals.popular
        ranking.signals.leaders.values
        ranking.neighbours.items.values customers.purchases.items.values
        stores.contradicted_rules.antecedents.values stores.contradicted_rules.consequent""",
    "items + 1": "rule_index.*.rest",
    "rules": "rule_index.*.rule",
    "orders + 1": "affinity.n_orders_of_item affinity.n_added_of_item",
    "weighed + 1": "recency.n_orders_of_item recency.n_added_of_item",
    "stores": "stores.offered.stores.values stores.contradicted.stores.values",
    "groups": "ranking.groups.items.values",
    "buyers": "customers.rows",
    "categories or none": "catalogue.category",
    "families or none": "catalogue.family",
    "ladders or none": "ladders.family",
    "groups or none": "ranking.signals.group",
}


def self_check(model: Model) -> None:
    """Raise ModelCorrupt naming the first array that does not fit the others."""
    # Chained, not gathered: a later question may fail where an earlier answer was a problem.
    for problem in chain(_shapes(model), _contents(model)):
        raise ModelCorrupt(f"model {model.version} contradicts itself: {problem}")


def _shapes(model: Model) -> Iterator[str]:
    arrays: dict[str, NDArray[Any]] = {}
    for part in COMPONENTS:
        arrays |= arrays_of(getattr(model, part), part)
    sizes = {name: len(array) for name, array in arrays.items() if array.ndim} | _sizes(model)
    for name in matching(arrays, "*.indptr"):
        rows = name.removesuffix(".indptr")
        if problem := Ragged(arrays[name], arrays[f"{rows}.values"]).problem():
            yield f"{rows} {problem}"
    for size, name in _named(_SHAPES, arrays):
        of, _, width = size.partition(" x ")
        shape = (_counted(of, sizes), *map(int, width.split()))
        if arrays[name].shape != shape:
            yield f"{name} has shape {arrays[name].shape}, not {shape}"
    for size, name in _named(_POINTERS, arrays):
        of, array = size.removesuffix(" or none"), arrays[name]
        least, end = -int(size != of), _counted(of, sizes)
        if array.size and (int(array.min()) < least or int(array.max()) >= end):
            yield f"{name} points outside 0..{end - 1}"


def _named(table: Mapping[str, str], arrays: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the entries of a table for each array that a model has."""
    for size, names in table.items():
        for pattern in names.split():
            for name in matching(arrays, pattern):
                yield size, name


def _counted(size: str, sizes: Mapping[str, int]) -> int:
    return sizes[size.removesuffix(" + 1")] + size.endswith(" + 1")


def _sizes(model: Model) -> dict[str, int]:
    """Return how many there are of the things that arrays are of."""
    catalogue, ranking, stores = model.catalogue, model.ranking, model.stores
    return {
        "items": len(catalogue),
        "categories": len(catalogue.category_names),
        "families": len(catalogue.family_names),
        "rules": len(model.rules),
        "orders": model.affinity.n_orders,
        "weighed": 0 if model.recency is None else model.recency.n_orders,
        "ladders": model.ladders.n_ladders,
        "groups": 0 if ranking is None else ranking.signals.n_groups,
        "signals": len(COMPLEMENT),
        # The last is that of the orders of which no store is known.
        "stores": 0 if stores is None else len(stores.store_ids) + 1,
        "contradicted": 0 if stores is None else len(stores.contradicted_rules),
        "buyers": 0 if model.customers is None else model.customers.purchases.n_customers,
    }


def _contents(model: Model) -> Iterator[str]:
    """Yield what arrays of fitting sizes say that cannot be."""
    yield from _rules(model.rules)
    recency, stores, likelihood = model.recency, model.stores, model.likelihood
    if recency is not None and (
        bool((recency.n_joint > recency.n_antecedent).any()) or bool((recency.n_joint < 0).any())
    ):
        yield "recency counts are impossible"
    if stores is not None:
        yield from _rules(stores.contradicted_rules)
        for part, counts in (("offered", stores.offered), ("contradicted", stores.contradicted)):
            if bool((counts.n_joint > counts.n_antecedent).any()):
                yield f"{part} counts of stores are impossible"
    for index in () if model.rule_index is None else ("single", "several", "contrary"):
        rules = getattr(model.rule_index, index)
        if rules.rest.ndim != 2 or len(rules.rest) != len(rules.rule):
            yield f"rule_index.{index}.rest has shape {rules.rest.shape}"
    packed, upgrades = model.packed, model.packed and model.packed.upgrades
    if packed is not None and (
        (model.ranking is not None and packed.ranking is None)
        or (likelihood is not None and upgrades is None)
    ):
        yield "packed items are missing"
    for mode in MODES if model.ranking is not None else ():
        scorer = model.ranking and model.ranking.scorers.get(mode)
        if scorer is None:
            yield f"no scorer for {mode}"
        elif len(scorer.weights[0]) != len(COMPLEMENT) or scorer.weights[-1].shape[1] != 1:
            yield f"the {mode} scorer weighs other features"
    if likelihood is not None:
        for scorer, signals in ((likelihood.which, SIBLING), (likelihood.whether, QUESTION)):
            if (n_weighed := len(scorer.weights[0])) != len(signals):
                yield f"an upgrade model weighs {counted(n_weighed, 'signal')}, not {len(signals)}"


def _rules(rules: RuleTable) -> Iterator[str]:
    if len(rules) and bool((rules.lengths < 1).any()):
        yield "a rule has no antecedent"
    # Measures divide by these counts.
    fits = (rules.n_joint >= 1) & (rules.n_joint <= rules.n_antecedent)
    fits &= (rules.n_joint <= rules.n_consequent) & (rules.n_antecedent <= rules.n_orders)
    fits &= rules.n_consequent <= rules.n_orders
    if not bool(fits.all()):
        yield "rule counts are impossible"
