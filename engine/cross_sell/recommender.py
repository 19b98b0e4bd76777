"""Complements of a cart: by the rules that it fires or a fitted ranking, then by popularity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from typing import NamedTuple, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.cross_sell.rules import RuleIndexes, RuleTable
from mersalg.engine.model import Model
from mersalg.engine.native.kernels import NativeRanking, NativeRules, highest
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import Mode

_OTHER_RULES_WEIGHT = 0.1
"""Of HitRate@10 on a year of groceries the best of 0, 0.1, 0.25, 0.5, 0.75 and 1."""
_POPULAR_SHARE = 0.1
"""An item added less than a tenth as often as the best one is not called popular."""


class RuleCounts(NamedTuple):
    """The strongest rule behind a candidate; an empty antecedent is the item among all orders."""

    antecedent: tuple[int, ...]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


@dataclass(frozen=True, slots=True)
class CrossSell:
    """Arrays that serving prepares once for each model."""

    table: RuleTable
    index: RuleIndexes
    popular: Int32s
    """Items by how often they were added to an order, most often first."""
    popular_score: Float64s
    """The share of all orders in which each of `popular` stood beside something else."""
    n_orders_of_item: Int64s
    n_orders: int
    repelled: Ragged[np.int32]
    n_items: int
    native: NativeRules

    @classmethod
    def prepare(cls, model: Model) -> Self:
        """Build what a cart is scored with from a model."""
        table, affinity, n_items = model.rules, model.affinity, len(model.catalogue)
        index = model.rule_index or RuleIndexes.of(table, n_items, model.recency)
        lately = model.recency or affinity
        added = lately.n_added_of_item
        best = int(added[model.catalogue.offerable].max(initial=0))
        popular = np.argsort(-added, kind="stable")
        popular = popular[added[popular] >= max(_POPULAR_SHARE * best, 1)]
        return cls(
            table=table,
            index=index,
            popular=popular.astype(np.int32),
            popular_score=added[popular] / max(lately.n_orders, 1),
            n_orders_of_item=affinity.n_orders_of_item,
            n_orders=affinity.n_orders,
            repelled=affinity.repelled,
            n_items=n_items,
            native=NativeRules(
                table,
                index.single,
                index.several,
                affinity.repelled,
                index.contrary.consequents,
                _OTHER_RULES_WEIGHT,
            ),
        )

    def repelled_by(self, cart: Int32s) -> Int32s:
        """Items that some item of the cart keeps away, by affinity or by a rule of lift below 1."""
        return np.concatenate([self.repelled.of(cart), self.index.contrary.consequents.of(cart)])

    def popular_counts(self, item: int) -> RuleCounts:
        """Return the counts behind an item that is offered for its popularity."""
        n_joint = int(self.n_orders_of_item[item])
        return RuleCounts((), n_joint, self.n_orders, n_joint / max(self.n_orders, 1), 1.0, 1.0)

    def rank(self, cart_items: Sequence[int], limit: int) -> tuple[Int32s, Float64s]:
        """Return the first `limit` complements of a cart, whether or not they can be offered."""
        cart = np.unique(np.asarray(cart_items, dtype=np.int32))
        items, strengths = self.native.fire(cart)
        fresh = ~np.isin(items, cart)
        items, strengths = items[fresh], strengths[fresh]
        best = highest(strengths, limit)
        items, scores = items[best], -np.expm1(-strengths[best])
        if len(items) < limit:
            taken = np.concatenate([items, cart, self.repelled_by(cart)])
            free = np.flatnonzero(~np.isin(self.popular, taken))[: limit - len(items)]
            items = np.concatenate([items, self.popular[free]])
            scores = np.concatenate([scores, self.popular_score[free]])
        return items, scores


class Candidates(Struct, frozen=True, gc=False):
    """Items that the rules of a cart lead to, or that a fitted ranking finds for cart and buyer.

    Items that something in the cart keeps away are no candidates of a ranking, unless a rule of
    the cart calls for them or the buyer has bought them before.
    """

    cross_sell: CrossSell
    native: NativeRanking | None
    cart: Int32s
    items: Int32s
    """int32 (n,): each candidate once, ascending."""
    strengths: Float64s
    """float64 (n,): the higher, the better; see `score`."""
    bought: Int32s
    """What is no candidate because the buyer has it already."""

    @classmethod
    def of(
        cls,
        cross_sell: CrossSell,
        native: NativeRanking | None,
        cart: Int32s,
        past: Past,
        mode: Mode,
    ) -> Candidates:
        """Return the candidates of a cart of dense indices, ascending.

        `native` is None where rules rank.
        """
        bought = past.item if mode == "discovery" else past.item[:0]
        if native is None:
            items, strengths = cross_sell.native.fire(cart)
            kept = ~np.isin(items, bought) if len(bought) else None
        else:
            items, strengths = native.rank(cart, past, mode)
            kept = cross_sell.native.near(cart, items, past.item)
        if kept is not None:
            items, strengths = items[kept], strengths[kept]
        return cls(cross_sell, native, cart, items, strengths, bought)

    def with_newcomers(self, newcomers: Newcomers, on_sale: Bools) -> Candidates:
        """Return these and the new items that go by them, of equal strength behind them.

        `on_sale` says whether each of these may be offered, bool (n,).
        """
        items, strengths = newcomers.ranked(self.items, self.strengths, on_sale)
        return replace(
            self,
            items=np.concatenate([self.items, items]),
            strengths=np.concatenate([self.strengths, strengths]),
        )

    def score(self, strength: float) -> float:
        """Return the score of a candidate, in [0, 1]."""
        return -expm1(-strength) if self.native is None else strength

    def fillers(self) -> tuple[Int32s, Float64s]:
        """Return popular items for places that are left, best first, and their scores."""
        popular = self.cross_sell.popular
        avoid = np.zeros(self.cross_sell.n_items, dtype=np.bool_)
        for items in (self.items, self.bought, self.cross_sell.repelled_by(self.cart)):
            avoid[items] = True
        free = ~avoid[popular]
        return popular[free], self._least() * self.cross_sell.popular_score[free]

    def kept_apart(self) -> Int32s:
        """Return the popular items that something in the cart keeps away."""
        popular = self.cross_sell.popular
        away = np.setdiff1d(self.cross_sell.repelled_by(self.cart), self.items)
        return popular[np.isin(popular, away)]

    def concerns(self, items: Int32s) -> Bools:
        """Return whether each of some items is, or could come to be, a candidate for this cart."""
        return np.isin(items, self.items) | np.isin(items, self.cross_sell.popular)

    def score_of(self, item: int) -> float:
        """Return the score of any item; a pin need not be a candidate."""
        index = int(self.items.searchsorted(item))
        if index < len(self.items) and self.items[index] == item:
            return self.score(self.strengths.item(index))
        popular = self.cross_sell.popular_counts(item).confidence
        return popular if self.native is None else min(popular, self._least())

    def _least(self) -> float:
        """Return what fillers score at most."""
        return 1.0 if self.native is None else float(self.strengths.min(initial=1.0))

    def evidence(self, item: int) -> RuleCounts:
        """Return the counts behind an item, candidate or not.

        They are those of the strongest rule; else of the pair with the cart that is best supported
        by counts; else of the item alone.
        """
        counts = self.cross_sell.native.evidence(self.cart, item)
        if counts is None and self.native is not None:
            counts = self.native.pair(self.cart, item)
        return self.cross_sell.popular_counts(item) if counts is None else RuleCounts(*counts)
