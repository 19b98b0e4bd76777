"""Why each candidate that was not offered was not: for people who ask, off the hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.cross_sell.candidates import Candidates
from mersalg.engine.eligibility import Cap, CartEligibility
from mersalg.engine.facts import Kind
from mersalg.engine.merchandising.placing import Complement
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell

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
    category: NDArray[np.int32],
    substitutes: NDArray[np.int32],
    cap: Cap,
    offered: Sequence[Complement],
    *,
    limit: int,
) -> list[Rejected]:
    """Return what is not offered beside a cart, best first.

    Parameters
    ----------
    category, substitutes
        int32 (n_items,), as of `NativeEligibility`.
    offered
        The complements chosen, of at most `limit`.
    """
    chosen = {each.item for each in offered}
    families = {substitutes.item(each.item) for each in offered} - {-1}
    held = Counter(category.item(each.item) for each in offered)
    by_score = {category.item(each.item) for each in offered if not each.pinned}
    # A cap that gave way, or had no need to, is no reason.
    gave_way = cap.gives_way and any(held[code] > cap.most for code in by_score if code >= 0)
    full = {code for code, many in held.items() if code >= 0 and many >= cap.most and not gave_way}
    scores = map(candidates.score, candidates.strengths.tolist())
    judged = [(candidates.items, list(scores), full)]
    # Weaker candidates were looked at only where the others left a place to fill.
    if len(offered) < limit or not chosen.issubset(candidates.items.tolist()):
        items, weaker = candidates.fillers()
        judged.append((items, weaker.tolist(), set() if cap.gives_way else full))
    found: list[Rejected] = []
    for items, its_scores, crowded in judged:
        for item, score, reason in zip(
            items.tolist(), its_scores, eligibility.reasons(items), strict=True
        ):
            why = Reason.CATEGORY_CAP if category.item(item) in crowded else Reason.LOWER_SCORE
            why = Reason.FAMILY_OFFERED if substitutes.item(item) in families else why
            found.append(Rejected("cross_sell", item, score, reason or why))
    away = candidates.kept_apart()
    for item, reason in zip(away.tolist(), eligibility.reasons(away), strict=True):
        score = candidates.score_of(item)
        found.append(Rejected("cross_sell", item, score, reason or Reason.KEPT_APART))
    kept = [each for each in found if each.item not in chosen]
    return sorted(kept, key=lambda each: (-each.score, each.item))


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
