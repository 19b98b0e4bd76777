"""Ladders: the price tiers of each family, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ladders:
    """Families of items that substitute for each other, and the tier of each item in its family.

    A ladder's family is the catalogue's `family`, or its category where no family is given.

    Attributes:
        family: int32 (n_items,), ladder of each item, -1 where it stands on none.
        tier: int16 (n_items,), rank of the item's price level in its ladder, 0 the cheapest,
            -1 where it stands on none.
        member_indptr, members: CSR over ladders; items of each, by price then index, ascending.
    """

    family: NDArray[np.int32]
    tier: NDArray[np.int16]
    member_indptr: NDArray[np.int64]
    members: NDArray[np.int32]

    @property
    def n_ladders(self) -> int:
        return len(self.member_indptr) - 1

    def members_of(self, ladder: int) -> NDArray[np.int32]:
        return self.members[self.member_indptr[ladder] : self.member_indptr[ladder + 1]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "family": self.family,
            "tier": self.tier,
            "member_indptr": self.member_indptr,
            "members": self.members,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Ladders:
        return cls(
            np.asarray(arrays["family"], dtype=np.int32),
            np.asarray(arrays["tier"], dtype=np.int16),
            np.asarray(arrays["member_indptr"], dtype=np.int64),
            np.asarray(arrays["members"], dtype=np.int32),
        )
