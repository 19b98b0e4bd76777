"""What a cart says by itself: every item and every group that its items call for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.ranking.keyed import Floats, Grouping, Keys
from engine.ranking.neighbours import Neighbours
from engine.ranking.signals import ItemSignals

_DOUBT = 10.0
"""Orders without the other item that are added to each confidence: rare items promise less."""


@dataclass(frozen=True, slots=True)
class Carts:
    """A batch of carts.

    Attributes:
        indptr: int64 (n_carts + 1,); cart c holds `items[indptr[c]:indptr[c + 1]]`.
        items: int32 (n,), distinct and ascending inside a cart.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]

    @property
    def n_carts(self) -> int:
        return len(self.indptr) - 1

    def owner(self) -> Keys:
        """int64 (n,), the cart of each entry."""
        return np.repeat(np.arange(self.n_carts), np.diff(self.indptr))


@dataclass(frozen=True, slots=True)
class Evidence:
    """By key `cart * n_items + item`, ascending; groups by `cart * (n_groups + 1) + group + 1`.

    Attributes:
        weight: sum of the item-item weights from the cart's items.
        noisy_or: sum of -log(1 - confidence); `confidence`: the greatest.
        cosine: sum of n_joint / sqrt(n_a n_b); `lift`: the greatest, of one joint order less.
        group_weight: sum of the group-group weights from the cart's groups.
        held_keys, held: groups in the cart, and how many of its items each holds.
    """

    keys: Keys
    weight: Floats
    noisy_or: Floats
    confidence: Floats
    cosine: Floats
    lift: Floats
    group_keys: Keys
    group_weight: Floats
    held_keys: Keys
    held: Floats

    @classmethod
    def of(
        cls, carts: Carts, neighbours: Neighbours, groups: Neighbours, signals: ItemSignals
    ) -> Evidence:
        owner = carts.owner()
        near, place = neighbours.items.gather(carts.items)
        item = neighbours.items.values[near]
        n_joint = neighbours.n_joint[near].astype(np.float32)
        n_cart = signals.n_orders[carts.items][place]
        n_item = signals.n_orders[item]
        confidence = n_joint / (n_cart + np.float32(_DOUBT))
        both = n_cart * n_item
        lift = np.maximum(n_joint - 1, 0) * signals.n_orders_all[0] / np.maximum(both, 1)
        by_item = Grouping.of(owner[place] * signals.n_items + item)
        width = signals.n_groups + 1
        group: Keys = signals.group[carts.items].astype(np.int64)
        held = Grouping.of((owner * width + group + 1)[group >= 0])
        cart, one = np.divmod(held.keys, width)
        entries, place = groups.items.gather(one - 1)
        called = groups.items.values[entries].astype(np.int64)
        by_group = Grouping.of(cart[place] * width + called + 1)
        return cls(
            keys=by_item.keys,
            weight=by_item.sum(neighbours.weight[near]),
            noisy_or=by_item.sum(-np.log1p(-confidence)),
            confidence=by_item.max(confidence),
            cosine=by_item.sum(n_joint / np.sqrt(np.maximum(both, 1))),
            lift=by_item.max(lift),
            group_keys=by_group.keys,
            group_weight=by_group.sum(groups.weight[entries]),
            held_keys=held.keys,
            held=held.size(),
        )
