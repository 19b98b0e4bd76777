"""Why the items of a ladder are one family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.vocabulary import StringTable

METHODS = ("given", "learned", "category")
"""The shop names the family; names and baskets tell; only the category is shared."""
GIVEN, LEARNED, CATEGORY = range(3)


@dataclass(frozen=True, slots=True)
class Families:
    """What each ladder's family goes by and rests on; all of n_ladders entries.

    Attributes
    ----------
    names
        The shop's name of the family or category, else the words its items share.
    method : int8
        Position in METHODS.
    similarity : float64
        Mean likeness of the members' names in [0, 1], NaN where not asked.
    n_together, n_expected
        float64, pairs of members that met in orders, and how many would by chance, basket sizes
        allowed for.
    words
        What all members' names share, separated by spaces.
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
