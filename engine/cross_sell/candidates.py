"""Candidate complements of one cart, before the shop's own rules choose among them."""

from __future__ import annotations

from math import expm1

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from mersalg.engine.arrays import Bools, Float64s, Int32s
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.cross_sell.recommender import CrossSell, RuleCounts
from mersalg.engine.native.kernels import NativeRanking
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import Mode


class Candidates(Struct, frozen=True, gc=False):
    """Items that the rules of a cart lead to, or that a fitted ranking finds for cart and buyer.

    Int32s that something in the cart keeps away are no candidates of a ranking, unless a rule of
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
