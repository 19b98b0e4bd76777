"""Ladders as the published back-test has them: three tiers a family, by what training paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.medians import medians_of

if TYPE_CHECKING:
    from mersalg.training.dataset import Dataset

MIN_ORDERS = 10
_ROUNDS = 50


def protocol_ladders(
    before: Dataset, family: NDArray[np.int32], kind: Literal["terciles", "k_means"]
) -> tuple[Ladders, NDArray[np.float64]]:
    """(three tiers of each family, usual price of each item) of what training saw.

    Parameters
    ----------
    before
        The orders of training.
    family : int32 (n_items,)
        -1 where unknown.
    kind
        Terciles of price, of items in ten orders or more; or K-means on log price, of all.
    """
    item, paid = (before.lines[name].to_numpy() for name in ("item", "unit_price_minor"))
    price = medians_of(item[paid > 0], paid[paid > 0], len(family))
    price[np.isnan(price)] = UNKNOWN
    counts = before.baskets.item_counts()
    least = MIN_ORDERS if kind == "terciles" else 1
    usable = (price > 0) & (family >= 0) & (counts >= least)
    items = np.flatnonzero(usable)
    items = items[np.lexsort((items, price[items], family[items]))].astype(np.int32)
    groups, sizes = np.unique(family[items], return_counts=True)
    members = Ragged.of_lengths(sizes, items)
    ladder = np.full(len(family), UNKNOWN, dtype=np.int32)
    tier = np.full(len(family), UNKNOWN, dtype=np.int16)
    for place in range(len(groups)):
        inside = members[place]
        ladder[inside] = place
        tier[inside] = _tiers(price[inside], kind)
    return Ladders(ladder, tier, members), price


def _tiers(price: NDArray[np.float64], kind: str) -> NDArray[np.int64]:
    if kind == "terciles":
        low, high = np.quantile(price, [1 / 3, 2 / 3])
        return (price > low).astype(np.int64) + (price > high)
    value = np.log(price)
    distinct = np.unique(value)
    if len(distinct) < 3:
        return np.searchsorted(distinct, value)
    centres = np.quantile(value, [1 / 6, 1 / 2, 5 / 6])
    if len(np.unique(centres)) < 3:
        centres = np.array([value.min(), (value.min() + value.max()) / 2, value.max()])
    labels = np.zeros(len(value), dtype=np.int64)
    for _ in range(_ROUNDS):
        labels = np.abs(value[:, None] - centres).argmin(axis=1)
        moved = np.array(
            [value[labels == k].mean() if (labels == k).any() else centres[k] for k in range(3)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return labels
