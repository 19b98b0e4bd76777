"""A batch of carts, looked at from every side: what their items and their customers call for."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ranking.evidence import Carts, Evidence
from engine.ranking.features import features
from engine.ranking.habits import Habits
from engine.ranking.keyed import Floats, Keys
from engine.ranking.neighbours import Neighbours
from engine.ranking.pool import pool
from engine.ranking.purchases import Past
from engine.ranking.signals import ItemSignals


@dataclass(frozen=True, slots=True)
class Scene:
    """Keys below are `cart * n_items + item`, ascending."""

    carts: Carts
    evidence: Evidence
    habits: Habits
    signals: ItemSignals

    @classmethod
    def of(
        cls,
        carts: Carts,
        past: Past,
        neighbours: Neighbours,
        groups: Neighbours,
        signals: ItemSignals,
    ) -> Scene:
        evidence = Evidence.of(carts, neighbours, groups, signals)
        return cls(carts, evidence, Habits.of(past, carts, signals), signals)

    def pool(self, *, discovery: bool) -> Keys:
        """What is worth scoring; `discovery` leaves out what the customer bought before."""
        return pool(self.carts, self.evidence, self.habits, self.signals, discovery=discovery)

    def features(self, keys: Keys) -> Floats:
        """float32 (n, len(features.NAMES)) of the candidates `keys`."""
        return features(keys, self.carts, self.evidence, self.habits, self.signals)
