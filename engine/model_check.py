"""The cheap check every loaded model passes: sizes agree, indices in range, pointers ascend."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.cross_sell.affinity import Affinity
from mersalg.engine.cross_sell.recency import Recency
from mersalg.engine.cross_sell.rule_index import RuleIndex, RuleIndexes
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.cross_sell.stores import Stores
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.model import Model
from mersalg.engine.native.signals import COMPLEMENT, QUESTION, SIBLING
from mersalg.engine.ranking.customers import Customers
from mersalg.engine.ranking.ranking import MODES, Ranking
from mersalg.engine.upsell.likelihood import Likelihood
from mersalg.engine.upsell.readings import Readings
from mersalg.engine.upsell.tiers import Ladders

Array = NDArray[np.generic]


def self_check(model: Model) -> None:
    """Raise ModelCorrupt naming the first array that does not fit the others."""
    n_items = len(model.catalogue)
    # Chained, not gathered: a later question may fail where an earlier answer was a problem.
    for problem in chain(
        _catalogue(model.catalogue),
        _rules(model.rules, n_items),
        _rule_indexes(model.rule_index, len(model.rules), n_items),
        _packed(model, n_items),
        _affinity(model.affinity, model.ladders, n_items),
        _ladders(model.ladders, n_items),
        _recency(model.recency, len(model.rules), n_items),
        _stores(model.stores, len(model.rules), n_items),
        _ranking(model.ranking, n_items),
        _customers(model.customers, n_items),
        _likelihood(model.likelihood, n_items),
        _readings(model.readings, n_items),
    ):
        raise ModelCorrupt(f"model {model.version} contradicts itself: {problem}")


def _sized(name: str, array: Array, size: int) -> Iterator[str]:
    if array.shape != (size,):
        yield f"{name} has shape {array.shape}, not ({size},)"


def _indexed(name: str, array: Array, size: int, least: int = 0) -> Iterator[str]:
    """Values are indices of something of `size`, `least` (-1: unknown allowed) the smallest."""
    if array.size and (int(array.min()) < least or int(array.max()) >= size):
        yield f"{name} points outside 0..{size - 1}"


def _rows(name: str, rows: Ragged[Any], n_rows: int) -> Iterator[str]:
    """`rows` are rows, `n_rows` of them."""
    if problem := rows.problem():
        yield f"{name} {problem}"
    elif len(rows) != n_rows:
        yield f"{name} has {len(rows)} rows, not {n_rows}"


def _items(name: str, rows: Ragged[np.int32], n_rows: int, n_items: int) -> Iterator[str]:
    """`rows` are `n_rows` rows of items."""
    yield from _rows(name, rows, n_rows)
    yield from _indexed(name, rows.values, n_items)


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
    if catalogue.image_urls is not None and len(catalogue.image_urls) != n_items:
        yield f"{len(catalogue.image_urls)} image_urls for {n_items} items"
    for attribute, texts in catalogue.attributes.items():
        if len(texts) != n_items:
            yield f"attribute {attribute!r} has {len(texts)} texts for {n_items} items"
    yield from _indexed("category", catalogue.category, len(catalogue.category_names), -1)
    yield from _indexed("family", catalogue.family, len(catalogue.family_names), -1)
    for name in ("compatible", "bundles", "upgrades"):
        if (rows := getattr(catalogue, name)) is not None:
            yield from _items(name, rows, n_items, n_items)


def _readings(readings: Readings | None, n_items: int) -> Iterator[str]:
    if readings is not None:
        yield from _sized("sums of readings", readings.sums, n_items)
        if len(readings.texts) != n_items:
            yield f"{len(readings.texts)} readings for {n_items} items"


def _rules(rules: RuleTable, n_items: int) -> Iterator[str]:
    n_rules = len(rules)
    for name in ("n_joint", "n_antecedent", "n_consequent"):
        yield from _sized(name, getattr(rules, name), n_rules)
    yield from _items("antecedents", rules.antecedents, n_rules, n_items)
    yield from _indexed("consequent", rules.consequent, n_items)
    if n_rules and bool((rules.lengths < 1).any()):
        yield "a rule has no antecedent"
    # Measures divide by these counts.
    fits = (rules.n_joint >= 1) & (rules.n_joint <= rules.n_antecedent)
    fits &= (rules.n_joint <= rules.n_consequent) & (rules.n_antecedent <= rules.n_orders)
    fits &= rules.n_consequent <= rules.n_orders
    if not bool(fits.all()):
        yield "rule counts are impossible"


def _rule_indexes(index: RuleIndexes | None, n_rules: int, n_items: int) -> Iterator[str]:
    if index is None:
        return
    for kind in ("single", "several", "contrary"):
        rules: RuleIndex = getattr(index, kind)
        name, size = f"index of {kind} rules", len(rules.rule)
        yield from _items(f"{name}: consequents", rules.consequents, n_items, n_items)
        yield from _sized(f"{name}: consequents", rules.consequents.values, size)
        yield from _sized(f"{name}: strength", rules.strength, size)
        yield from _indexed(name, rules.rule, n_rules)
        if rules.rest.ndim != 2 or len(rules.rest) != size:
            yield f"{name}: rest has shape {rules.rest.shape}"
        yield from _indexed(f"{name}: rest", rules.rest, n_items + 1)


def _packed(model: Model, n_items: int) -> Iterator[str]:
    if model.packed is None:
        return
    packed, upgrades = model.packed, model.packed.upgrades
    for name, array, of in (
        ("ranking", packed.ranking, model.ranking),
        ("upgrades", upgrades and upgrades.items, model.likelihood),
    ):
        if of is not None and (array is None or array.shape != (n_items, 16)):
            yield f"packed {name} are not of shape ({n_items}, 16)"
    if upgrades is not None and model.likelihood is not None:
        n_moves = len(model.likelihood.standing.move_times)
        yield from _items("packed moves", upgrades.moved, n_items, n_items)
        yield from _sized("packed moves", upgrades.moved.values, n_moves)


def _affinity(affinity: Affinity, ladders: Ladders, n_items: int) -> Iterator[str]:
    for name in ("n_orders_of_item", "n_added_of_item"):
        yield from _sized(name, getattr(affinity, name), n_items)
        yield from _indexed(name, getattr(affinity, name), affinity.n_orders + 1)
    yield from _items("repelled", affinity.repelled, n_items, n_items)
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
    yield from _items("leaders", signals.leaders, signals.n_groups, n_items)
    for name, near, size in (
        ("neighbours", ranking.neighbours, n_items),
        ("group neighbours", ranking.groups, signals.n_groups),
    ):
        yield from _items(name, near.items, size, size)
        yield from _sized(f"{name} weight", near.weight, len(near.items.values))
        yield from _sized(f"{name} n_joint", near.n_joint, len(near.items.values))
    for mode in MODES:
        scorer = ranking.scorers.get(mode)
        if scorer is None:
            yield f"no scorer for {mode}"
            continue
        yield from _sized(f"{mode} mean", scorer.mean, len(COMPLEMENT))
        if len(scorer.weights[0]) != len(COMPLEMENT) or scorer.weights[-1].shape[1] != 1:
            yield f"the {mode} scorer weighs other features"


def _customers(customers: Customers | None, n_items: int) -> Iterator[str]:
    if customers is None:
        return
    bought = customers.purchases
    yield from _sized("customer rows", customers.rows, len(customers.hashes))
    yield from _indexed("customer rows", customers.rows, bought.n_customers)
    yield from _rows("purchase orders", bought.ordered_at, bought.n_customers)
    yield from _items("purchase items", bought.items, len(bought.ordered_at.values), n_items)


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
        yield from _items(f"{part} stores", counts.stores, size, n_stores + 1)
        for name in ("n_joint", "n_antecedent", "n_consequent"):
            yield from _sized(f"{part} {name}", getattr(counts, name), len(counts.stores.values))
        if bool((counts.n_joint > counts.n_antecedent).any()):
            yield f"{part} counts of stores are impossible"


def _ladders(ladders: Ladders, n_items: int) -> Iterator[str]:
    yield from _sized("ladder family", ladders.family, n_items)
    yield from _sized("tier", ladders.tier, n_items)
    yield from _indexed("ladder family", ladders.family, ladders.n_ladders, -1)
    yield from _items("members", ladders.members, ladders.n_ladders, n_items)


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
    models = ((likelihood.which, SIBLING), (likelihood.whether, QUESTION))
    for scorer, signals in models:
        n_weighed, n_signals = scorer.weights[0].shape[0], len(signals)
        if n_weighed != n_signals:
            yield f"an upgrade model weighs {n_weighed} signals, not {n_signals}"
