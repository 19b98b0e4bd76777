"""Everything a fitted ranking of complements needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Mode
from mersalg.engine.native.kernels import NativeRanking
from mersalg.engine.ranking.neighbours import Neighbours
from mersalg.engine.ranking.scorer import Scorer
from mersalg.engine.ranking.signals import ItemSignals

MODES: tuple[Mode, ...] = ("discovery", "complete")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Arrays only, as a version stores them.

    Attributes
    ----------
    neighbours
        The item-item model; `groups`: the same over groups of items.
    signals
        What each item is by itself.
    scorers
        One for each mode; `discovery` offers what the customer has not bought before, `complete`
        lets repeats in.
    """

    neighbours: Neighbours
    groups: Neighbours
    signals: ItemSignals
    scorers: Mapping[Mode, Scorer]

    def native(self, packed: NDArray[np.float32] | None = None) -> NativeRanking:
        """Return what ranks; `packed` is `signals.packed()` where that is stored already."""
        return NativeRanking(self, self.signals.packed() if packed is None else packed)

    def with_scorers(self, scorers: Mapping[Mode, Scorer]) -> Ranking:
        """Return the same with other scorers."""
        return replace(self, scorers=scorers)
