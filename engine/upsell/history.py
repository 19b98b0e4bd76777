"""What a buyer bought before of the same category as an item: the past behind an upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.ranking.purchases import NEVER, Past

Floats = NDArray[np.float32]
_HALF_LIFE = 60.0
"""Days after which a purchase counts half."""


@dataclass(frozen=True, slots=True)
class History:
    """Of each question (may this item be replaced?), the earlier purchases of its category.

    Attributes:
        question: int64 (n,), ascending, the question an entry belongs to.
        item: int32 (n,), what was bought.
        age: float32 (n,), days before the question.
        n_entries, level, since: float32 (n_questions,): items its buyer bought before, whatever
            their category (each order counts), their mean price level, and days since the latest.
    """

    question: NDArray[np.int64]
    item: NDArray[np.int32]
    age: Floats
    n_entries: Floats
    level: Floats
    since: Floats

    @property
    def fresh(self) -> Floats:
        """float32 (n,): what an entry counts, 1 of today's, half of it after each half-life."""
        return np.exp2(self.age * np.float32(-1 / _HALF_LIFE))

    @classmethod
    def of_cart(
        cls,
        past: Past,
        bases: Sequence[int],
        category: NDArray[np.int32],
        level: Floats,
    ) -> Self:
        """One cart's: a question for each of `bases`.

        Args:
            category: int32 (n_items,), the category of each item, -1 where it has none.
            level: float32 (n_items,), its price level, 0 the middle of its ladder.
        """
        n_entries = len(past.item)
        of_past = category[past.item]
        found = [
            (of_past == category[base]).nonzero()[0] if category[base] >= 0 else _NOWHERE
            for base in bases
        ]
        places = np.concatenate([_NOWHERE, *found])
        mean = float(level[past.item].sum(dtype=np.float64) / n_entries) if n_entries else 0.0
        latest = float(past.age.min()) if n_entries else NEVER
        size = len(bases)
        return cls(
            np.repeat(np.arange(size), [len(part) for part in found]),
            past.item[places],
            past.age[places],
            np.full(size, n_entries, dtype=np.float32),
            np.full(size, mean, dtype=np.float32),
            np.full(size, latest, dtype=np.float32),
        )


_NOWHERE = np.zeros(0, dtype=np.int64)
