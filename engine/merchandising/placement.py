"""Give complements the places of a slate, pins of the shop first, and say why others have none."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mersalg.engine.arrays import Int32s
from mersalg.engine.cross_sell.recommender import Candidates, RuleCounts
from mersalg.engine.eligibility import Cap, CartEligibility
from mersalg.engine.facts import Kind
from mersalg.engine.merchandising.policy import Pin
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell

_UNCAPPED = 2**31
_MAX_UPGRADES = 256


class Complement(NamedTuple):
    """A cross-sell candidate that was chosen; `counts` are those of its strongest rule."""

    item: int
    score: float
    counts: RuleCounts
    pinned: bool = False
    """Whether the shop placed it."""


def place_complements(
    candidates: Candidates,
    eligibility: CartEligibility,
    pins: Sequence[Pin],
    cap: Cap,
    limit: int,
) -> list[Complement]:
    """Return at most `limit` complements in the order of their places.

    Pinned ones are left out of `eligibility` from then on, and count in their categories. Weaker
    items fill the places that candidates leave. Only a binding cap holds for these: in a small
    shop one category may well be all that sells.
    """
    pinned = _pinned(candidates, eligibility, pins, limit)
    taken, left = list(pinned), limit - len(pinned)
    items, strengths = candidates.items, candidates.strengths
    best = eligibility.best(items, strengths, taken, cap, left)
    chosen = {item: candidates.score(strength) for item, strength in best}
    if len(chosen) < left:
        items, scores = candidates.fillers()
        if cap.gives_way:
            cap = Cap(_UNCAPPED, gives_way=False)
        chosen |= eligibility.best(items, scores, [*taken, *chosen], cap, left - len(chosen))
    scores = chosen | {item: candidates.score_of(item) for item in pinned}
    return [
        Complement(item, scores[item], candidates.evidence(item), item in pinned)
        for item in (_arranged(pinned, chosen) if pinned else chosen)
    ]


def _pinned(
    candidates: Candidates, eligibility: CartEligibility, pins: Sequence[Pin], limit: int
) -> dict[int, int]:
    """Return the positions of the items the shop places itself, ascending, up to the limit."""
    positions: dict[int, int] = {}
    for pin in pins:
        if pin.position > limit or len(positions) == limit:
            break
        item = None
        if pin.by_score:
            item = _of_category(pin, candidates, eligibility)
        elif eligibility.pinnable(pin.items)[0]:
            item = int(pin.items[0])
        if item is not None:
            eligibility.leave_out(np.array([item], dtype=np.int32), Reason.ALREADY_OFFERED)
            positions[item] = pin.position
    return positions


def _of_category(pin: Pin, candidates: Candidates, eligibility: CartEligibility) -> int | None:
    """Return the best candidate of a category, else its most popular item that fits the cart.

    The shop named no item here, so nothing of what keeps items out is overridden but their price.
    """
    items, eligibility = candidates.items, eligibility.at_any_price()
    indices = (np.isin(items, pin.items) & eligibility.beside(items)).nonzero()[0]
    if len(indices):
        return int(items[indices[candidates.strengths[indices].argmax()]])
    free = eligibility.beside(pin.items) & ~np.isin(pin.items, candidates.kept_apart())
    return int(pin.items[free.argmax()]) if free.any() else None


def _arranged(pinned: dict[int, int], others: dict[int, float]) -> list[int]:
    """Put pins where they ask to be, or as near to it as there are others to precede them."""
    waiting, rest = deque(pinned.items()), deque(others)
    arranged: list[int] = []
    while waiting or rest:
        due = waiting and (waiting[0][1] <= len(arranged) + 1 or not rest)
        arranged.append(waiting.popleft()[0] if due else rest.popleft())
    return arranged


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
    category: Int32s,
    substitutes: Int32s,
    cap: Cap,
    offered: Sequence[Complement],
    *,
    limit: int,
) -> list[Rejected]:
    """Return what is not offered beside a cart, best first.

    `category` and `substitutes` are as of `NativeEligibility`, `offered` the complements chosen.
    """
    chosen = {offer.item for offer in offered}
    families = {substitutes.item(offer.item) for offer in offered} - {-1}
    held = Counter(category.item(offer.item) for offer in offered)
    by_score = {category.item(offer.item) for offer in offered if not offer.pinned}
    # A cap that gave way, or had no need to, is no reason.
    gave_way = cap.gives_way and any(held[code] > cap.most for code in by_score if code >= 0)
    full = {code for code, many in held.items() if code >= 0 and many >= cap.most and not gave_way}
    scores = map(candidates.score, candidates.strengths.tolist())
    judged = [(candidates.items, list(scores), full)]
    # Weaker candidates were looked at only where the others left a place to fill.
    if len(offered) < limit or not chosen.issubset(candidates.items.tolist()):
        items, weaker = candidates.fillers()
        judged.append((items, weaker.tolist(), set() if cap.gives_way else full))
    rejected: list[Rejected] = []
    for items, its_scores, crowded in judged:
        for item, score, reason in zip(
            items.tolist(), its_scores, eligibility.reasons(items), strict=True
        ):
            why = Reason.CATEGORY_CAP if category.item(item) in crowded else Reason.LOWER_SCORE
            why = Reason.FAMILY_OFFERED if substitutes.item(item) in families else why
            rejected.append(Rejected("cross_sell", item, score, reason or why))
    away = candidates.kept_apart()
    for item, reason in zip(away.tolist(), eligibility.reasons(away), strict=True):
        score = candidates.score_of(item)
        rejected.append(Rejected("cross_sell", item, score, reason or Reason.KEPT_APART))
    others = [candidate for candidate in rejected if candidate.item not in chosen]
    return sorted(others, key=lambda each: (-each.score, each.item))


def rejected_upgrades(
    upsell: Upsell,
    bases: Sequence[BaseItem],
    eligibility: CartEligibility,
    offered: Sequence[Upgrade],
) -> list[Rejected]:
    """Every upgrade the ladders hold for the cart, best first, whatever keeps it from buyers."""
    every = upsell.best(bases, eligibility.lifted(), _MAX_UPGRADES)
    chosen = {upgrade.item for upgrade in offered}
    rest = [upgrade for upgrade in every if upgrade.item not in chosen]
    reasons = eligibility.reasons_instead(np.array([each.item for each in rest], dtype=np.int32))
    return [
        Rejected("upsell", each.item, each.score, reason or Reason.LOWER_SCORE)
        for each, reason in zip(rest, reasons, strict=True)
    ]
