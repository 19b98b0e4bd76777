"""Who finds the hidden items, and how often a score comes true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.recommender import CrossSell
from engine.model import Model
from engine.ranking.evidence import Carts
from engine.ranking.keyed import Keys, best_of_each, distinct, look_up
from engine.ranking.purchases import Past, Purchases
from engine.ranking.ranking import Mode, Ranking
from training.ranking.examples import Examples

LIST_LENGTH = 10
_EDGES = np.array([0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0])

_Scored = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]
"""Cart, item, score and hidden item of each candidate; carts ascending."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Candidates by their score: how many, what was said of them, how many came true.

    Attributes:
        edges: float64 (k + 1,), the bins.
        n, n_true: int64 (k,); said: float64 (k,), the sum of the scores.
    """

    edges: NDArray[np.float64]
    n: NDArray[np.int64]
    said: NDArray[np.float64]
    n_true: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.float64], came_true: NDArray[np.bool_]) -> Reliability:
        n_bins = len(_EDGES) - 1
        place = np.clip(np.searchsorted(_EDGES, scores, side="right") - 1, 0, n_bins - 1)
        return cls(
            _EDGES,
            np.bincount(place, minlength=n_bins),
            np.bincount(place, weights=scores, minlength=n_bins),
            np.bincount(place[came_true], minlength=n_bins),
        )

    @property
    def expected_error(self) -> float | None:
        """Mean distance between score and share come true over the candidates (ECE)."""
        total = int(self.n.sum())
        return float(np.abs(self.said - self.n_true).sum() / total) if total else None

    def to_json(self) -> dict[str, Any]:
        bins = zip(self.edges, self.edges[1:], self.n, self.said, self.n_true, strict=False)
        return {
            "expected_calibration_error": self.expected_error,
            "bins": [
                {
                    "from": float(low),
                    "to": float(high),
                    "n": int(n),
                    "said": float(said / n),
                    "came_true": float(n_true / n),
                }
                for low, high, n, said, n_true in bins
                if n
            ],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hidden items among the first ten, and how often scores came true where there are scores."""

    hits: int
    reliability: Reliability | None


@dataclass(frozen=True, slots=True)
class Tested:
    """A model and the examples it is tested on; `past` are keys `example * n_items + item`."""

    model: Model
    recommender: CrossSell
    examples: Examples
    new: Examples
    purchases: Purchases
    frozen_at: int

    @classmethod
    def of(cls, model: Model, examples: Examples, purchases: Purchases, frozen_at: int) -> Tested:
        new = examples.take(np.flatnonzero(~examples.repeat))
        return cls(model, CrossSell.prepare(model), examples, new, purchases, frozen_at)

    @property
    def n_new(self) -> int:
        return len(self.new)

    def mersalg(self) -> Iterator[tuple[str, Outcome]]:
        """Of what would be served: with purchases up to each order, and up to the split."""
        ranking = self.model.ranking
        if ranking is None:
            yield "mersalg", Outcome(self.by(self._ranked_by_rules, discovery=False)[0], None)
            return
        for name, until in (("mersalg", None), ("mersalg_static", self.frozen_at)):
            yield name, self._outcome(ranking, self.examples, until, "complete")

    def discovered(self) -> Outcome:
        """Of what would be served to find what customers had not bought before the split."""
        ranking = self.model.ranking
        if ranking is None:
            return Outcome(0, None)
        return self._outcome(ranking, self.new, self.frozen_at, "discovery")

    def by(
        self, rank: Callable[[NDArray[np.int32]], NDArray[np.int32]], *, discovery: bool
    ) -> tuple[int, int]:
        """Hits of a ranker that knows carts only: of all examples, and of new items."""
        examples, found, found_new = self.examples, 0, 0
        past = self._past_keys() if discovery else np.zeros(0, dtype=np.int64)
        n_items = len(self.model.catalogue)
        for place, item in enumerate(examples.hidden.tolist()):
            indptr = examples.carts.indptr
            listed = rank(examples.carts.items[indptr[place] : indptr[place + 1]])
            found += item in listed[:LIST_LENGTH].tolist()
            if discovery and not examples.repeat[place]:
                fresh = ~look_up(past, place * n_items + listed.astype(np.int64))[1]
                found_new += item in listed[fresh][:LIST_LENGTH].tolist()
        return found, found_new

    def n_kept_apart(self) -> int:
        """Hidden items that keep apart from something in their cart."""
        affinity, examples = self.model.affinity, self.examples
        owner = examples.carts.owner()
        return len(
            {
                cart
                for cart, held in zip(owner.tolist(), examples.carts.items.tolist(), strict=True)
                if examples.hidden[cart] in affinity.repelled[held]
            }
        )

    def _outcome(
        self, ranking: Ranking, examples: Examples, until: int | None, mode: Mode
    ) -> Outcome:
        found = 0
        scores: list[NDArray[np.float64]] = [np.zeros(0)]
        true: list[NDArray[np.bool_]] = [np.zeros(0, dtype=np.bool_)]
        for cart, items, scored, hidden in self._scored(ranking, examples, until, mode):
            listed = best_of_each(cart, scored, LIST_LENGTH)
            found += int((items[listed] == hidden[listed]).sum())
            scores.append(scored)
            true.append(items == hidden)
        return Outcome(found, Reliability.of(np.concatenate(scores), np.concatenate(true)))

    def _scored(
        self, ranking: Ranking, examples: Examples, until: int | None, mode: Mode
    ) -> list[_Scored]:
        n_items = ranking.signals.n_items

        def of_batch(part: slice, carts: Carts, past: Past) -> _Scored:
            keys, scores = ranking.rank(carts, past, mode)
            kept = ~self._kept_apart(keys, carts, past, n_items)
            keys, scores = keys[kept], scores[kept]
            cart, item = np.divmod(keys, n_items)
            return cart, item.astype(np.int32), scores, examples.hidden[part][cart]

        return examples.each_batch(of_batch, self.purchases, until)

    def _kept_apart(self, keys: Keys, carts: Carts, past: Past, n_items: int) -> NDArray[np.bool_]:
        """As `RankedCandidates` leaves out: repelled, by no rule called for, not bought before."""
        away: list[Keys] = [np.zeros(0, dtype=np.int64)]
        called: list[Keys] = [past.cart * n_items + past.item]
        for cart in range(carts.n_carts):
            held = carts.items[carts.indptr[cart] : carts.indptr[cart + 1]]
            repelled = self.recommender.repelled_by(held)
            if len(repelled):
                away.append(cart * n_items + repelled.astype(np.int64))
                fired = self.recommender.native.fire(held)[0]
                called.append(cart * n_items + fired.astype(np.int64))
        repelled_keys = distinct(np.concatenate(away))
        called_keys = distinct(np.concatenate(called))
        return look_up(repelled_keys, keys)[1] & ~look_up(called_keys, keys)[1]

    def _past_keys(self) -> Keys:
        """Keys `example * n_items + item` of what each customer bought before the split."""
        n_items = len(self.model.catalogue)
        parts = self.examples.each_batch(
            lambda part, _, past: (past.cart + part.start) * n_items + past.item,
            self.purchases,
            self.frozen_at,
        )
        return distinct(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))

    def _ranked_by_rules(self, cart: NDArray[np.int32]) -> NDArray[np.int32]:
        return self.recommender.rank(cart.tolist(), LIST_LENGTH)[0]
