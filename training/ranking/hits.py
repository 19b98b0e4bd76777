"""Compare rankings by the hidden items they find, and scores with what was bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.cross_sell.recommender import CrossSell
from mersalg.engine.merchandising.targets import sensitive_of
from mersalg.engine.model import Model
from mersalg.engine.ranking.purchases import Carts, Past, Purchases
from mersalg.engine.ranking.ranking import Mode, Ranking, Scorer
from mersalg.training.affinity import Exclusions
from mersalg.training.keyed import distinct, least_by_key, look_up
from mersalg.training.networks import calibrated
from mersalg.training.ranking.ranker import CALIBRATION, Examples, rows_of

LIST_LENGTH = 10
_RULES_LISTED = 1_000
_EDGES = np.array([0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0])

LIFTS = (1.0, 0.5, 0.25, 0.0, -1.0)
"""Greatest lifts at which pairs may be kept apart; at the last one none are."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Candidates in k bins of their score."""

    edges: Float64s
    """The bins, (k + 1,)."""
    n: Int64s
    predicted: Float64s
    """Sum of the scores, (k,)."""
    observed: Int64s
    """How many were bought, (k,)."""

    @classmethod
    def of(cls, scores: Float64s, was_bought: Bools) -> Reliability:
        """Compare scores with whether the candidates were bought."""
        n_bins = len(_EDGES) - 1
        index = np.clip(np.searchsorted(_EDGES, scores, side="right") - 1, 0, n_bins - 1)
        return cls(
            _EDGES,
            np.bincount(index, minlength=n_bins),
            np.bincount(index, weights=scores, minlength=n_bins).astype(np.float64),
            np.bincount(index[was_bought], minlength=n_bins),
        )

    @property
    def expected_error(self) -> float | None:
        """Mean distance between predicted and observed share over the candidates (ECE)."""
        total = int(self.n.sum())
        return float(np.abs(self.predicted - self.observed).sum() / total) if total else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        bins = zip(self.edges, self.edges[1:], self.n, self.predicted, self.observed, strict=False)
        return {
            "expected_calibration_error": self.expected_error,
            "bins": [
                {
                    "from": float(low),
                    "to": float(high),
                    "n": int(n),
                    "predicted": float(predicted / n),
                    "observed": float(observed / n),
                }
                for low, high, n, predicted, observed in bins
                if n
            ],
        }


