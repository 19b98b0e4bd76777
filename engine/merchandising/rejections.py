"""Why each candidate that was not offered was not: for people who ask, off the hot path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.candidates import Candidates
from engine.eligibility import CartEligibility
from engine.facts import Kind
from engine.merchandising.diversity import CategoryRoom
from engine.merchandising.placing import Complement
from engine.merchandising.reasons import Reason
from engine.upsell.recommender import BaseItem, Upgrade, Upsell

_MOST_UPGRADES = 256


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that is not offered as `kind`; `score` as it would have been offered with."""

    kind: Kind
    item: int
    score: float
    reason: Reason


def rejected_complements(
    candidates: Candidates,
    eligibility: CartEligibility,
    room: CategoryRoom,
    offered: Sequence[Complement],
    *,
    limit: int,
) -> list[Rejected]:
    """Best first.

    Args:
        room: what the categories have left after the slate was filled.
        offered: the complements chosen, of at most `limit`.
    """
    chosen = {each.item for each in offered}
    found = _judged(candidates.items, candidates.scores, eligibility, room.refuses)
    # Weaker candidates were looked at only where the others left a place to fill.
    if len(offered) < limit or not chosen.issubset(candidates.items.tolist()):
        for items, scores in candidates.more():
            # A cap that gives way is not asked about them.
            refuses = _nothing if room.gives_way else room.refuses
            found += _judged(items, scores, eligibility, refuses)
    away = candidates.kept_apart()
    for item, reason in zip(away.tolist(), eligibility.reasons(away), strict=True):
        why = Reason.KEPT_APART if reason is Reason.ELIGIBLE else reason
        found.append(Rejected("cross_sell", item, candidates.prior(item), why))
    kept = [each for each in found if each.item not in chosen]
    return sorted(kept, key=lambda each: (-each.score, each.item))


def _judged(
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    eligibility: CartEligibility,
    refuses: Callable[[int], bool],
) -> list[Rejected]:
    found: list[Rejected] = []
    reasons = eligibility.reasons(items)
    for item, score, reason in zip(items.tolist(), scores.tolist(), reasons, strict=True):
        why = reason
        if reason is Reason.ELIGIBLE:
            why = Reason.CATEGORY_CAP if refuses(item) else Reason.LOWER_SCORE
        found.append(Rejected("cross_sell", item, score, why))
    return found


def _nothing(_item: int) -> bool:
    return False


def rejected_upgrades(
    upsell: Upsell,
    bases: Sequence[BaseItem],
    eligibility: CartEligibility,
    offered: Sequence[Upgrade],
) -> list[Rejected]:
    """Every upgrade the ladders hold for the cart, best first, whatever keeps it from buyers."""
    every = upsell.best(bases, eligibility.lifted(), _MOST_UPGRADES)
    chosen = {upgrade.item for upgrade in offered}
    rest = [upgrade for upgrade in every if upgrade.item not in chosen]
    reasons = eligibility.reasons_instead(np.array([each.item for each in rest], dtype=np.int32))
    return [
        Rejected("upsell", each.item, each.score, reason or Reason.LOWER_SCORE)
        for each, reason in zip(rest, reasons, strict=True)
    ]
