"""The catalogue as served: what can be offered, at what price, and what it is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.vocabulary import StringTable, Vocabulary

UNKNOWN = -1
"""Stands for "not known" in every integer column (price, category, family)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, column by column; n is the number of items.

    Attributes:
        items: external item ids <-> 0..n-1.
        names: display name of each item.
        price_minor: int64 (n,), list price in minor units of `currency`, UNKNOWN where not known.
        cost_minor: int64 (n,), unit cost, UNKNOWN where not known.
        category, family: int32 (n,), codes into `category_names` / `family_names`, or UNKNOWN.
        offerable: bool (n,), active and in stock.
        attributes: attribute name -> text of each item ("" where not known).
        compatible_indptr, compatible_items: CSR; the items that item i needs one of in the cart
            to be worth offering (a case and its phones); an empty row means no such need.
        currency: ISO 4217 code of every price.
        sold_out: bool (n,), out of stock, which is one reason not to be offerable; None where
            that is not known apart.
        bundle_indptr, bundle_items: CSR; the items that bundle i holds; None where the catalogue
            names no bundles.
        given_tier: int16 (n,), rank of the tier the shop gives, UNKNOWN where it gives none; None
            where it names no tiers.
        upgrade_indptr, upgrade_items: CSR; better versions of item i by the shop's own word; None
            where it names none.
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
    compatible_indptr: NDArray[np.int64]
    compatible_items: NDArray[np.int32]
    currency: str
    sold_out: NDArray[np.bool_] | None = None
    bundle_indptr: NDArray[np.int64] | None = None
    bundle_items: NDArray[np.int32] | None = None
    given_tier: NDArray[np.int16] | None = None
    upgrade_indptr: NDArray[np.int64] | None = None
    upgrade_items: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def compatible_with(self, item: int) -> NDArray[np.int32]:
        return self.compatible_items[
            self.compatible_indptr[item] : self.compatible_indptr[item + 1]
        ]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        attribute_names = StringTable.from_texts(list(self.attributes))
        arrays: dict[str, NDArray[np.generic]] = {
            "price_minor": self.price_minor,
            "cost_minor": self.cost_minor,
            "category": self.category,
            "family": self.family,
            "offerable": self.offerable,
            "compatible_indptr": self.compatible_indptr,
            "compatible_items": self.compatible_items,
            **self.items.to_arrays("item_ids"),
            **self.names.to_arrays("names"),
            **self.category_names.to_arrays("category_names"),
            **self.family_names.to_arrays("family_names"),
            **attribute_names.to_arrays("attribute_names"),
            **StringTable.from_texts([self.currency]).to_arrays("currency"),
        }
        for position, table in enumerate(self.attributes.values()):
            arrays |= table.to_arrays(f"attribute_{position}")
        if self.sold_out is not None:
            arrays["sold_out"] = self.sold_out
        if self.bundle_indptr is not None and self.bundle_items is not None:
            arrays["bundle_indptr"], arrays["bundle_items"] = self.bundle_indptr, self.bundle_items
        if self.given_tier is not None:
            arrays["given_tier"] = self.given_tier
        if self.upgrade_indptr is not None and self.upgrade_items is not None:
            arrays["upgrade_indptr"] = self.upgrade_indptr
            arrays["upgrade_items"] = self.upgrade_items
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Catalogue:
        attribute_names = StringTable.from_arrays(arrays, "attribute_names")
        sold_out = arrays.get("sold_out")
        bundle_indptr, bundle_items = arrays.get("bundle_indptr"), arrays.get("bundle_items")
        given_tier = arrays.get("given_tier")
        upgrade_indptr, upgrade_items = arrays.get("upgrade_indptr"), arrays.get("upgrade_items")
        return cls(
            items=Vocabulary.from_arrays(arrays, "item_ids"),
            names=StringTable.from_arrays(arrays, "names"),
            price_minor=np.asarray(arrays["price_minor"], dtype=np.int64),
            cost_minor=np.asarray(arrays["cost_minor"], dtype=np.int64),
            category=np.asarray(arrays["category"], dtype=np.int32),
            category_names=StringTable.from_arrays(arrays, "category_names"),
            family=np.asarray(arrays["family"], dtype=np.int32),
            family_names=StringTable.from_arrays(arrays, "family_names"),
            offerable=np.asarray(arrays["offerable"], dtype=np.bool_),
            attributes={
                name: StringTable.from_arrays(arrays, f"attribute_{position}")
                for position, name in enumerate(attribute_names)
            },
            compatible_indptr=np.asarray(arrays["compatible_indptr"], dtype=np.int64),
            compatible_items=np.asarray(arrays["compatible_items"], dtype=np.int32),
            currency=StringTable.from_arrays(arrays, "currency")[0],
            sold_out=None if sold_out is None else np.asarray(sold_out, dtype=np.bool_),
            bundle_indptr=None
            if bundle_indptr is None
            else np.asarray(bundle_indptr, dtype=np.int64),
            bundle_items=None if bundle_items is None else np.asarray(bundle_items, dtype=np.int32),
            given_tier=None if given_tier is None else np.asarray(given_tier, dtype=np.int16),
            upgrade_indptr=None
            if upgrade_indptr is None
            else np.asarray(upgrade_indptr, dtype=np.int64),
            upgrade_items=None
            if upgrade_items is None
            else np.asarray(upgrade_items, dtype=np.int32),
        )
