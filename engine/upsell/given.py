"""Upgrades the shop names itself: pairs that win over what was learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import UNKNOWN, Catalogue
from engine.config import OffersSection


def given_upgrades(
    catalogue: Catalogue, settings: OffersSection
) -> Mapping[int, NDArray[np.int32]]:
    """Better versions of each item that has any, int32 (n,) ascending.

    Those of the catalogue's column and of `offers.upgrades`; ids the catalogue does not hold count
    for nothing.
    """
    found: dict[int, set[int]] = {}
    if catalogue.upgrades is not None:
        for item in np.flatnonzero(catalogue.upgrades.lengths).tolist():
            found[item] = set(catalogue.upgrades[item].tolist())
    for pair in settings.upgrades:
        base, better = catalogue.items.index_of(pair.from_), catalogue.items.index_of(pair.to)
        if base is not None and better is not None:
            found.setdefault(base, set()).add(better)
    return {item: np.array(sorted(better), dtype=np.int32) for item, better in found.items()}


def useless_upgrades(catalogue: Catalogue, settings: OffersSection) -> list[str]:
    """A warning for each of `offers.upgrades` that names no item of the catalogue, or none that is
    dearer."""
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
