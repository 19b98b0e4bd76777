"""Everything a fitted ranking of complements needs, and the ranking of a batch of carts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.facts import Mode
from engine.ranking.evidence import Carts
from engine.ranking.keyed import Keys
from engine.ranking.neighbours import Neighbours
from engine.ranking.purchases import Past
from engine.ranking.scene import Scene
from engine.ranking.scorer import Scorer
from engine.ranking.signals import ItemSignals

MODES: tuple[Mode, ...] = ("discovery", "complete")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Arrays only, as a version stores them.

    Attributes:
        neighbours: the item-item model; `groups`: the same over groups of items.
        signals: what each item is by itself.
        scorers: one for each mode; `discovery` offers what the customer has not bought before,
            `complete` lets repeats in.
    """

    neighbours: Neighbours
    groups: Neighbours
    signals: ItemSignals
    scorers: Mapping[Mode, Scorer]

    def rank(self, carts: Carts, past: Past, mode: Mode) -> tuple[Keys, NDArray[np.float64]]:
        """Keys `cart * n_items + item`, ascending, and how likely each is bought next."""
        scene = self.scene(carts, past)
        keys = scene.pool(discovery=mode == "discovery")
        return keys, self.scorers[mode].probability(scene.features(keys))

    def scene(self, carts: Carts, past: Past) -> Scene:
        return Scene.of(carts, past, self.neighbours, self.groups, self.signals)

    def with_scorers(self, scorers: Mapping[Mode, Scorer]) -> Ranking:
        return replace(self, scorers=scorers)
