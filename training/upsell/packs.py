"""The pack of every item of a catalogue, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.upsell.packs import DIMENSIONS, FLUID_OUNCE, OUNCE, Pack, pack_of

_CODE = {dimension: code for code, dimension in enumerate(DIMENSIONS)}


@dataclass(frozen=True, slots=True)
class Packs:
    """The pack of every item of a catalogue.

    Attributes
    ----------
    dimension : int16 (n_items,)
        Index into `DIMENSIONS`, -1 where not known.
    amount : float64 (n_items,)
        In the dimension's base unit, 0 where not known.
    """

    dimension: NDArray[np.int16]
    amount: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.amount)

    def of(self, item: int) -> Pack | None:
        """Return the pack of one item by dense index."""
        code = int(self.dimension[item])
        return None if code < 0 else Pack(DIMENSIONS[code], float(self.amount[item]))


def packs_of(catalogue: Catalogue) -> Packs:
    """Return the packs of all items, from `pack_size` or else a size inside the name.

    Ounces are fluid where most of the family's (or category's) other packs are volumes.
    """
    n_items = len(catalogue)
    dimension = np.full(n_items, -1, dtype=np.int16)
    amount = np.zeros(n_items, dtype=np.float64)
    ounces = np.zeros(n_items, dtype=np.bool_)
    for item in range(n_items):
        pack = pack_of(catalogue, item)
        if pack is not None:
            dimension[item], amount[item] = _CODE[pack.dimension], pack.amount
            ounces[item] = pack.ounces
    for groups in (catalogue.family, catalogue.category):
        fluid = _fluid_groups(groups, dimension, ounces)
        chosen = ounces & (groups >= 0)
        chosen[chosen] = fluid[groups[chosen]]
        dimension[chosen] = _CODE["volume"]
        amount[chosen] *= FLUID_OUNCE / OUNCE
        ounces &= ~chosen
    return Packs(dimension, amount)


def _fluid_groups(
    groups: NDArray[np.int32], dimension: NDArray[np.int16], ounces: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Bool (n_groups,): more volumes than masses stand in it, ounces apart."""
    n_groups = int(groups.max(initial=-1)) + 1
    sure = (groups >= 0) & ~ounces
    counts = [
        np.bincount(groups[sure & (dimension == _CODE[kind])], minlength=n_groups)
        for kind in ("volume", "mass")
    ]
    return counts[0] > counts[1]
