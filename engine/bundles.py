"""Bundles and their parts: what a buyer of the one already has, or would get, of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.cross_sell.filed import row_slices


@dataclass(frozen=True, slots=True)
class Bundles:
    """Both ways: CSR of the parts of each item, and of the bundles each item is a part of.

    Attributes:
        part_indptr, parts: int64 (n_items + 1,) and int32; empty rows for what is no bundle.
        whole_indptr, wholes: the same the other way.
    """

    part_indptr: NDArray[np.int64]
    parts: NDArray[np.int32]
    whole_indptr: NDArray[np.int64]
    wholes: NDArray[np.int32]

    @classmethod
    def prepare(cls, catalogue: Catalogue) -> Self | None:
        """None where the catalogue names no bundles."""
        indptr, parts = catalogue.bundle_indptr, catalogue.bundle_items
        if indptr is None or parts is None or not len(parts):
            return None
        n_items = len(catalogue)
        order = np.argsort(parts, kind="stable")
        whole_indptr = np.zeros(n_items + 1, dtype=np.int64)
        np.cumsum(np.bincount(parts, minlength=n_items), out=whole_indptr[1:])
        bundles = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(indptr))
        return cls(indptr, parts, whole_indptr, bundles[order])

    def with_any_of(self, cart: NDArray[np.int32]) -> NDArray[np.int32]:
        """Parts of the bundles in a cart of dense indices, and bundles of the parts in it."""
        held = [self.parts[part] for part in row_slices(self.part_indptr, cart)]
        around = [self.wholes[part] for part in row_slices(self.whole_indptr, cart)]
        return np.concatenate([cart[:0], *held, *around])
