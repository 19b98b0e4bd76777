"""Better versions of what a cart holds: dearer siblings a few tiers up the same ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.config import OffersSection
from engine.eligibility import CartEligibility, Reason
from engine.model import Model
from engine.offers import Quantity
from engine.upsell.gains import Comparison, compare_items
from engine.upsell.tiers import Ladders

_PRIOR_SHARE, _PRIOR_ORDERS = 0.1, 10.0
"""A sibling nobody has bought yet is taken to win one buyer in ten."""
_EACH_TIER_MORE = 0.6
_NOTHING_KNOWN = 0.5
_EACH_LOSS = 0.8
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class BaseItem:
    """What may be replaced: an item of the cart, all its lines together.

    `unit_price_minor` is the highest price paid for one unit, None where nothing is known.
    """

    item: int
    quantity: Quantity
    unit_price_minor: int | None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """`score` in [0, 1] is how likely the upgrade is taken, by its share among both's buyers."""

    item: int
    base: BaseItem
    score: float
    price_difference_minor: int
    comparison: Comparison

    @property
    def expected_minor(self) -> float:
        """Expected extra revenue: what upgrades are ranked by across the cart."""
        return self.score * self.price_difference_minor * float(self.base.quantity)


@dataclass(frozen=True, slots=True)
class Upsell:
    """What serving keeps of each model."""

    catalogue: Catalogue
    ladders: Ladders
    n_orders_of_item: NDArray[np.int64]
    settings: OffersSection

    @classmethod
    def prepare(cls, model: Model) -> Self:
        return cls(
            model.catalogue, model.ladders, model.affinity.n_orders_of_item, model.settings.offers
        )

    def best(
        self, bases: Sequence[BaseItem], eligibility: CartEligibility, limit: int
    ) -> list[Upgrade]:
        """The `limit` upgrades of the highest expected gain, each better item once."""
        if limit <= 0:
            return []
        waiting = [
            (score, base, item, difference)
            for base in bases
            for item, score, difference in self._siblings(base, eligibility)
        ]
        # The bound leaves attributes out, which can only lower it: few items need comparing.
        waiting.sort(key=lambda entry: (-entry[0] * entry[3] * float(entry[1].quantity), entry[2]))
        chosen: dict[int, Upgrade] = {}
        cart = [base.item for base in bases]
        for score, base, item, difference in waiting:
            bound = score * difference * float(base.quantity)
            ranked = sorted((upgrade.expected_minor for upgrade in chosen.values()), reverse=True)
            if len(ranked) >= limit and ranked[limit - 1] >= bound:
                break
            comparison = compare_items(self.catalogue, base.item, item)
            losses = len(comparison.losses)
            if losses > len(comparison.gains) or self._strands(base.item, item, cart):
                continue
            known = 1.0 if comparison.gains else _NOTHING_KNOWN
            upgrade = Upgrade(
                item, base, score * known * _EACH_LOSS**losses, difference, comparison
            )
            rival = chosen.get(item)
            if rival is None or upgrade.expected_minor > rival.expected_minor:
                chosen[item] = upgrade
        return sorted(chosen.values(), key=lambda each: (-each.expected_minor, each.item))[:limit]

    def _siblings(
        self, base: BaseItem, eligibility: CartEligibility
    ) -> list[tuple[int, float, int]]:
        """(item, score before attributes are looked at, price difference) of each upgrade."""
        ladder = int(self.ladders.family[base.item])
        paid = base.unit_price_minor
        if ladder < 0 or paid is None or paid <= 0:
            return []
        members = self.ladders.members_of(ladder)
        prices = self.catalogue.price_minor[members]
        ratios = prices / paid
        steps = self.ladders.tier[members] - int(self.ladders.tier[base.item])
        fit = (
            (steps > 0)
            & (prices > paid)
            & (ratios >= self.settings.min_price_ratio - _TOLERANCE)
            & (ratios <= self.settings.max_price_ratio + _TOLERANCE)
        )
        if not fit.any():
            return []
        fit[fit] = eligibility.reasons(members[fit], beside=False) == Reason.ELIGIBLE
        members, prices, steps = members[fit], prices[fit], steps[fit]
        bought = self.n_orders_of_item[members]
        share = (bought + _PRIOR_SHARE * _PRIOR_ORDERS) / (
            bought + int(self.n_orders_of_item[base.item]) + _PRIOR_ORDERS
        )
        scores = share * (paid / prices) * _EACH_TIER_MORE ** (steps - 1.0)
        return list(zip(members.tolist(), scores.tolist(), (prices - paid).tolist(), strict=True))

    def _strands(self, base: int, better: int, cart: Sequence[int]) -> bool:
        """Something else in the cart fits the base item and would not fit the better one."""
        left = {item for item in cart if item != base} | {better}
        return any(
            base in fitted and not left.intersection(fitted)
            for item in cart
            if item != base and (fitted := self.catalogue.compatible_with(item).tolist())
        )
