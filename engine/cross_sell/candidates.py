"""What may complement one cart, before the shop's own rules choose among it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell import measures
from engine.cross_sell.recommender import CrossSell, Items, RuleCounts, Scores
from engine.native.kernels import NativeRanking
from engine.ranking.purchases import Past
from engine.ranking.ranking import Mode, Ranking
from engine.ranking.signals import ItemSignals

_CHUNK = 256
_NOWHERE = np.zeros(0, dtype=np.int64)
_NOTHING = np.zeros(0, dtype=np.int32)


class Candidates(Protocol):
    """The seam between whatever finds and scores complements and the slate."""

    @property
    def items(self) -> Items:
        """int32 (n,), each candidate once; of equal scores the earlier comes first."""
        ...

    @property
    def scores(self) -> Scores:
        """float64 (n,), in [0, 1]."""
        ...

    def more(self) -> Iterator[tuple[Items, Scores]]:
        """Weaker candidates for places that are left: chunks, best first, none of `items`."""
        ...

    def kept_apart(self) -> Items:
        """Items that would be candidates, did not something in the cart keep them away."""
        ...

    def concerns(self, items: Items) -> NDArray[np.bool_]:
        """Whether each of `items` is, or could come to be, a candidate for this cart."""
        ...

    def prior(self, item: int) -> float:
        """The score of an item that is no candidate, and that the shop places all the same."""
        ...

    def evidence(self, items: Items) -> list[RuleCounts]:
        """The counts behind each of `items`, candidates or not."""
        ...


class RuleCandidates:
    """The consequents of the rules a cart fires, then popular complements.

    The rules are fired when it is first asked which; of single items it is found out without.
    Nothing of `bought` is a candidate: what the buyer has already, where only new things are asked.
    """

    def __init__(self, recommender: CrossSell, cart: Items, bought: Items = _NOTHING) -> None:
        self._recommender, self._cart, self._bought = recommender, cart, bought

    @property
    def items(self) -> Items:
        return self._found[0]

    @property
    def scores(self) -> Scores:
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Items, Scores]:
        items, scores = self._recommender.native.fire(self._cart)
        if not len(self._bought):
            return items, scores
        new = ~np.isin(items, self._bought)
        return items[new], scores[new]

    def fires(self, items: Items) -> NDArray[np.bool_]:
        """Whether some rule of the cart leads to each of `items`."""
        return self._recommender.native.strongest(self._cart, items) >= 0

    def more(self) -> Iterator[tuple[Items, Scores]]:
        recommender = self._recommender
        avoid = np.zeros(recommender.n_items, dtype=np.bool_)
        avoid[self.items] = True
        avoid[self._bought] = True
        avoid[recommender.repelled_by(self._cart)] = True
        for start in range(0, len(recommender.popular), _CHUNK):
            part = slice(start, start + _CHUNK)
            items = recommender.popular[part]
            free = (~avoid[items]).nonzero()[0]
            yield items[free], recommender.popular_score[part][free]

    def kept_apart(self) -> Items:
        popular = self._recommender.popular
        away = np.setdiff1d(self._recommender.repelled_by(self._cart), self.items)
        return popular[np.isin(popular, away)]

    def concerns(self, items: Items) -> NDArray[np.bool_]:
        return np.isin(items, self.items) | np.isin(items, self._recommender.popular)

    def prior(self, item: int) -> float:
        return self._recommender.popular_counts(item).confidence

    def evidence(self, items: Items) -> list[RuleCounts]:
        recommender = self._recommender
        rules = recommender.native.strongest(self._cart, items)
        return [
            recommender.popular_counts(item) if rule < 0 else recommender.counts_of(rule)
            for item, rule in zip(items.tolist(), rules.tolist(), strict=True)
        ]


class RankedCandidates:
    """What a fitted ranking finds for the cart and its buyer, then popular complements.

    Items that something in the cart keeps away are left out, unless a rule of the cart calls for
    them or the buyer has bought them before.
    """

    def __init__(
        self,
        recommender: CrossSell,
        ranking: Ranking,
        cart: Items,
        past: Past,
        mode: Mode,
        native: NativeRanking,
    ) -> None:
        self._ranking, self._native, self._cart = ranking, native, cart
        self._bought, self._mode = past.item, mode
        self._by_rules = RuleCandidates(recommender, cart)
        items, scores = native.rank(cart, past, mode)
        away = self._kept_away(items, recommender.repelled_by(cart))
        if len(away):
            items, scores = np.delete(items, away), np.delete(scores, away)
        self.items, self.scores = items, scores

    def _kept_away(self, items: Items, repelled: Items) -> NDArray[np.int64]:
        """Positions among `items`, which ascend."""
        if not len(repelled) or not len(items):
            return _NOWHERE
        places = np.minimum(items.searchsorted(repelled), len(items) - 1)
        places = np.unique(places[items[places] == repelled])
        named = items[places]
        return places[~self._by_rules.fires(named) & ~np.isin(named, self._bought)]

    def more(self) -> Iterator[tuple[Items, Scores]]:
        taken = self.items
        if self._mode == "discovery":
            taken = np.append(taken, self._bought)
        least = float(self.scores.min(initial=1.0))
        for items, scores in self._by_rules.more():
            free = (~np.isin(items, taken)).nonzero()[0]
            yield items[free], least * scores[free]

    def kept_apart(self) -> Items:
        return self._by_rules.kept_apart()

    def concerns(self, items: Items) -> NDArray[np.bool_]:
        return np.isin(items, self.items) | self._by_rules.concerns(items)

    def prior(self, item: int) -> float:
        return min(self._by_rules.prior(item), float(self.scores.min(initial=1.0)))

    def evidence(self, items: Items) -> list[RuleCounts]:
        """Of the strongest rule; else of the pair with the cart that is best borne out by counts;
        else of the item alone."""
        found = self._by_rules.evidence(items)
        ruleless = [place for place, counts in enumerate(found) if not counts.antecedent]
        if not ruleless:
            return found
        pairs = self._native.pairs(items[ruleless], self._cart)
        for place, (held, n_joint) in zip(ruleless, pairs, strict=True):
            if held >= 0:
                signals = self._ranking.signals
                found[place] = pair_counts(signals, held, int(items[place]), n_joint)
        return found


def pair_counts(signals: ItemSignals, held: int, item: int, n_joint: int) -> RuleCounts:
    """The counts of an item beside another, which a cart holds, where no rule speaks of them."""
    n_held, n_item = int(signals.n_orders[held]), int(signals.n_orders[item])
    n_orders = int(signals.n_orders_all[0])
    measured = measures.lift_and_lower(n_joint, n_held, n_item, n_orders)
    return RuleCounts((held,), n_joint, n_held, n_joint / n_held, *measured)
