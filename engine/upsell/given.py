"""Upgrades the shop names itself: pairs that win over what was learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.config import OffersSection


def given_upgrades(
    catalogue: Catalogue, settings: OffersSection
) -> Mapping[int, NDArray[np.int32]]:
    """Better versions of each item that has any, int32 (n,) ascending.

    Those of the catalogue's column and of `offers.upgrades`; ids the catalogue does not hold count
    for nothing.
    """
    found: dict[int, set[int]] = {}
    if catalogue.upgrade_indptr is not None and catalogue.upgrade_items is not None:
        starts = catalogue.upgrade_indptr
        for item in np.flatnonzero(np.diff(starts)).tolist():
            row = slice(int(starts[item]), int(starts[item + 1]))
            found[item] = set(catalogue.upgrade_items[row].tolist())
    for pair in settings.upgrades:
        base, better = catalogue.items.index_of(pair.from_), catalogue.items.index_of(pair.to)
        if base is not None and better is not None:
            found.setdefault(base, set()).add(better)
    return {item: np.array(sorted(better), dtype=np.int32) for item, better in found.items()}


def unknown_upgrades(catalogue: Catalogue, settings: OffersSection) -> list[str]:
    """A warning for each id in `offers.upgrades` that the catalogue does not hold."""
    return [
        f"offers.upgrades.{place}: no item {item_id!r} in the catalogue"
        for place, pair in enumerate(settings.upgrades)
        for item_id in (pair.from_, pair.to)
        if item_id not in catalogue.items
    ]
