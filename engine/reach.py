"""Whether an item can be offered at all, where, and why not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.slate import Recommenders
from mersalg.engine.upsell.recommender import BaseItem


class Reach(NamedTuple):
    """Whether some cart can be offered an item beside it, or instead of what it holds.

    `reasons` are codes: that of a `Reason`; `no_rule` where nothing leads to the item; `no_price`,
    `not_in_model` (nor its family), `no_cheaper_version` and, of a new item, `no_known_gain` where
    it is no upgrade.
    """

    cross_sell: bool
    upsell: bool
    reasons: list[str]


def reach_of(recommenders: Recommenders, item: int, at: int) -> Reach:
    """Return what keeps an item of a dense index from being offered at an instant, if anything."""
    reason = Reason(recommenders.policy.at(at).eligibility.fitted.item(item))
    if reason is not Reason.ELIGIBLE:
        return Reach(False, False, [reason.code])
    cross_sell, no_upgrade = _complements(recommenders, item), _no_upgrade(recommenders, item)
    reasons = [] if cross_sell else ["no_rule"]
    return Reach(cross_sell, no_upgrade is None, reasons + ([no_upgrade] if no_upgrade else []))


def _complements(recommenders: Recommenders, item: int) -> bool:
    cross_sell, ranking = recommenders.cross_sell, recommenders.ranking
    lists = [recommenders.policy.pinnable, cross_sell.table.consequent, cross_sell.popular]
    if ranking is not None:
        lists.append(ranking.neighbours.items.values)
    if recommenders.newcomers is not None:
        lists.append(recommenders.newcomers.items)
    return any(bool((items == item).any()) for items in lists)


def _no_upgrade(recommenders: Recommenders, item: int) -> str | None:
    upsell, prices = recommenders.upsell, recommenders.catalogue.price_minor
    ladders, newcomers = upsell.ladders, upsell.newcomers
    if prices.item(item) <= 0:
        return "no_price"
    if (upsell.given.values == item).any():
        return None
    is_new = item >= len(ladders.family)
    families = ladders.family if newcomers is None else np.append(ladders.family, newcomers.ladder)
    ladder = families.item(item)
    if is_new and ladder < 0:
        return "not_in_model"
    siblings = ladders.members[ladder] if ladder >= 0 else np.zeros(0, dtype=np.int32)
    cheaper = (prices[siblings] > 0) & (prices[siblings] < prices[item])
    if not is_new:
        cheaper &= ladders.tier[siblings] < ladders.tier[item]
    if not cheaper.any():
        return "no_cheaper_version"
    if not is_new:
        return None
    marks = np.ones(len(prices), dtype=np.uint8)
    marks[item] = 0
    bases = [BaseItem(base, 1, prices.item(base)) for base in siblings[cheaper].tolist()]
    return None if upsell.best_new(bases, marks, 1) else "no_known_gain"
