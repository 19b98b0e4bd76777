"""What buyers did next: every purchase of a ladder set against the one before it.

The protocol of upsell's back-test is reconstructed from the yardsticks published for Complete
Journey. A *turn* is an order that holds exactly one item of a ladder, of a customer whose last
such order held `base`; prices are the medians of training. An *upgrade* is a turn to an item the
customer had never bought, of a higher tier and 1.05 to 2.5 times the price of `base`; items that
training saw in fewer than ten orders are left out. With tiers by terciles of price this gives
random .150 / .360, the cheapest next tier .160 / .384 and the most popular dearer item
.300 / .548 over 9,663 upgrades; published are .146 / .349, .164 / .377 and .298 / .533 over 10,972.
Whether a turn goes up is asked where there is a tier above the base's; with K-means tiers .177 do,
as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.upsell.tiers import Ladders

if TYPE_CHECKING:
    from mersalg.training.dataset import Dataset

Integers = NDArray[np.int64]
MIN_RATIO, MAX_RATIO = 1.05, 2.5
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Turns:
    """Consecutive purchases on a ladder, in time order; all arrays have shape (n,).

    Attributes
    ----------
    customer
        int64. order: int64, the later order. seconds: int64, its time.
    base, item
        int32, what was bought before and then.
    is_new : bool
        The customer had never bought `item`.
    """

    customer: Integers
    order: Integers
    seconds: Integers
    base: NDArray[np.int32]
    item: NDArray[np.int32]
    is_new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.base)

    def take(self, chosen: Integers | NDArray[np.bool_]) -> Turns:
        """Return the turns chosen."""
        return Turns(
            self.customer[chosen],
            self.order[chosen],
            self.seconds[chosen],
            self.base[chosen],
            self.item[chosen],
            self.is_new[chosen],
        )


@dataclass(frozen=True, slots=True)
class Purchased:
    """Each item of each order of a known customer; shape (n,), by order then item."""

    customer: Integers
    order: Integers
    seconds: Integers
    item: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Questions:
    """Items that may be replaced, and the better ones of each.

    Attributes
    ----------
    base
        int32 (n_questions,).
    indptr : int64 (n_questions + 1,)
        The rows of each question.
    sibling
        int32 (n_rows,).
    ratio : float32 (n_rows,)
        The better item's price over the base item's.
    """

    base: NDArray[np.int32]
    indptr: Integers
    sibling: NDArray[np.int32]
    ratio: NDArray[np.float32]

    @property
    def owner(self) -> Integers:
        """int64 (n_rows,), the question of each row."""
        return np.repeat(np.arange(len(self.base)), np.diff(self.indptr))

    def part(self, start: int, end: int) -> Questions:
        """Return the questions from `start` to before `end`."""
        first, last = self.indptr[start], self.indptr[end]
        return Questions(
            self.base[start:end],
            self.indptr[start : end + 1] - first,
            self.sibling[first:last],
            self.ratio[first:last],
        )


def purchased(dataset: Dataset) -> Purchased:
    """Return the purchases of known customers."""
    baskets = dataset.baskets
    order = np.repeat(np.arange(baskets.n_orders), np.diff(baskets.indptr))
    customer = dataset.customer[order]
    known = customer >= 0
    seconds = dataset.ordered_at // 1_000_000
    seconds = seconds - seconds.min(initial=np.iinfo(np.int64).max) if len(seconds) else seconds
    return Purchased(
        customer[known].astype(np.int64),
        order[known],
        seconds[order[known]],
        baskets.items[known],
    )


def turns_of(bought: Purchased, ladders: Ladders) -> Turns:
    """Every turn on a ladder: the customer's last two orders with one item of it each."""
    ladder = ladders.family[bought.item]
    kept = (ladder >= 0).nonzero()[0]
    customer, order = bought.customer[kept], bought.order[kept]
    seconds, item = bought.seconds[kept], bought.item[kept]
    n_items = len(ladders.family)
    # First of its kind for its customer, by time, then order.
    key = customer * n_items + item
    by_time = np.lexsort((order, seconds, key))
    first = np.ones(len(key), dtype=np.bool_)
    first[by_time[1:]] = key[by_time[1:]] != key[by_time[:-1]]
    group = customer * max(ladders.n_ladders, 1) + ladder[kept]
    ranked = np.lexsort((order, seconds, group))
    new_order = np.ones(len(ranked) + 1, dtype=np.bool_)
    new_order[1:-1] = (group[ranked[1:]] != group[ranked[:-1]]) | (
        order[ranked[1:]] != order[ranked[:-1]]
    )
    alone = ranked[new_order[:-1] & new_order[1:]]
    follows = (group[alone[1:]] == group[alone[:-1]]).nonzero()[0]
    later, earlier = alone[follows + 1], alone[follows]
    turns = Turns(
        customer[later], order[later], seconds[later], item[earlier], item[later], first[later]
    )
    return turns.take(np.lexsort((turns.item, turns.order)))


def questions_of(
    base: NDArray[np.int32],
    ladders: Ladders,
    price: NDArray[np.floating],
    min_ratio: float = MIN_RATIO,
    max_ratio: float = MAX_RATIO,
) -> Questions:
    """Return the better items of each base: same ladder, higher tier, price inside the band."""
    siblings = ladders.members.take(ladders.family[base])
    owner, sibling = siblings.owners(), siblings.values
    ratio = price[sibling] / price[base][owner]
    fit = (
        (ladders.tier[sibling] > ladders.tier[base][owner])
        & (ratio >= min_ratio - _TOLERANCE)
        & (ratio <= max_ratio + _TOLERANCE)
    )
    indptr = np.zeros(len(base) + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner[fit], minlength=len(base)), out=indptr[1:])
    return Questions(base, indptr, sibling[fit], ratio[fit].astype(np.float32))
