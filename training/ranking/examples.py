"""Leave one item out: carts, and the item each of them lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from joblib import Parallel, delayed

from mersalg.engine.arrays import Bools, Int32s, Int64s, Ragged
from mersalg.engine.ranking.purchases import Carts, Past, Purchases
from mersalg.training.keyed import distinct, look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from mersalg.training.reading.dataset import Dataset

T = TypeVar("T")
Moments = int | Int64s | None
"""Microseconds UTC: one for all examples, one for each, or none."""

SEED = 7
_COLUMNS = ("hidden", "order", "customer", "at", "repeat")
_BATCH = 256
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Examples:
    """Later orders with one item hidden; all arrays have shape (n,)."""

    carts: Carts
    """The other items."""
    hidden: Int32s
    order: Int64s
    customer: Int64s
    """Row of the purchases or -1."""
    at: Int64s
    """Moment of each order."""
    repeat: Bools
    """Whether the customer had bought the hidden item before the first of the later orders."""
    n_eligible: int
    """Orders with at least two known items, of which these were drawn."""

    def __len__(self) -> int:
        return len(self.hidden)

    def batches(self) -> Iterator[slice]:
        """Yield slices of all examples."""
        for start in range(0, len(self), _BATCH):
            yield slice(start, min(start + _BATCH, len(self)))

    def carts_of(self, part: slice) -> Carts:
        """Return the carts of a slice."""
        indptr = self.carts.indptr[part.start : part.stop + 1]
        return Carts(indptr - indptr[0], self.carts.items[indptr[0] : indptr[-1]])

    def take(self, chosen: Int64s) -> Examples:
        """Return the examples at positions."""
        carts = Ragged(self.carts.indptr, self.carts.items).take(chosen)
        columns = {name: getattr(self, name)[chosen] for name in _COLUMNS}
        return replace(self, carts=Carts(carts.indptr, carts.values), **columns)

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        """One after the other."""
        lengths = np.concatenate([np.diff(part.carts.indptr) for part in parts])
        carts = Carts(
            np.append(0, np.cumsum(lengths)).astype(np.int64),
            np.concatenate([part.carts.items for part in parts]),
        )
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        return replace(parts[0], carts=carts, **columns)

    def past(self, part: slice, purchases: Purchases, known_until: Moments) -> Past:
        """Return what is known of customers before each order, or only before `known_until`."""
        now = self.at[part]
        until = now
        if known_until is not None:
            bound = known_until if isinstance(known_until, int) else known_until[part]
            until = np.minimum(now, bound)
        return Past.read(purchases, self.customer[part], now, until)

    def each_batch(
        self, work: Callable[[slice, Carts, Past], T], purchases: Purchases, known_until: Moments
    ) -> list[T]:
        """Return `work` of every batch, on both cores: the kernels let others run."""

        def one(part: slice) -> T:
            return work(part, self.carts_of(part), self.past(part, purchases, known_until))

        parallel = Parallel(n_jobs=_THREADS, prefer="threads", return_as="list")
        return cast(list[T], parallel(delayed(one)(part) for part in self.batches()))


def hide_one(
    later: Dataset,
    known: Bools,
    n_samples: int,
    bought_before: Int64s,
    *,
    seed: int = SEED,
    only_new: bool = False,
) -> Examples:
    """Return up to `n_samples` orders that hold two known items or more, one of those hidden.

    `known` is bool (n_items,): the other items of an order are dropped. `bought_before` holds
    ascending keys `customer * n_items + item` of what customers bought earlier; with `only_new`
    what they had not bought is hidden, and orders without such are not drawn.
    """
    baskets = later.baskets
    entry_known = known[baskets.items]
    order_of_entry = baskets.owners()
    customer = later.customer[order_of_entry]
    repeat = np.zeros(len(entry_known), dtype=np.bool_)
    named = customer >= 0
    keys = customer[named] * baskets.n_items + baskets.items[named]
    repeat[named] = look_up(bought_before, keys)[1]
    n_known = np.bincount(order_of_entry[entry_known], minlength=baskets.n_orders)
    may_hide = entry_known & ~repeat if only_new else entry_known
    n_hidable = np.bincount(order_of_entry[may_hide], minlength=baskets.n_orders)
    eligible = np.flatnonzero((n_known >= 2) & (n_hidable >= 1))
    draw = np.random.RandomState(seed)
    chosen = eligible
    if len(eligible) > n_samples:
        chosen = np.sort(draw.choice(eligible, n_samples, replace=False))
    items: list[Int32s] = []
    hidden = np.zeros(len(chosen), dtype=np.int32)
    repeated = np.zeros(len(chosen), dtype=np.bool_)
    for index, order in enumerate(chosen.tolist()):
        entries = np.arange(baskets.indptr[order], baskets.indptr[order + 1])
        hidable = entries[may_hide[entries]]
        entry = hidable[draw.randint(len(hidable))]
        hidden[index], repeated[index] = baskets.items[entry], repeat[entry]
        rest = entries[entry_known[entries]]
        items.append(baskets.items[rest[rest != entry]])
    lengths = [len(part) for part in items]
    indptr = np.append(0, np.cumsum(lengths)).astype(np.int64)
    return Examples(
        Carts(indptr, np.concatenate([np.zeros(0, dtype=np.int32), *items])),
        hidden,
        chosen.astype(np.int64),
        later.customer[chosen],
        later.ordered_at[chosen],
        repeated,
        len(eligible),
    )


def bought(dataset: Dataset) -> Int64s:
    """Ascending keys `customer * n_items + item` of what known customers bought."""
    baskets = dataset.baskets
    customer = np.repeat(dataset.customer, baskets.sizes)
    named = customer >= 0
    return distinct(customer[named] * baskets.n_items + baskets.items[named])
