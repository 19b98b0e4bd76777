"""The cheap check every loaded model passes: sizes agree, indices in range, pointers ascend."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.cross_sell.affinity import Affinity
from engine.cross_sell.filed import Filed, FiledRules
from engine.cross_sell.recency import Recency
from engine.cross_sell.rules import AntecedentIndex, RuleTable
from engine.cross_sell.stores import Stores
from engine.errors import ModelCorrupt
from engine.model import Model
from engine.ranking.customers import Customers
from engine.ranking.features import NAMES
from engine.ranking.ranking import MODES, Ranking
from engine.upsell.likelihood import Likelihood
from engine.upsell.signals import QUESTION_NAMES, SIBLING_NAMES
from engine.upsell.tiers import Ladders

Array = NDArray[np.generic]


def self_check(model: Model) -> None:
    """Raises ModelCorrupt naming the first array that does not fit the others."""
    n_items = len(model.catalogue)
    # Chained, not gathered: a later question may fail where an earlier answer was a problem.
    for problem in chain(
        _catalogue(model.catalogue),
        _rules(model.rules, n_items),
        _rule_index(model.rule_index, model.rules, n_items),
        _filed(model.filed, len(model.rules), n_items),
        _packed(model, n_items),
        _affinity(model.affinity, model.ladders, n_items),
        _ladders(model.ladders, n_items),
        _recency(model.recency, len(model.rules), n_items),
        _stores(model.stores, len(model.rules), n_items),
        _ranking(model.ranking, n_items),
        _customers(model.customers, n_items),
        _likelihood(model.likelihood, n_items),
    ):
        raise ModelCorrupt(f"model {model.version} contradicts itself: {problem}")


def _sized(name: str, array: Array, size: int) -> Iterator[str]:
    if array.shape != (size,):
        yield f"{name} has shape {array.shape}, not ({size},)"


def _indexed(name: str, array: Array, size: int, least: int = 0) -> Iterator[str]:
    """Values are indices of something of `size`, `least` (-1: unknown allowed) the smallest."""
    if array.size and (int(array.min()) < least or int(array.max()) >= size):
        yield f"{name} points outside 0..{size - 1}"


def _rows(name: str, indptr: Array, values: Array, n_rows: int) -> Iterator[str]:
    """`indptr` cuts all of `values` into `n_rows` rows."""
    if indptr.shape != (n_rows + 1,):
        yield f"{name}_indptr has shape {indptr.shape}, not ({n_rows + 1},)"
    elif int(indptr[0]) != 0 or int(indptr[-1]) != len(values):
        yield f"{name}_indptr does not span its {len(values)} values"
    elif bool((np.diff(indptr.astype(np.int64)) < 0).any()):
        yield f"{name}_indptr descends"


def _catalogue(catalogue: Catalogue) -> Iterator[str]:
    n_items = len(catalogue)
    for name in ("sums", "places"):
        yield from _sized(f"item_ids {name}", getattr(catalogue.items, name), n_items)
    yield from _indexed("item_ids places", catalogue.items.places, n_items)
    for name in ("price_minor", "cost_minor", "category", "family", "offerable"):
        yield from _sized(name, getattr(catalogue, name), n_items)
    if catalogue.sold_out is not None:
        yield from _sized("sold_out", catalogue.sold_out, n_items)
    if len(catalogue.names) != n_items:
        yield f"{len(catalogue.names)} names for {n_items} items"
    for attribute, texts in catalogue.attributes.items():
        if len(texts) != n_items:
            yield f"attribute {attribute!r} has {len(texts)} texts for {n_items} items"
    yield from _indexed("category", catalogue.category, len(catalogue.category_names), -1)
    yield from _indexed("family", catalogue.family, len(catalogue.family_names), -1)
    yield from _rows("compatible", catalogue.compatible_indptr, catalogue.compatible_items, n_items)
    yield from _indexed("compatible_items", catalogue.compatible_items, n_items)
    if catalogue.bundle_indptr is not None and catalogue.bundle_items is not None:
        yield from _rows("bundle", catalogue.bundle_indptr, catalogue.bundle_items, n_items)
        yield from _indexed("bundle_items", catalogue.bundle_items, n_items)


def _rules(rules: RuleTable, n_items: int) -> Iterator[str]:
    n_rules = len(rules)
    for name in ("n_joint", "n_antecedent", "n_consequent"):
        yield from _sized(name, getattr(rules, name), n_rules)
    yield from _rows("antecedent", rules.antecedent_indptr, rules.antecedent_items, n_rules)
    yield from _indexed("antecedent_items", rules.antecedent_items, n_items)
    yield from _indexed("consequent", rules.consequent, n_items)
    if n_rules and bool((rules.lengths < 1).any()):
        yield "a rule has no antecedent"
    # Measures divide by these counts.
    fits = (rules.n_joint >= 1) & (rules.n_joint <= rules.n_antecedent)
    fits &= (rules.n_joint <= rules.n_consequent) & (rules.n_antecedent <= rules.n_orders)
    fits &= rules.n_consequent <= rules.n_orders
    if not bool(fits.all()):
        yield "rule counts are impossible"


def _rule_index(index: AntecedentIndex, rules: RuleTable, n_items: int) -> Iterator[str]:
    yield from _sized("index_rules", index.rules, len(rules))
    yield from _rows("index", index.indptr, index.rules, n_items)
    yield from _indexed("index_rules", index.rules, len(rules))


def _filed(filed: FiledRules | None, n_rules: int, n_items: int) -> Iterator[str]:
    if filed is None:
        return
    for kind in ("single", "several", "contrary"):
        rules: Filed = getattr(filed, kind)
        name, size = f"filed {kind} rules", len(rules.rule)
        yield from _rows(name, rules.indptr, rules.rule, n_items)
        yield from _sized(f"{name}: consequent", rules.consequent, size)
        yield from _sized(f"{name}: strength", rules.strength, size)
        yield from _indexed(f"{name}: consequent", rules.consequent, n_items)
        yield from _indexed(name, rules.rule, n_rules)
        if rules.rest.ndim != 2 or len(rules.rest) != size:
            yield f"{name}: rest has shape {rules.rest.shape}"
        yield from _indexed(f"{name}: rest", rules.rest, n_items + 1)


def _packed(model: Model, n_items: int) -> Iterator[str]:
    if model.packed is None:
        return
    for name, there in (("ranking_items", model.ranking), ("upgrade_items", model.likelihood)):
        array = model.packed.get(name)
        if there is not None and (
            array is None or array.dtype != np.float32 or array.shape != (n_items, 16)
        ):
            yield f"packed {name} are not float32 ({n_items}, 16)"
    if model.likelihood is not None:
        indptr, items = model.packed["moved_indptr"], model.packed["moved_items"]
        yield from _rows("packed moved", indptr, items, n_items)
        yield from _sized("packed moved_items", items, len(model.likelihood.standing.move_times))


def _affinity(affinity: Affinity, ladders: Ladders, n_items: int) -> Iterator[str]:
    for name in ("n_orders_of_item", "n_added_of_item"):
        yield from _sized(name, getattr(affinity, name), n_items)
        yield from _indexed(name, getattr(affinity, name), affinity.n_orders + 1)
    yield from _rows("repelled", affinity.repelled_indptr, affinity.repelled_items, n_items)
    yield from _indexed("repelled_items", affinity.repelled_items, n_items)
    yield from _sized("family_excludes", affinity.family_excludes, ladders.n_ladders)


def _recency(recency: Recency | None, n_rules: int, n_items: int) -> Iterator[str]:
    if recency is None:
        return
    for name, size in (("n_joint", n_rules), ("n_antecedent", n_rules)):
        yield from _sized(f"recency {name}", getattr(recency, name), size)
    for name in ("n_orders_of_item", "n_added_of_item"):
        yield from _sized(f"recency {name}", getattr(recency, name), n_items)
        yield from _indexed(f"recency {name}", getattr(recency, name), recency.n_orders + 1)
    if bool((recency.n_joint > recency.n_antecedent).any()) or bool((recency.n_joint < 0).any()):
        yield "recency counts are impossible"


def _ranking(ranking: Ranking | None, n_items: int) -> Iterator[str]:
    if ranking is None:
        return
    signals = ranking.signals
    for name in ("n_orders", "recent", "latest", "group", "share", "log_price", "margin"):
        yield from _sized(f"signal {name}", getattr(signals, name), n_items)
    yield from _indexed("signal group", signals.group, signals.n_groups, -1)
    yield from _indexed("signal popular", signals.popular, n_items)
    yield from _rows("leaders", signals.leaders_indptr, signals.leaders, signals.n_groups)
    yield from _indexed("leaders", signals.leaders, n_items)
    for name, near, size in (
        ("neighbours", ranking.neighbours, n_items),
        ("group neighbours", ranking.groups, signals.n_groups),
    ):
        yield from _rows(name, near.indptr, near.items, size)
        yield from _indexed(name, near.items, size)
        yield from _sized(f"{name} weight", near.weight, len(near.items))
        yield from _sized(f"{name} n_joint", near.n_joint, len(near.items))
    for mode in MODES:
        scorer = ranking.scorers.get(mode)
        if scorer is None:
            yield f"no scorer for {mode}"
            continue
        yield from _sized(f"{mode} mean", scorer.mean, len(NAMES))
        if len(scorer.weights[0]) != len(NAMES) or scorer.weights[-1].shape[1] != 1:
            yield f"the {mode} scorer weighs other features"


def _customers(customers: Customers | None, n_items: int) -> Iterator[str]:
    if customers is None:
        return
    bought = customers.purchases
    yield from _sized("customer rows", customers.rows, len(customers.hashes))
    yield from _indexed("customer rows", customers.rows, bought.n_customers)
    yield from _rows("purchase orders", bought.order_indptr, bought.ordered_at, bought.n_customers)
    yield from _rows("purchase items", bought.item_indptr, bought.items, len(bought.ordered_at))
    yield from _indexed("purchase items", bought.items, n_items)


def _stores(stores: Stores | None, n_rules: int, n_items: int) -> Iterator[str]:
    if stores is None:
        return
    n_stores = len(stores.store_ids)
    yield from _sized("orders of stores", stores.n_orders, n_stores + 1)
    yield from _rules(stores.contradicted_rules, n_items)
    parts = (
        ("offered", stores.offered, n_rules),
        ("contradicted", stores.contradicted, len(stores.contradicted_rules)),
    )
    for part, counts, size in parts:
        for name in ("flag", "log_odds"):
            yield from _sized(f"{part} {name}", getattr(counts, name), size)
        yield from _rows(f"{part} cells", counts.indptr, counts.store, size)
        yield from _indexed(f"{part} store", counts.store, n_stores + 1)
        for name in ("n_joint", "n_antecedent", "n_consequent"):
            yield from _sized(f"{part} {name}", getattr(counts, name), len(counts.store))
        if bool((counts.n_joint > counts.n_antecedent).any()):
            yield f"{part} counts of stores are impossible"


def _ladders(ladders: Ladders, n_items: int) -> Iterator[str]:
    yield from _sized("ladder family", ladders.family, n_items)
    yield from _sized("tier", ladders.tier, n_items)
    yield from _indexed("ladder family", ladders.family, ladders.n_ladders, -1)
    yield from _rows("member", ladders.member_indptr, ladders.members, ladders.n_ladders)
    yield from _indexed("members", ladders.members, n_items)


def _likelihood(likelihood: Likelihood | None, n_items: int) -> Iterator[str]:
    if likelihood is None:
        return
    for name in ("ladder", "tier", "log_price", "level", "category", "brand", "log_amount"):
        yield from _sized(f"upgrade {name}", getattr(likelihood.facts, name), n_items)
    standing = likelihood.standing
    for name in ("promotion", "usual", "ups", "downs", "moves"):
        yield from _sized(f"upgrade {name}", getattr(standing, name), n_items)
    if len(standing.orders) != n_items:
        yield f"upgrade orders are of {len(standing.orders)} items, not {n_items}"
    yield from _sized("upgrade move_times", standing.move_times, len(standing.move_keys))
    for scorer, names in ((likelihood.which, SIBLING_NAMES), (likelihood.whether, QUESTION_NAMES)):
        if scorer.weights[0].shape[0] != len(names):
            yield f"an upgrade model weighs {scorer.weights[0].shape[0]} signals, not {len(names)}"
