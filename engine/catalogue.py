"""The catalogue as served: what can be offered, at what price, and what it is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Bools, Int16s, Int32s, Int64s, Ragged
from mersalg.engine.vocabulary import StringTable, Vocabulary

UNKNOWN = -1
"""Stands for "not known" in every integer column (price, category, family)."""
PATH_SEPARATOR = " > "
"""Between the parts of a category."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, column by column; n is the number of items."""

    items: Vocabulary
    """External item ids <-> 0..n-1."""
    names: StringTable
    """Display name of each item."""
    price_minor: Int64s
    """int64 (n,): list price in minor units of `currency`, UNKNOWN where not known."""
    cost_minor: Int64s
    """int64 (n,): unit cost, UNKNOWN where not known."""
    category: Int32s
    """int32 (n,): positions in `category_names`, or UNKNOWN."""
    category_names: StringTable
    family: Int32s
    """int32 (n,): positions in `family_names`, or UNKNOWN."""
    family_names: StringTable
    offerable: Bools
    """bool (n,): active and in stock."""
    attributes: Mapping[str, StringTable]
    """Attribute name -> text of each item ("" where not known)."""
    compatible: Ragged[np.int32]
    """The items that item i needs one of in the cart to be worth offering (a case and its phones);
    an empty row means no such need."""
    currency: str
    """ISO 4217 code of every price."""
    sold_out: Bools | None = None
    """bool (n,): out of stock, which is one reason not to be offerable; None where that is not
    known apart."""
    bundles: Ragged[np.int32] | None = None
    """The items that bundle i holds; None where the catalogue names no bundles."""
    given_tier: Int16s | None = None
    """int16 (n,): rank of the tier the shop gives, UNKNOWN where it gives none; None where it names
    no tiers."""
    upgrades: Ragged[np.int32] | None = None
    """Better versions of item i by the shop's own word; None where it names none."""
    image_urls: StringTable | None = None
    """Address of each item's picture, "" where it has none; None where no item has."""

    def __len__(self) -> int:
        return len(self.items)

    def category_of(self, item: int) -> str:
        """Return the name of the category of an item, "" where not known."""
        code = self.category.item(item)
        return self.category_names[code] if code >= 0 else ""