Outcome = tuple[int, Reliability | None]
"""Hidden items among the first ten, and the reliability of scores where there are scores."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A model and the examples it is tested on; `new` are those of items not bought before.

    `apart` are all pairs that could be kept apart; the model keeps those up to `max_lift`.
    """

    model: Model
    recommender: CrossSell
    apart: Exclusions
    examples: Examples
    new: Examples
    purchases: Purchases
    frozen_at: int
    max_lift: float = 1.0

    @classmethod
    def of(
        cls,
        model: Model,
        apart: Exclusions,
        examples: Examples,
        purchases: Purchases,
        frozen_at: int,
    ) -> Tested:
        """Split examples into new and repeated purchases."""
        new = examples.take(np.flatnonzero(~examples.repeat))
        return cls(model, CrossSell.prepare(model), apart, examples, new, purchases, frozen_at)

    def serving(self, max_lift: float, ranking: Ranking | None) -> Tested:
        """Return the same with a model of another ranking that keeps other pairs apart."""
        affinity = replace(self.model.affinity, repelled=self.apart.at_most(max_lift))
        model = replace(self.model, affinity=affinity, ranking=ranking)
        return replace(self, model=model, recommender=CrossSell.prepare(model), max_lift=max_lift)

    def of_mode(self, mode: Mode) -> tuple[Examples, int | None]:
        """Return the examples of a mode, and until when purchases are known to it."""
        return (self.new, self.frozen_at) if mode == "discovery" else (self.examples, None)

    def served(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the outcome of what would be served.

        `mersalg` has purchases up to each order, `mersalg_static` those up to the split;
        `discovery` is of what is new to the customer.
        """
        ranking = self.model.ranking
        if ranking is None:
            yield "mersalg", (self.by_rules(), None)
            yield "discovery", (self.by_rules(new=True), None)
            return
        yield "mersalg", self._outcome(ranking, self.examples, None, "complete")
        yield "mersalg_static", self._outcome(ranking, self.examples, self.frozen_at, "complete")
        yield "discovery", self._outcome(ranking, self.new, self.frozen_at, "discovery")

    def by_rules(self, *, new: bool = False) -> int:
        """Return the hits of the model's rules."""

        def rank(cart: Int32s) -> Int32s:
            return self.recommender.rank(cart.tolist(), _RULES_LISTED if new else LIST_LENGTH)[0]

        return self.by(rank, new=new)

    def by(self, rank: Callable[[Int32s], Int32s], *, new: bool = False) -> int:
        """Return the hits of a ranker that knows carts only.

        `new` leaves out of its lists what the customer had bought before the split.
        """
        examples, n_hits = self.new if new else self.examples, 0
        past = self._past_keys() if new else np.zeros(0, dtype=np.int64)
        for index, item in enumerate(examples.hidden.tolist()):
            listed = rank(examples.carts[index])
            if new:
                keys = index * len(self.model.catalogue) + listed.astype(np.int64)
                listed = listed[~look_up(past, keys)[1]]
            n_hits += item in listed[:LIST_LENGTH].tolist()
        return n_hits

    def hits(
        self, ranking: Ranking, scorers: Mapping[str, Scorer], mode: Mode
    ) -> dict[str, Int64s]:
        """Return the hits of each of several scorers at each of LIFTS."""
        examples, until = self.of_mode(mode)
        native, n_items = ranking.native(), ranking.signals.n_items

        def of_batch(part: slice, carts: Carts, past: Past) -> list[list[int]]:
            hidden = examples.hidden[part]
            cart, item, signals = native.signals(carts, past, mode, hidden, np.inf, np.zeros(0))
            keys = cart * n_items + item
            lift = self._lift(keys, carts, past)
            return [
                [_found(keys, scores, lift > most, hidden, n_items) for most in LIFTS]
                for scores in (scorer.raw(signals) for scorer in scorers.values())
            ]

        none = np.zeros((len(scorers), len(LIFTS)), dtype=np.int64)
        parts = examples.each_batch(of_batch, self.purchases, until)
        return dict(zip(scorers, sum(map(np.array, parts), none), strict=True))

    def calibrated(self, ranking: Ranking, scorer: Scorer, mode: Mode) -> Scorer:
        """Return the scorer with scores that come true on some of the examples."""
        examples, until = self.of_mode(mode)
        some = examples.take(np.arange(min(len(examples), CALIBRATION)))
        return calibrated(scorer, rows_of(ranking, mode, some, self.purchases, until, None))

    def n_kept_apart(self) -> int:
        """Hidden items that keep apart from something in their cart."""
        repelled, carts = self.model.affinity.repelled, self.examples.carts
        entries, index = repelled.gather(carts.values)
        cart = carts.owners()[index]
        return len(distinct(cart[repelled.values[entries] == self.examples.hidden[cart]]))

    def n_held_back(self) -> dict[str, int]:
        """Return how many hidden items the price cap and sensitive categories would not offer.

        Hits are counted as if neither held: these are what they cost at most.
        """
        offers, catalogue = self.model.settings.offers, self.model.catalogue
        carts, hidden = self.examples.carts, self.examples.hidden
        owner, held = carts.owners(), carts.lengths
        price = np.where(catalogue.price_minor == UNKNOWN, np.nan, catalogue.price_minor)
        worth = np.bincount(owner, price[carts.values], minlength=len(hidden))
        # Comparisons with what is not known are false.
        limit = np.where(worth > 0, worth, np.inf) * (offers.max_price_to_cart_ratio or np.inf)
        kind = sensitive_of(catalogue, offers.sensitive)
        same = kind[carts.values] == kind[hidden][owner]
        alone = np.bincount(owner, same, minlength=len(hidden)) == held
        return {
            "too_dear": int((price[hidden] > limit).sum()),
            "sensitive": int(((kind[hidden] >= 0) & ~(alone & (held > 0))).sum()),
        }

    def _outcome(
        self, ranking: Ranking, examples: Examples, until: int | None, mode: Mode
    ) -> Outcome:
        native, n_items = ranking.native(), ranking.signals.n_items

        def of_batch(part: slice, carts: Carts, past: Past) -> tuple[int, Float64s, Bools]:
            cart, item, scores = native.rank_carts(carts, past, mode)
            keys, hidden = cart * n_items + item, examples.hidden[part]
            is_allowed = self._lift(keys, carts, past) > self.max_lift
            is_hit = _found(keys, scores, is_allowed, hidden, n_items)
            return is_hit, scores[is_allowed], (item == hidden[cart])[is_allowed]

        parts = examples.each_batch(of_batch, self.purchases, until)
        scores = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
        true = np.concatenate([np.zeros(0, dtype=np.bool_), *(part[2] for part in parts)])
        return sum(part[0] for part in parts), Reliability.of(scores, true)

    def _lift(self, keys: Int64s, carts: Carts, past: Past) -> Float32s:
        """Return the least lift of each candidate with what its cart holds and it keeps apart from.

        Infinite where there is none, or where `Candidates` leaves the candidate in all the
        same: a rule of the cart calls for it, or the customer has bought it before.
        """
        n_items, owner = len(self.model.catalogue), carts.owners()
        entries, index = self.apart.items.gather(carts.values)
        away = owner[index] * n_items + self.apart.items.values[entries]
        contrary = self.recommender.index.contrary.consequents
        against, index = contrary.gather(carts.values)
        away = np.append(away, owner[index] * n_items + contrary.values[against])
        # Rules of lift below 1 are the shop's own, and kept at any measure.
        values = np.append(self.apart.lift[entries], np.full(len(against), -np.inf))
        apart, least = least_by_key(away, values)
        index, has_lift = look_up(apart, keys)
        lift = np.full(len(keys), np.inf, dtype=np.float32)
        lift[has_lift] = least[index[has_lift]]
        called = [past.cart * n_items + past.item]
        for cart in np.unique(keys[has_lift] // n_items).tolist():
            held = carts[cart]
            called.append(cart * n_items + self.recommender.native.fire(held)[0].astype(np.int64))
        lift[look_up(distinct(np.concatenate(called)), keys)[1]] = np.inf
        return lift

    def _past_keys(self) -> Int64s:
        """Keys `example * n_items + item` of what each customer bought before the split."""
        n_items = len(self.model.catalogue)
        parts = self.new.each_batch(
            lambda part, _, past: (past.cart + part.start) * n_items + past.item,
            self.purchases,
            self.frozen_at,
        )
        return distinct(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))


def _found(
    keys: Int64s, scores: NDArray[np.floating], kept: Bools, hidden: Int32s, n_items: int
) -> int:
    """Return how many hidden items are among the first of their carts' candidates that are kept.

    Of equal scores the earlier item comes first, as in a slate.
    """
    carts = np.arange(len(hidden))
    index, known = look_up(keys, carts * n_items + hidden)
    known &= kept[index] if len(keys) else known
    own = np.where(known, scores[index] if len(keys) else 0, np.inf)
    cart = keys // max(n_items, 1)
    before = (scores > own[cart]) | ((scores == own[cart]) & (keys < keys[index[cart]]))
    ahead = np.bincount(cart[before & kept], minlength=len(hidden))
    return int((known & (ahead < LIST_LENGTH)).sum())
