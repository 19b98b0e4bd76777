"""What a ranking is measured against: popularity, plain rules, item-kNN and EASE."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import AntecedentIndex, RuleTable
from engine.ranking.keyed import Grouping, gather, look_up
from engine.ranking.ranking import Ranking

Ranker = Callable[[NDArray[np.int32]], NDArray[np.int32]]
"""A cart of dense indices -> items to offer beside it, best first, none of the cart."""

_MOST = 1_000
"""Items a list holds at most: enough that ten are left when what was bought before is not."""


def popularity(n_orders_of_item: NDArray[np.int64]) -> Ranker:
    """The most bought items, whatever the cart."""
    ranked = np.argsort(-n_orders_of_item, kind="stable").astype(np.int32)

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        first = ranked[: _MOST + len(cart)]
        return first[~np.isin(first, cart)]

    return rank


def plain_rules(table: RuleTable, n_items: int) -> Ranker:
    """Every mined rule, the best confidence wins: what a rule table does without any care.

    Nothing is filled up where fewer than ten items are found.
    """
    index, confidence, lengths = AntecedentIndex.build(table, n_items), table.confidence(), None
    if len(table) and int(table.lengths.max()) > 1:
        lengths = table.lengths

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        fired = np.concatenate([index.rules_of(item) for item in cart.tolist()])
        if lengths is not None:
            fires = [
                lengths[rule] == 1 or bool(np.isin(table.antecedent(rule), cart).all())
                for rule in fired.tolist()
            ]
            fired = fired[np.array(fires, dtype=np.bool_)]
        fired = fired[np.argsort(-confidence[fired], kind="stable")]
        found = table.consequent[fired]
        found = found[~np.isin(found, cart)]
        _, first = np.unique(found, return_index=True)
        return found[np.sort(first)][:_MOST]

    return rank


def ease(ranking: Ranking) -> Ranker:
    """The sum of the item-item weights: EASE within neighbourhoods, and nothing else."""
    near = ranking.neighbours
    return _by_sums(ranking, near.weight)


def item_knn(ranking: Ranking) -> Ranker:
    """The sum of cosines n_joint / sqrt(n_a n_b) (Sarwar et al., "Item-based Collaborative
    Filtering Recommendation Algorithms", 2001)."""
    near, n_orders = ranking.neighbours, ranking.signals.n_orders
    row = np.repeat(np.arange(len(n_orders)), np.diff(near.indptr))
    return _by_sums(
        ranking, near.n_joint / np.sqrt(np.maximum(n_orders[row] * n_orders[near.items], 1))
    )


def _by_sums(ranking: Ranking, values: NDArray[np.floating]) -> Ranker:
    near = ranking.neighbours

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        entries, _ = gather(near.indptr, cart)
        found = Grouping.of(near.items[entries].astype(np.int64))
        items, scores = found.keys.astype(np.int32), found.sum(values[entries])
        scores[look_up(cart.astype(np.int64), found.keys)[1]] = 0
        best = np.argsort(-scores, kind="stable")[:_MOST]
        return items[best][scores[best] > 0]

    return rank
