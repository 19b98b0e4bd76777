"""What a customer is used to buying, item by item and group by group, with time decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.ranking.evidence import Carts
from engine.ranking.keyed import Floats, Grouping, Keys, look_up
from engine.ranking.purchases import NEVER, Past
from engine.ranking.signals import ItemSignals

_HALF_LIFE = 45.0
_OVERLAP_HALF_LIFE = 120.0
"""Days after which a past order counts half: for habits, and for its likeness to the cart."""


@dataclass(frozen=True, slots=True)
class Habits:
    """By key as in `Evidence`; ages in days before the checkout.

    Attributes:
        times, decayed: orders with the item, plain and with age counting less.
        last, first: age of the latest and of the earliest of them.
        alike: the sum over those orders of how much of the cart they hold too.
        group_times, group_decayed, group_last: the same of whole groups, each entry counted.
        n_orders, n_items, since, log_price: of each cart's customer: orders known, distinct items,
            age of the latest order, mean logarithm of the prices paid; shape (n_carts,).
    """

    keys: Keys
    times: Floats
    decayed: Floats
    last: Floats
    first: Floats
    alike: Floats
    group_keys: Keys
    group_times: Floats
    group_decayed: Floats
    group_last: Floats
    n_orders: Floats
    n_items: Floats
    since: Floats
    log_price: Floats

    @classmethod
    def of(cls, past: Past, carts: Carts, signals: ItemSignals) -> Habits:
        n_carts, width = carts.n_carts, signals.n_groups + 1
        keys = past.cart * signals.n_items + past.item
        by_item = Grouping.of(keys)
        fresh = np.exp2(past.age * np.float32(-1 / _HALF_LIFE))
        group = signals.group[past.item].astype(np.int64)
        known = group >= 0
        by_group = Grouping.of((past.cart * width + group + 1)[known])
        new_order = np.ones(len(past.order), dtype=np.bool_)
        np.not_equal(past.order[1:], past.order[:-1], out=new_order[1:])
        since = np.full(n_carts, NEVER, dtype=np.float32)
        np.minimum.at(since, past.cart[new_order], past.age[new_order])
        entries = np.bincount(past.cart, minlength=n_carts)
        prices = np.bincount(past.cart, weights=signals.log_price[past.item], minlength=n_carts)
        return cls(
            keys=by_item.keys,
            times=by_item.size(),
            decayed=by_item.sum(fresh),
            last=by_item.min(past.age),
            first=by_item.max(past.age),
            alike=by_item.sum(_alike(past, keys, new_order, carts, signals.n_items)),
            group_keys=by_group.keys,
            group_times=by_group.size(),
            group_decayed=by_group.sum(fresh[known]),
            group_last=by_group.min(past.age[known]),
            n_orders=np.bincount(past.cart[new_order], minlength=n_carts).astype(np.float32),
            n_items=np.bincount(by_item.keys // max(signals.n_items, 1), minlength=n_carts).astype(
                np.float32
            ),
            since=since,
            log_price=(prices / np.maximum(entries, 1)).astype(np.float32),
        )


def _alike(past: Past, keys: Keys, new_order: np.ndarray, carts: Carts, n_items: int) -> Floats:
    """Of each entry: items its order shares with the cart, over the root of the order's size."""
    if not len(keys):
        return np.zeros(0, dtype=np.float32)
    in_cart = look_up(carts.owner() * n_items + carts.items, keys)[1]
    order = np.cumsum(new_order) - 1
    shared = np.bincount(order, weights=in_cart)
    size = np.bincount(order)
    fresh = np.exp2(past.age * np.float32(-1 / _OVERLAP_HALF_LIFE))
    return (shared / np.sqrt(size + 1.0))[order].astype(np.float32) * fresh
