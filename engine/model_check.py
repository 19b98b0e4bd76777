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
from mersalg.engine.words import counted, read_toml

_ARRAYS = read_toml("mersalg.engine", "model_arrays.toml")


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
    for size, name in _named(_ARRAYS["shapes"], arrays):
        of, _, width = size.partition(" x ")
        shape = (_counted(of, sizes), *map(int, width.split()))
        if arrays[name].shape != shape:
            yield f"{name} has shape {arrays[name].shape}, not {shape}"
    for size, name in _named(_ARRAYS["pointers"], arrays):
        of, array = size.removesuffix(" or none"), arrays[name]
        least, end = -int(size != of), _counted(of, sizes)
        if array.size and (int(array.min()) < least or int(array.max()) >= end):
            yield f"{name} points outside 0..{end - 1}"


def _named(
    table: Mapping[str, list[str]], arrays: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Yield the entries of a table for each array that a model has."""
    for size, patterns in table.items():
        for pattern in patterns:
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
