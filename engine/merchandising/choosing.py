"""Complements in one go, for carts that nothing stands in the way of: what placing does in steps.

Most carts are like this: no pin of the shop holds, nobody asks why something is not offered, and
there is more to choose from than places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.cross_sell.candidates import pair_counts
from engine.cross_sell.recommender import CrossSell, RuleCounts
from engine.eligibility import CartEligibility
from engine.facts import Mode
from engine.merchandising.diversity import cap_of
from engine.merchandising.placing import Complement
from engine.native.kernels import NativeComplements, NativeRanking
from engine.ranking.purchases import Past
from engine.ranking.ranking import Ranking


class Chosen(NamedTuple):
    """Why an item was chosen, as of `NativeComplements.choose`."""

    score: float
    item: int
    rule: int
    held: int
    joint: int


@dataclass(frozen=True, slots=True)
class Choosing:
    """What serving prepares once for each model."""

    cross_sell: CrossSell
    ranking: Ranking | None
    max_per_category: int | None
    native: NativeComplements

    @classmethod
    def prepare(
        cls,
        cross_sell: CrossSell,
        ranking: Ranking | None,
        native_ranking: NativeRanking | None,
        catalogue: Catalogue,
        family: NDArray[np.int32],
        max_per_category: int | None,
    ) -> Choosing:
        native = NativeComplements(
            cross_sell.native,
            native_ranking,
            cross_sell.repelled,
            cross_sell.contrary.consequents,
            catalogue.category,
            family,
            catalogue.price_minor,
        )
        return cls(cross_sell, ranking, max_per_category, native)

    def complements(
        self,
        cart: NDArray[np.int32],
        past: Past,
        mode: Mode,
        eligibility: CartEligibility,
        limit: int,
    ) -> list[Complement] | None:
        """`limit` complements, as `place_complements` places them; None where it has to."""
        dearest = eligibility.dearest_minor
        most, gives_way = cap_of(self.max_per_category, limit)
        found = self.native.choose(
            cart,
            past,
            mode,
            eligibility.marks,
            np.ascontiguousarray(eligibility.blocked_families, dtype=np.int32),
            -1.0 if dearest is None else dearest,
            most,
            gives_way,
            limit,
        )
        chosen = list(map(Chosen._make, found))
        if len(chosen) < limit:
            return None
        scores = [each.score for each in chosen]
        if self.ranking is None:
            scores = (-np.expm1(-np.array(scores))).tolist()
        return [
            Complement(each.item, score, self._counts(each))
            for each, score in zip(chosen, scores, strict=True)
        ]

    def _counts(self, chosen: Chosen) -> RuleCounts:
        if chosen.rule >= 0:
            return self.cross_sell.counts_of(chosen.rule)
        if chosen.held < 0 or self.ranking is None:
            return self.cross_sell.popular_counts(chosen.item)
        return pair_counts(self.ranking.signals, chosen.held, chosen.item, chosen.joint)
