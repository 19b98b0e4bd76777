"""Ladders, the price tiers of each family, as arrays; and upgrades that the shop names itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import OffersSection
from mersalg.engine.vocabulary import StringTable

METHODS = ("given", "learned", "category")
"""The shop names the family; names and baskets tell; only the category is shared."""
GIVEN, LEARNED, CATEGORY = range(3)


@dataclass(frozen=True, slots=True)
class Families:
    """Name and origin of each ladder's family; all of n_ladders entries."""

    names: StringTable
    """The shop's name of the family or category, else the words its items share."""
    method: NDArray[np.int8]
    """int8: position in METHODS."""
    similarity: NDArray[np.float64]
    """float64: mean likeness of the members' names in [0, 1], NaN where not asked."""
    n_together: NDArray[np.float64]
    n_expected: NDArray[np.float64]
    """`n_together`, `n_expected`: float64, pairs of members that met in orders, and how many would
    by chance, basket sizes allowed for."""
    words: StringTable
    """What all members' names share, separated by spaces."""

    def __len__(self) -> int:
        return len(self.method)

    def adjusted_lift(self, ladder: int) -> float | None:
        """Pairs met over pairs expected; None where none was expected."""
        expected = float(self.n_expected[ladder])
        return float(self.n_together[ladder]) / expected if expected > 0 else None


@dataclass(frozen=True, slots=True)
class Moves:
    """A move: a customer's next purchase on the ladder, in a later order, is `items`."""

    n_from: NDArray[np.int64]
    """int64 (n_items,): purchases of the item that another of its ladder followed, the item itself
    included: the denominator of every share."""
    items: Ragged[np.int32]
    """Ragged of int32 over items; to which item. The item itself, bought again, is among them. Of
    very many pairs those seen once are left out."""
    counts: NDArray[np.int64]
    """int64: of each value of `items`, how often."""

    def between(self, item: int, other: int) -> int:
        """Return how often `other` followed `item`."""
        indices = np.flatnonzero(self.items[item] == other)
        return int(self.counts[self.items.indptr[item] + indices[0]]) if len(indices) else 0


@dataclass(frozen=True, slots=True)
class Ladders:
    """Families of items that substitute for each other, and the tier of each item in its family.

    A ladder's family is the catalogue's `family`, else one learned from names and baskets, else
    the category.
    """

    family: NDArray[np.int32]
    """int32 (n_items,): ladder of each item, -1 where it is on none."""
    tier: NDArray[np.int16]
    """int16 (n_items,): rank of the item's price level in its ladder, 0 the cheapest, -1 where it
    is on none."""
    members: Ragged[np.int32]
    """Ragged of int32 over ladders; items of each, by price then index, ascending."""
    families: Families | None = None
    """Why each ladder's items are one family; None in versions that did not keep it."""
    moves: Moves | None = None
    """How customers went from item to item of a ladder; None where orders name none."""

    @property
    def n_ladders(self) -> int:
        """Number of ladders."""
        return len(self.members)


def given_upgrades(catalogue: Catalogue, settings: OffersSection, n_items: int) -> Ragged[np.int32]:
    """Better versions of each item, ascending; n_items rows.

    Those of the catalogue's column and of `offers.upgrades`; ids that are not of the first
    `n_items` of the catalogue count for nothing.
    """
    named = [item_id for pair in settings.upgrades for item_id in (pair.from_, pair.to)]
    pairs = np.array(catalogue.items.indices_of(named), dtype=np.int64).reshape(-1, 2)
    pairs = pairs[((pairs >= 0) & (pairs < n_items)).all(axis=1)]
    keys = pairs[:, 0] * n_items + pairs[:, 1]
    if catalogue.upgrades is not None:
        column = catalogue.upgrades
        keys = np.append(keys, column.owners() * n_items + column.values)
    base, better = np.divmod(np.unique(keys), max(n_items, 1))
    return Ragged.grouped(base, better.astype(np.int32), n_items)


def useless_upgrades(catalogue: Catalogue, settings: OffersSection) -> list[str]:
    """Return a warning for each of `offers.upgrades` with an unknown or cheaper item."""
    warnings: list[str] = []
    for index, pair in enumerate(settings.upgrades):
        where = f"offers.upgrades.{index}"
        base, better = (catalogue.items.index_of(each) for each in (pair.from_, pair.to))
        for item_id, item in ((pair.from_, base), (pair.to, better)):
            if item is None:
                warnings.append(f"{where}: no item {item_id!r} in the catalogue")
        if base is None or better is None:
            continue
        prices = catalogue.price_minor[[base, better]]
        if (prices != UNKNOWN).all() and prices[1] <= prices[0]:
            warnings.append(
                f"{where}: {pair.to!r} is not dearer than {pair.from_!r} at the catalogue's prices,"
                " so it is no upgrade; are they exchanged?"
            )
    return warnings
