"""Which baskets came and which went between two trainings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.orders import Baskets

Integers = NDArray[np.int64]
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Difference:
    """New baskets = old baskets - `removed` + `added`; positions, int64.

    A basket counts by its items alone: an order that became another with the same items is none.
    """

    removed: Integers
    added: Integers

    def __len__(self) -> int:
        return len(self.removed) + len(self.added)


def difference(old: Baskets, new: Baskets) -> Difference:
    """The fewest baskets to take from `old` and put to it to get `new`; exact."""
    if _begins_with(new, old):
        # Orders are numbered in time, so mostly the new ones simply come last.
        nothing = np.zeros(0, dtype=np.int64)
        return Difference(nothing, np.arange(old.n_orders, new.n_orders, dtype=np.int64))
    old_codes, new_codes = _codes(old), _codes(new)
    old_sequence = np.argsort(old_codes, kind="stable")
    new_sequence = np.argsort(new_codes, kind="stable")
    sorted_old, sorted_new = old_codes[old_sequence], new_codes[new_sequence]
    # The n-th basket of a code in the old matches the n-th of that code in the new.
    nth_old = np.arange(len(sorted_old)) - np.searchsorted(sorted_old, sorted_old)
    wanted = np.searchsorted(sorted_new, sorted_old) + nth_old
    there = wanted < len(sorted_new)
    there[there] = sorted_new[wanted[there]] == sorted_old[there]
    left, right = old_sequence[there], new_sequence[wanted[there]]
    alike = _same_items(old.take(left), new.take(right))
    removed, added = np.ones(old.n_orders, np.bool_), np.ones(new.n_orders, np.bool_)
    removed[left[alike]] = False
    added[right[alike]] = False
    return Difference(np.flatnonzero(removed), np.flatnonzero(added))


def renumbered(baskets: Baskets, numbers: Integers, n_items: int) -> Baskets:
    """The same orders with item i called `numbers[i]`, -1 for items there no longer."""
    items = numbers[baskets.items]
    known = items >= 0
    still = numbers[numbers >= 0]
    if bool((still[1:] > still[:-1]).all()):
        # In the same sequence as before: no basket needs sorting.
        ends = np.append(0, np.cumsum(known))[baskets.indptr]
        return Baskets(ends.astype(np.int64), items[known].astype(np.int32), n_items)
    orders = np.repeat(np.arange(baskets.n_orders, dtype=np.int64), np.diff(baskets.indptr))
    return Baskets.from_pairs(orders[known], items[known], baskets.n_orders, n_items)


def _begins_with(baskets: Baskets, first: Baskets) -> bool:
    n_orders, n_entries = first.n_orders, len(first.items)
    return bool(
        baskets.n_orders >= n_orders
        and np.array_equal(baskets.indptr[: n_orders + 1], first.indptr)
        and np.array_equal(baskets.items[:n_entries], first.items)
    )


def _codes(baskets: Baskets) -> NDArray[np.uint64]:
    """uint64 (n_orders,): equal for equal baskets, and all but surely for no others."""
    # Sums of well mixed numbers (the finaliser of SplitMix64): no run of a basket is looked at.
    mixed = (baskets.items.astype(np.uint64) + np.uint64(1)) * _STEP
    for shift, factor in zip(_SHIFTS, (*_FACTORS, np.uint64(1)), strict=True):
        mixed = (mixed ^ (mixed >> shift)) * factor
    sums = np.zeros(len(mixed) + 1, dtype=np.uint64)
    np.cumsum(mixed, out=sums[1:])
    return sums[baskets.indptr[1:]] - sums[baskets.indptr[:-1]]


def _same_items(left: Baskets, right: Baskets) -> NDArray[np.bool_]:
    """Whether the baskets at each position are the same; bool (n_orders,)."""
    same = np.diff(left.indptr) == np.diff(right.indptr)
    positions = np.flatnonzero(same)
    sizes = np.diff(left.indptr)[positions]
    unequal = left.take(positions).items != right.take(positions).items
    owners = np.repeat(positions, sizes)
    same[owners[unequal]] = False
    return same
