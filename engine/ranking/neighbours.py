"""Which items call for which: a sparse item-item model, the strongest entries of each item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Neighbours:
    """CSR over items.

    Attributes:
        indptr: int64 (n_items + 1,).
        items: int32 (n,), ascending inside a row.
        weight: float32 (n,), what the row's item adds to the score of each (EASE: Steck,
            "Embarrassingly Shallow Autoencoders for Sparse Data", 2019); 0 where only counts speak.
        n_joint: int32 (n,), orders that hold both; 0 where too few to be counted.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    weight: NDArray[np.float32]
    n_joint: NDArray[np.int32]

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        return {
            f"{prefix}_indptr": self.indptr,
            f"{prefix}_items": self.items,
            f"{prefix}_weight": self.weight,
            f"{prefix}_n_joint": self.n_joint,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Neighbours:
        return cls(
            np.asarray(arrays[f"{prefix}_indptr"], dtype=np.int64),
            np.asarray(arrays[f"{prefix}_items"], dtype=np.int32),
            np.asarray(arrays[f"{prefix}_weight"], dtype=np.float32),
            np.asarray(arrays[f"{prefix}_n_joint"], dtype=np.int32),
        )
