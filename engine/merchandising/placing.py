"""Which complements get the places of a slate: the shop's pins, then the best that find room."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.candidates import Candidates
from engine.cross_sell.recommender import RuleCounts
from engine.eligibility import CartEligibility
from engine.merchandising.diversity import CategoryRoom
from engine.merchandising.policy import Pin
from engine.merchandising.reasons import Reason

Items = NDArray[np.int32]


class Complement(NamedTuple):
    """A cross-sell candidate that was chosen; `counts` are those of its strongest rule."""

    item: int
    score: float
    counts: RuleCounts
    pinned: bool = False
    """Whether the shop placed it."""


class _Chosen(NamedTuple):
    """`position` is the place a pin asks for, 0 where none does."""

    item: int
    score: float
    position: int = 0


def place_complements(
    candidates: Candidates,
    eligibility: CartEligibility,
    pins: Sequence[Pin],
    room: CategoryRoom,
    limit: int,
) -> list[Complement]:
    """At most `limit` complements in the order of their places; pinned ones are left out of
    `eligibility` from then on, and `room` counts all."""
    pinned = _pinned(candidates, eligibility, pins, room, limit)
    left = limit - len(pinned)
    items, scores = candidates.items, candidates.scores
    best = room.best(items, scores, left, eligibility.beside)
    chosen = list(map(_Chosen, items[best].tolist(), scores[best].tolist()))
    if len(chosen) < left:
        chosen += _fillers(candidates, eligibility, room, left - len(chosen))
    arranged = _arranged(pinned, chosen) if pinned else chosen
    counts = candidates.evidence(np.array([each.item for each in arranged], dtype=np.int32))
    return [
        Complement(each.item, each.score, behind, each.position > 0)
        for each, behind in zip(arranged, counts, strict=True)
    ]


def _pinned(
    candidates: Candidates,
    eligibility: CartEligibility,
    pins: Sequence[Pin],
    room: CategoryRoom,
    limit: int,
) -> list[_Chosen]:
    """What the shop places itself, by position; a pin beyond the limit asks for nothing."""
    found: list[_Chosen] = []
    for pin in pins:
        if pin.position > limit or len(found) == limit:
            break
        item = (
            _of_category(pin, candidates, eligibility)
            if pin.by_score
            else _itself(pin, eligibility)
        )
        if item is None:
            continue
        room.add(item)
        eligibility.leave_out(np.array([item], dtype=np.int32), Reason.ALREADY_OFFERED)
        found.append(_Chosen(item, _score(candidates, item), pin.position))
    return found


def _itself(pin: Pin, eligibility: CartEligibility) -> int | None:
    return int(pin.items[0]) if eligibility.pinnable(pin.items)[0] else None


def _of_category(pin: Pin, candidates: Candidates, eligibility: CartEligibility) -> int | None:
    """The best candidate of a category, else its most popular item that goes with the cart.

    The shop named no item here, so nothing of what keeps items out is overridden.
    """
    items = candidates.items
    places = (np.isin(items, pin.items) & eligibility.beside(items)).nonzero()[0]
    if len(places):
        return int(items[places[candidates.scores[places].argmax()]])
    free = eligibility.beside(pin.items) & ~np.isin(pin.items, candidates.kept_apart())
    return int(pin.items[free.argmax()]) if free.any() else None


def _score(candidates: Candidates, item: int) -> float:
    places = (candidates.items == item).nonzero()[0]
    return float(candidates.scores[places[0]]) if len(places) else candidates.prior(item)


def _fillers(
    candidates: Candidates, eligibility: CartEligibility, room: CategoryRoom, limit: int
) -> list[_Chosen]:
    """Weaker candidates for places nothing better was found for.

    Only a binding cap holds here: in a small shop one category may well be all that sells.
    """
    found: list[_Chosen] = []
    for items, scores in candidates.more():
        free = eligibility.beside(items).nonzero()[0]
        for item, score in zip(items[free].tolist(), scores[free].tolist(), strict=True):
            if not room.gives_way and not room.take(item):
                continue
            found.append(_Chosen(item, score))
            if len(found) == limit:
                return found
    return found


def _arranged(pinned: Sequence[_Chosen], others: Sequence[_Chosen]) -> list[_Chosen]:
    """Pins where they ask to stand, or as near to it as there are others to stand before them."""
    waiting, rest = deque(pinned), deque(others)
    arranged: list[_Chosen] = []
    while waiting or rest:
        due = waiting and (waiting[0].position <= len(arranged) + 1 or not rest)
        arranged.append(waiting.popleft() if due else rest.popleft())
    return arranged
