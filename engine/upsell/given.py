"""Upgrades the shop names itself: pairs that win over what was learned."""

from __future__ import annotations

import numpy as np

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import OffersSection


def given_upgrades(catalogue: Catalogue, settings: OffersSection, n_items: int) -> Ragged[np.int32]:
    """Better versions of each item, ascending; n_items rows.

    Those of the catalogue's column and of `offers.upgrades`; ids that are not of the first
    `n_items` of the catalogue count for nothing.
    """
    named = [
        (catalogue.items.index_of(pair.from_), catalogue.items.index_of(pair.to))
        for pair in settings.upgrades
    ]
    pairs = np.array([pair for pair in named if None not in pair], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[(pairs < n_items).all(axis=1)]
    keys = pairs[:, 0] * n_items + pairs[:, 1]
    if catalogue.upgrades is not None:
        column = catalogue.upgrades
        keys = np.append(keys, column.owners() * n_items + column.values)
    base, better = np.divmod(np.unique(keys), max(n_items, 1))
    return Ragged.grouped(base, better.astype(np.int32), n_items)


def useless_upgrades(catalogue: Catalogue, settings: OffersSection) -> list[str]:
    """Return a warning for each of `offers.upgrades` with an unknown or cheaper item."""
    said: list[str] = []
    for place, pair in enumerate(settings.upgrades):
        where = f"offers.upgrades.{place}"
        base, better = (catalogue.items.index_of(each) for each in (pair.from_, pair.to))
        for item_id, item in ((pair.from_, base), (pair.to, better)):
            if item is None:
                said.append(f"{where}: no item {item_id!r} in the catalogue")
        if base is None or better is None:
            continue
        prices = catalogue.price_minor[[base, better]]
        if (prices != UNKNOWN).all() and prices[1] <= prices[0]:
            said.append(
                f"{where}: {pair.to!r} is not dearer than {pair.from_!r} at the catalogue's prices,"
                " so it is no upgrade; are they exchanged?"
            )
    return said
