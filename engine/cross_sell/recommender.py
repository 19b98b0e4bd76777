"""What complements a cart: the rules its items fire, then popular complements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Ragged
from engine.cross_sell import measures
from engine.cross_sell.rule_index import RuleIndex, RuleIndexes
from engine.cross_sell.rules import RuleTable
from engine.model import Model
from engine.native.highest import highest
from engine.native.library import library
from engine.native.rules import NativeRules

Items = NDArray[np.int32]
Scores = NDArray[np.float64]

_OTHER_RULES_WEIGHT = 0.1
"""Of HitRate@10 on a year of groceries the best of 0, 0.1, 0.25, 0.5, 0.75 and 1."""
_POPULAR_SHARE = 0.1
"""An item added less than a tenth as often as the best one is not called popular."""
_FEW = 8_192
"""Scores that are sorted as a whole to find the highest."""


class RuleCounts(NamedTuple):
    """The strongest rule behind a candidate; an empty antecedent is the item among all orders."""

    antecedent: tuple[int, ...]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


@dataclass(frozen=True, slots=True)
class Fired:
    """The rules whose antecedent lies in the cart; all arrays have shape (n_fired,)."""

    consequent: Items
    strength: NDArray[np.float32]
    rule: NDArray[np.int32]

    def combined(self) -> tuple[Items, Scores]:
        """Each consequent once, ascending, with its score.

        The score is 1 - (1 - c) * prod(1 - c_i)**w over the strongest confidence c and the others
        c_i: a noisy-or in which the others are discounted, for rules of one cart share orders.
        """
        if not len(self.consequent):
            return np.zeros(0, dtype=np.int32), np.zeros(0)
        # One sort of packed keys groups the consequents and orders each group by strength:
        # the bits of non-negative floats sort as the floats do.
        keys = self.consequent.astype(np.uint64) << np.uint64(32)
        keys |= self.strength.view(np.uint32)
        keys.sort()
        items = (keys >> np.uint64(32)).astype(np.int32)
        strength = keys.astype(np.uint32).view(np.float32).astype(np.float64)
        last = np.flatnonzero(np.append(items[1:] != items[:-1], True))
        first = np.append(0, last[:-1] + 1)
        best, total = strength[last], np.add.reduceat(strength, first)
        return items[last], -np.expm1(-(best + _OTHER_RULES_WEIGHT * (total - best)))


@dataclass(frozen=True, slots=True)
class CrossSell:
    """What serving prepares once for each model."""

    table: RuleTable
    single: RuleIndex
    several: RuleIndex
    contrary: RuleIndex
    """Single-item rules that say the opposite: lift below 1."""
    popular: Items
    """Items by how often they were added to an order, most often first."""
    popular_score: Scores
    """The share of all orders in which each of `popular` stood beside something else."""
    n_orders_of_item: NDArray[np.int64]
    n_orders: int
    repelled: Ragged[np.int32]
    n_items: int
    native: NativeRules | None = None
    """Fires the same rules; None where NumPy does."""

    @classmethod
    def prepare(cls, model: Model) -> Self:
        table, affinity, n_items = model.rules, model.affinity, len(model.catalogue)
        recency = model.recency
        index = model.rule_index or RuleIndexes.of(table, n_items, recency)
        added = recency.n_added_of_item if recency is not None else affinity.n_added_of_item
        n_orders = recency.n_orders if recency is not None else affinity.n_orders
        best = int(added[model.catalogue.offerable].max(initial=0))
        popular = np.argsort(-added, kind="stable")
        popular = popular[added[popular] >= max(_POPULAR_SHARE * best, 1)]
        return cls(
            table=table,
            single=index.single,
            several=index.several,
            contrary=index.contrary,
            popular=popular.astype(np.int32),
            popular_score=added[popular] / max(n_orders, 1),
            n_orders_of_item=affinity.n_orders_of_item,
            n_orders=affinity.n_orders,
            repelled=affinity.repelled,
            n_items=n_items,
            native=_native(index.single, index.several),
        )

    def fire(self, cart: Items) -> Fired:
        """Rules whose whole antecedent is in `cart` (distinct, ascending) and that attract."""
        parts = self.single.consequents.slices(cart)
        consequents = [self.single.consequents.values[part] for part in parts]
        strengths = [self.single.strength[part] for part in parts]
        rules = [self.single.rule[part] for part in parts]
        if len(self.several.rule) and len(cart) > 1:
            # The extra place stands for the filler of shorter antecedents and is always held.
            held = np.zeros(self.n_items + 1, dtype=np.bool_)
            held[cart] = True
            held[-1] = True
            for part in self.several.consequents.slices(cart):
                fires = held[self.several.rest[part]].all(axis=1)
                consequents.append(self.several.consequents.values[part][fires])
                strengths.append(self.several.strength[part][fires])
                rules.append(self.several.rule[part][fires])
        if not len(cart):
            none = np.zeros(0, dtype=np.int32)
            return Fired(none, np.zeros(0, dtype=np.float32), none)
        return Fired(np.concatenate(consequents), np.concatenate(strengths), np.concatenate(rules))

    def repelled_by(self, cart: Items) -> Items:
        """Items that some item of the cart keeps away, by affinity or by a rule of lift below 1."""
        return np.concatenate([self.repelled.of(cart), self.contrary.consequents.of(cart)])

    def counts_of(self, rule: int) -> RuleCounts:
        """The evidence of one of the rule table's rules."""
        table = self.table
        n_joint, n_antecedent = table.n_joint.item(rule), table.n_antecedent.item(rule)
        return RuleCounts(
            tuple(table.antecedents[rule].tolist()),
            n_joint,
            n_antecedent,
            n_joint / n_antecedent,
            *measures.lift_and_lower(
                n_joint, n_antecedent, table.n_consequent.item(rule), table.n_orders
            ),
        )

    def popular_counts(self, item: int) -> RuleCounts:
        n_joint = int(self.n_orders_of_item[item])
        return RuleCounts((), n_joint, self.n_orders, n_joint / max(self.n_orders, 1), 1.0, 1.0)

    def rank(self, cart_items: Sequence[int], limit: int) -> tuple[Items, Scores]:
        """The first `limit` complements of a cart, whether or not they can be offered."""
        cart = np.unique(np.asarray(cart_items, dtype=np.int32))
        items, scores = self.fire(cart).combined()
        fresh = ~np.isin(items, cart)
        items, scores = items[fresh], scores[fresh]
        best = top(scores, limit)
        items, scores = items[best], scores[best]
        if len(items) < limit:
            taken = np.concatenate([items, cart, self.repelled_by(cart)])
            free = np.flatnonzero(~np.isin(self.popular, taken))[: limit - len(items)]
            items = np.concatenate([items, self.popular[free]])
            scores = np.concatenate([scores, self.popular_score[free]])
        return items, scores


def _native(*indexes: RuleIndex) -> NativeRules:
    rules = NativeRules(library(), _OTHER_RULES_WEIGHT)
    for each in indexes:
        rules.file(each.consequents, each.strength, each.rule, each.rest)
    return rules


def top(scores: Scores, limit: int) -> NDArray[np.int64]:
    """Positions of the `limit` highest scores, highest first; ties by position."""
    if limit <= 0:
        return np.zeros(0, dtype=np.int64)
    if len(scores) > 4 * limit:
        found = highest(scores, limit)
        if found is not None:
            return found
        # Vector instructions sort thousands of numbers sooner than a partition finds its pivot.
        ranked = np.sort if len(scores) <= _FEW else partial(np.partition, kth=len(scores) - limit)
        threshold = ranked(scores)[len(scores) - limit]
        near = np.flatnonzero(scores >= threshold)
        return near[np.argsort(-scores[near], kind="stable")][:limit]
    return np.argsort(-scores, kind="stable")[:limit]
