"""A trained model: everything a suggestion is made from, as arrays and a few settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import get_type_hints

from mersalg.engine.arrays import Arrays, Float32s, arrays_of, read
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.config import (
    AlertsSection,
    ExperimentSection,
    OffersSection,
    ShopSection,
    TrackingSection,
)
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.cross_sell.rules import Affinity, Recency, RuleIndexes, RuleTable
from mersalg.engine.cross_sell.stores import Stores
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.ranking.purchases import Customers
from mersalg.engine.ranking.ranking import Ranking
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.likelihood import Likelihood, PackedUpgrades
from mersalg.engine.upsell.readings import Reading, Readings
from mersalg.engine.upsell.tiers import Ladders


@dataclass(frozen=True, slots=True)
class Settings:
    """The parts of the shop file that serving follows; stored in the manifest."""

    shop: ShopSection
    offers: OffersSection
    experiment: ExperimentSection
    tracking: TrackingSection
    attributes: AttributesSection = field(default_factory=AttributesSection)
    alerts: AlertsSection = field(default_factory=AlertsSection)


@dataclass(frozen=True, slots=True)
class Packed:
    """Arrays that the kernels read; each None of a model that has none."""

    ranking: Float32s | None
    """float32 (n_items, 16): see `ItemSignals.packed`."""
    upgrades: PackedUpgrades | None

    @classmethod
    def of(cls, ranking: Ranking | None, likelihood: Likelihood | None) -> Packed:
        """Pack the items of a model."""
        return cls(
            None if ranking is None else ranking.signals.packed(),
            None if likelihood is None else PackedUpgrades.of(likelihood),
        )


# Models are compared and remembered by identity: two loads of a version are two models.
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Model:
    """Contents of one immutable version; items are dense indices of `catalogue.items`.

    `recency` is there where the shop lets old orders count for less, `stores` where its orders are
    of several stores; `stores` is for reports, and serving does not look at it.

    `ranking` is there where there were orders enough to fit one, else the rules rank; `customers`,
    whose ids are hashed under `customer_key`, where orders name any.
    """

    version: str
    settings: Settings
    catalogue: Catalogue
    rules: RuleTable
    affinity: Affinity
    ladders: Ladders
    recency: Recency | None = None
    stores: Stores | None = None
    ranking: Ranking | None = None
    customers: Customers | None = None
    customer_key: bytes = b""
    likelihood: Likelihood | None = None
    """Of upgrades; there where customers' histories were enough to fit it."""
    rule_index: RuleIndexes | None = None
    """The rules as serving looks them up; None of a model that was not read from a version."""
    packed: Packed | None = None
    """Items as the kernels look at them; None likewise."""
    readings: Readings | None = None
    """What the texts of items say; None likewise, and of older versions."""
    newcomers: Newcomers | None = None
    """Items of the catalogue that are newer than the version; None where there are none."""

    @property
    def reading(self) -> Callable[[int], Reading]:
        """What the texts of an item say, by its index; does not keep the model in memory."""
        of = Reading.of if self.readings is None else self.readings.get
        return partial(of, self.catalogue)

    def arrays(self) -> Arrays:
        """Return the arrays that a version stores, by name; raise ModelCorrupt for a wrong type."""
        index = RuleIndexes.of(self.rules, len(self.catalogue), self.recency)
        stored = replace(
            self,
            rule_index=index,
            packed=Packed.of(self.ranking, self.likelihood),
            readings=Readings.of(self.catalogue),
        )
        arrays = {
            part: array
            for name in COMPONENTS
            for part, array in arrays_of(getattr(stored, name), name).items()
        }
        self.of_arrays(self.version, self.settings, arrays)
        return arrays

    @classmethod
    def of_arrays(cls, version: str, settings: Settings, arrays: Arrays) -> Model:
        """Return the model of a version's arrays.

        Raise ModelCorrupt where one is missing or of another type, or rows do not span their
        values.
        """
        hints = get_type_hints(cls)
        try:
            parts = {name: read(hints[name], arrays, name) for name in COMPONENTS}
        except KeyError as error:
            raise ModelCorrupt(f"model {version} is incomplete: no array {error}") from error
        except ValueError as error:
            raise ModelCorrupt(f"model {version} is unusable: {error}") from error
        return cls(version=version, settings=settings, **parts)


_NOT_STORED = ("version", "settings", "customer_key", "newcomers")
COMPONENTS = tuple(each.name for each in fields(Model) if each.name not in _NOT_STORED)
"""The fields that a version stores, each in arrays of its own."""
