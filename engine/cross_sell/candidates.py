"""What may complement one cart, before the shop's own rules choose among it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.recommender import CrossSell, Items, RuleCounts, Scores

_CHUNK = 256


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
    """The consequents of the rules a cart fires, then popular complements."""

    def __init__(self, recommender: CrossSell, cart: Items) -> None:
        self._recommender, self._cart = recommender, cart
        self._fired = recommender.fire(cart)
        self.items, self.scores = self._fired.combined()

    def more(self) -> Iterator[tuple[Items, Scores]]:
        recommender = self._recommender
        avoid = np.zeros(recommender.n_items, dtype=np.bool_)
        avoid[self.items] = True
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
        strongest = [self._strongest(item) for item in items.tolist()]
        rules = np.array([rule for rule in strongest if rule is not None], dtype=np.int32)
        counts = iter(self._recommender.rule_counts(rules) if len(rules) else ())
        return [
            self._recommender.popular_counts(item) if rule is None else next(counts)
            for item, rule in zip(items.tolist(), strongest, strict=True)
        ]

    def _strongest(self, item: int) -> int | None:
        """The most confident rule that fired for `item`, the first of ties; None without any."""
        behind = (self._fired.consequent == item).nonzero()[0]
        if not len(behind):
            return None
        return int(self._fired.rule[behind[self._fired.strength[behind].argmax()]])
