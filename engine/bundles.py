"""Bundles and their parts: what a buyer of the one already has, or would get, of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Bundles:
    """Both directions.

    Attributes
    ----------
    parts : Ragged of int32, n_items rows
        The parts of each item; no row of what is no bundle has any.
    wholes : Ragged of int32, n_items rows
        The bundles that each item is a part of.
    """

    parts: Ragged[np.int32]
    wholes: Ragged[np.int32]

    @classmethod
    def prepare(cls, catalogue: Catalogue) -> Self | None:
        """Return the bundles of a catalogue; None where it names none."""
        parts = catalogue.bundles
        if parts is None or not len(parts.values):
            return None
        wholes = parts.owners().astype(np.int32)
        return cls(parts, Ragged.grouped(parts.values, wholes, len(catalogue)))

    def with_any_of(self, cart: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the parts of the bundles in a cart, and the bundles of the parts in it."""
        return np.concatenate([self.parts.of(cart), self.wholes.of(cart)])
