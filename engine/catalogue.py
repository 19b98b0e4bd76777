"""The catalogue as served: what can be offered, at what price, and what it is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.vocabulary import StringTable, Vocabulary

UNKNOWN = -1
"""Stands for "not known" in every integer column (price, category, family)."""
PATH_SEPARATOR = " > "
"""Between the parts of a category."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, column by column; n is the number of items.

    Attributes
    ----------
    items
        External item ids <-> 0..n-1.
    names
        Display name of each item.
    price_minor : int64 (n,)
        List price in minor units of `currency`, UNKNOWN where not known.
    cost_minor : int64 (n,)
        Unit cost, UNKNOWN where not known.
    category, family
        int32 (n,), codes into `category_names` / `family_names`, or UNKNOWN.
    offerable : bool (n,)
        Active and in stock.
    attributes
        Attribute name -> text of each item ("" where not known).
    compatible
        The items that item i needs one of in the cart to be worth offering (a case and its phones);
        an empty row means no such need.
    currency
        ISO 4217 code of every price.
    sold_out : bool (n,)
        Out of stock, which is one reason not to be offerable; None where that is not known apart.
    bundles
        The items that bundle i holds; None where the catalogue names no bundles.
    given_tier : int16 (n,)
        Rank of the tier the shop gives, UNKNOWN where it gives none; None where it names no tiers.
    upgrades
        Better versions of item i by the shop's own word; None where it names none.
    image_urls
        Address of each item's picture, "" where it has none; None where no item has.
    """

    items: Vocabulary
    names: StringTable
    price_minor: NDArray[np.int64]
    cost_minor: NDArray[np.int64]
    category: NDArray[np.int32]
    category_names: StringTable
    family: NDArray[np.int32]
    family_names: StringTable
    offerable: NDArray[np.bool_]
    attributes: Mapping[str, StringTable]
    compatible: Ragged[np.int32]
    currency: str
    sold_out: NDArray[np.bool_] | None = None
    bundles: Ragged[np.int32] | None = None
    given_tier: NDArray[np.int16] | None = None
    upgrades: Ragged[np.int32] | None = None
    image_urls: StringTable | None = None

    def __len__(self) -> int:
        return len(self.items)
