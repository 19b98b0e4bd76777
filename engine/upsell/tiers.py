"""Ladders: the price tiers of each family, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.upsell.families import Families
from engine.upsell.moves import Moves


@dataclass(frozen=True, slots=True)
class Ladders:
    """Families of items that substitute for each other, and the tier of each item in its family.

    A ladder's family is the catalogue's `family`, else one learned from names and baskets, else
    the category.

    Attributes:
        family: int32 (n_items,), ladder of each item, -1 where it stands on none.
        tier: int16 (n_items,), rank of the item's price level in its ladder, 0 the cheapest,
            -1 where it stands on none.
        member_indptr, members: CSR over ladders; items of each, by price then index, ascending.
        families: why each ladder's items are one family; None in versions that did not keep it.
        moves: how customers went from item to item of a ladder; None where orders name none.
    """

    family: NDArray[np.int32]
    tier: NDArray[np.int16]
    member_indptr: NDArray[np.int64]
    members: NDArray[np.int32]
    families: Families | None = None
    moves: Moves | None = None

    @property
    def n_ladders(self) -> int:
        return len(self.member_indptr) - 1

    def members_of(self, ladder: int) -> NDArray[np.int32]:
        return self.members[self.member_indptr[ladder] : self.member_indptr[ladder + 1]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        arrays: dict[str, NDArray[np.generic]] = {
            "family": self.family,
            "tier": self.tier,
            "member_indptr": self.member_indptr,
            "members": self.members,
        }
        for kind, part in (("families", self.families), ("moves", self.moves)):
            if part is not None:
                arrays |= {f"{kind}_{name}": array for name, array in part.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Ladders:
        families, moves = (
            {
                name.removeprefix(kind): array
                for name, array in arrays.items()
                if name.startswith(kind)
            }
            for kind in ("families_", "moves_")
        )
        return cls(
            np.asarray(arrays["family"], dtype=np.int32),
            np.asarray(arrays["tier"], dtype=np.int16),
            np.asarray(arrays["member_indptr"], dtype=np.int64),
            np.asarray(arrays["members"], dtype=np.int32),
            Families.from_arrays(families) if families else None,
            Moves.from_arrays(moves) if moves else None,
        )
