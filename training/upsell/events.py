"""Purchases of buyers on a ladder, each compared with the one before it.

The protocol of upsell's back-test is reconstructed from the yardsticks published for Complete
Journey. A *turn* is an order that holds exactly one item of a ladder, of a customer whose last
such order held `base`; prices are the medians of training. An *upgrade* is a turn to an item the
customer had never bought, of a higher tier and 1.05 to 2.5 times the price of `base`; items that
training saw in fewer than ten orders are left out. With tiers by terciles of price this gives
random .150 / .360, the cheapest next tier .160 / .384 and the most popular dearer item
.300 / .548 over 9,663 upgrades; published are .146 / .349, .164 / .377 and .298 / .533 over 10,972.
Whether a turn goes up is asked where there is a tier above the base's; with K-means tiers .180 do,
published are .177.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.orders import Baskets
from mersalg.engine.upsell.tiers import Ladders, Moves
from mersalg.training.keyed import medians_of
from mersalg.training.reading.dataset import Dataset
from mersalg.training.upsell.tiers import best_cuts, labels_of

MIN_RATIO, MAX_RATIO = 1.05, 2.5
_TOLERANCE = 1e-9
MIN_ORDERS = 10
MANY_PAIRS = 500_000
"""Above so many different moves, those seen only once are forgotten."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Consecutive purchases on a ladder, in time order; all arrays have shape (n,)."""

    customer: Int64s
    order: Int64s
    """The later one."""
    seconds: Int64s
    """Its time."""
    base: Int32s
    item: Int32s
    """`base`, `item`: what was bought before and then."""
    is_new: Bools
    """The customer had never bought `item`."""

    def __len__(self) -> int:
        return len(self.base)

    def take(self, chosen: Int64s | Bools) -> Turns:
        """Return the turns chosen."""
        return Turns(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Purchased:
    """Each item of each order of a known customer; shape (n,), by order then item."""

    customer: Int64s
    order: Int64s
    seconds: Int64s
    item: Int32s


@dataclass(frozen=True, slots=True)
class Questions:
    """Items that may be replaced, and the better ones of each."""

    base: Int32s
    """int32 (n_questions,)."""
    indptr: Int64s
    """(n_questions + 1,): the rows of each question."""
    sibling: Int32s
    """int32 (n_rows,)."""
    ratio: Float32s
    """(n_rows,): the better item's price over the base item's."""

    @property
    def owner(self) -> Int64s:
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
    order = baskets.owners()
    customer = dataset.customer[order]
    has_customer = customer >= 0
    seconds = dataset.ordered_at // 1_000_000
    seconds = seconds - seconds.min(initial=np.iinfo(np.int64).max) if len(seconds) else seconds
    return Purchased(
        customer[has_customer].astype(np.int64),
        order[has_customer],
        seconds[order[has_customer]],
        baskets.items[has_customer],
    )


def turns_of(bought: Purchased, ladders: Ladders) -> Turns:
    """Every turn on a ladder: the customer's last two orders with one item of it each."""
    lines = pd.DataFrame({field.name: getattr(bought, field.name) for field in fields(bought)})
    lines["ladder"] = ladders.family[bought.item]
    lines = lines[lines["ladder"] >= 0].sort_values(["seconds", "order"], kind="stable")
    lines["is_new"] = ~lines.duplicated(["customer", "item"])
    alone = lines[~lines.duplicated(["customer", "ladder", "order"], keep=False)]
    base = alone.groupby(["customer", "ladder"])["item"].shift(fill_value=-1)
    turns = alone.assign(base=base)[base >= 0].sort_values(["order", "item"], kind="stable")
    return Turns(*(turns[field.name].to_numpy() for field in fields(Turns)))


def questions_of(
    base: Int32s,
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
    indptr = np.append(0, np.cumsum(np.bincount(owner[fit], minlength=len(base))))
    return Questions(base, indptr, sibling[fit], ratio[fit].astype(np.float32))


def protocol_ladders(
    before: Dataset, family: Int32s, kind: Literal["terciles", "k_means"]
) -> tuple[Ladders, Float64s]:
    """Return three tiers of each family, and the usual price of each item, of what training saw.

    `family`: int32 (n_items,), -1 where unknown. `kind`: terciles of price, of items in ten orders
    or more; or K-means on log price, of all.
    """
    item, paid = (before.lines[name].to_numpy() for name in ("item", "unit_price_minor"))
    medians = medians_of(item[paid > 0], paid[paid > 0], len(family))
    price = np.nan_to_num(medians, nan=UNKNOWN)
    counts = before.baskets.item_counts()
    least = MIN_ORDERS if kind == "terciles" else 1
    usable = (price > 0) & (family >= 0) & (counts >= least)
    items = np.flatnonzero(usable)
    items = items[np.lexsort((items, price[items], family[items]))].astype(np.int32)
    groups, sizes = np.unique(family[items], return_counts=True)
    members = Ragged.of_lengths(sizes, items)
    ladder = np.full(len(family), UNKNOWN, dtype=np.int32)
    tier = np.full(len(family), UNKNOWN, dtype=np.int16)
    for index in range(len(groups)):
        inside = members[index]
        ladder[inside] = index
        own = price[inside]
        if kind == "terciles":
            low, high = np.quantile(own, [1 / 3, 2 / 3])
            tier[inside] = (own > low).astype(np.int16) + (own > high)
        else:
            starts, _ = best_cuts(np.log(own), min(3, len(np.unique(own))))
            tier[inside] = labels_of(starts[-1], len(own))
    return Ladders(ladder, tier, members), price


def count_moves(baskets: Baskets, customer: Int64s, ladder: Int32s) -> Moves | None:
    """From every purchase to the same customer's next one on the ladder, in a later order.

    Where that order holds several items of the ladder, each is moved to. `customer`, int64
    (n_orders,), and `ladder`, int32 (n_items,), are -1 where there is none; orders stand in time
    order. None where no order names its customer.
    """
    n_items = baskets.n_items
    order = baskets.owners()
    item, of_ladder = baskets.items.astype(np.int64), ladder[baskets.items].astype(np.int64)
    is_usable = (of_ladder >= 0) & (customer[order] >= 0)
    if not (customer >= 0).any():
        return None
    order, item, of_ladder = order[is_usable], item[is_usable], of_ladder[is_usable]
    who = customer[order]
    ordered = np.lexsort((item, order, of_ladder, who))
    order, item, of_ladder, who = order[ordered], item[ordered], of_ladder[ordered], who[ordered]
    # A visit: what one order holds of one ladder; those of one history are side by side.
    new_history = np.append(True, (who[1:] != who[:-1]) | (of_ladder[1:] != of_ladder[:-1]))
    new_visit = (new_history | np.append(True, order[1:] != order[:-1]))[: len(item)]
    starts = np.flatnonzero(new_visit)
    visits = Ragged(np.append(starts, len(item)), item)
    has_next = np.append(~new_history[starts[1:]], False)
    visit = visits.owners()
    base = np.flatnonzero(has_next[visit])
    places, owner = visits.gather(visit[base] + 1)
    n_from = np.bincount(item[base], minlength=n_items).astype(np.int64)
    keys, counts = np.unique(item[base][owner] * n_items + item[places], return_counts=True)
    if len(keys) > MANY_PAIRS:
        keys, counts = keys[counts > 1], counts[counts > 1]
    first, following = np.divmod(keys, max(n_items, 1))
    lengths = np.bincount(first, minlength=n_items)
    items = Ragged.of_lengths(lengths, following.astype(np.int32))
    return Moves(n_from, items, counts.astype(np.int64))
