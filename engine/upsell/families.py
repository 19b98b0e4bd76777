"""Why the items of a ladder are one family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.vocabulary import StringTable

METHODS = ("given", "learned", "category")
"""The shop names the family; names and baskets tell; only the category is shared."""
GIVEN, LEARNED, CATEGORY = range(3)


@dataclass(frozen=True, slots=True)
class Families:
    """What each ladder's family goes by and rests on; all of n_ladders entries.

    Attributes:
        names: the shop's name of the family or category, else the words its items share.
        method: int8, position in METHODS.
        similarity: float64, mean likeness of the members' names in [0, 1], NaN where not asked.
        n_together, n_expected: float64, pairs of members that met in orders, and how many would
            by chance, basket sizes allowed for.
        words: what all members' names share, separated by spaces.
    """

    names: StringTable
    method: NDArray[np.int8]
    similarity: NDArray[np.float64]
    n_together: NDArray[np.float64]
    n_expected: NDArray[np.float64]
    words: StringTable

    def __len__(self) -> int:
        return len(self.method)

    def adjusted_lift(self, ladder: int) -> float | None:
        """Pairs met over pairs expected; None where none was expected."""
        expected = float(self.n_expected[ladder])
        return float(self.n_together[ladder]) / expected if expected > 0 else None

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "method": self.method,
            "similarity": self.similarity,
            "n_together": self.n_together,
            "n_expected": self.n_expected,
            **self.names.to_arrays("names"),
            **self.words.to_arrays("words"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Families:
        return cls(
            StringTable.from_arrays(arrays, "names"),
            np.asarray(arrays["method"], dtype=np.int8),
            np.asarray(arrays["similarity"], dtype=np.float64),
            np.asarray(arrays["n_together"], dtype=np.float64),
            np.asarray(arrays["n_expected"], dtype=np.float64),
            StringTable.from_arrays(arrays, "words"),
        )
