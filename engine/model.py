"""A trained model: everything a suggestion is made from, as arrays and a few settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.config import (
    AttributesSection,
    ExperimentSection,
    OffersSection,
    ShopSection,
    TrackingSection,
)
from engine.cross_sell.affinity import Affinity
from engine.cross_sell.filed import FiledRules
from engine.cross_sell.recency import Recency
from engine.cross_sell.rules import AntecedentIndex, RuleTable
from engine.cross_sell.stores import Stores
from engine.native.packing import known_way, packed_arrays
from engine.ranking.customers import Customers
from engine.ranking.ranking import Ranking
from engine.upsell.likelihood import Likelihood
from engine.upsell.tiers import Ladders

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The parts of the shop file that serving follows; stored in the manifest."""

    shop: ShopSection
    offers: OffersSection
    experiment: ExperimentSection
    tracking: TrackingSection
    attributes: AttributesSection = field(default_factory=AttributesSection)


# Models are compared and remembered by identity: two loads of a version are two models.
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Model:
    """What one immutable version holds; items are dense indices of `catalogue.items`.

    `recency` is there where the shop lets old orders count for less, `stores` where its orders are
    of several stores; `stores` is for reports, and serving does not look at it.

    `ranking` is there where there were orders enough to fit one, else the rules rank; `customers`,
    whose ids are hashed under `customer_key`, where orders name any.
    """

    version: str
    settings: Settings
    catalogue: Catalogue
    rules: RuleTable
    rule_index: AntecedentIndex
    affinity: Affinity
    ladders: Ladders
    recency: Recency | None = None
    stores: Stores | None = None
    ranking: Ranking | None = None
    customers: Customers | None = None
    customer_key: bytes = b""
    likelihood: Likelihood | None = None
    """Of upgrades; there where customers' histories were enough to fit it."""
    filed: FiledRules | None = None
    """The rules as serving looks them up; None of a model that was not read from a version."""
    packed: Arrays | None = None
    """Items as the kernels look at them; None likewise."""

    def to_components(self) -> dict[str, Arrays]:
        """Component (file) name -> arrays, as the registry writes them."""
        components: dict[str, Arrays] = {
            "catalogue": self.catalogue.to_arrays(),
            "rules": {**self.rules.to_arrays(), **self.rule_index.to_arrays()},
            "affinity": self.affinity.to_arrays(),
            "ladders": self.ladders.to_arrays(),
            "filed": FiledRules.file(self.rules, len(self.catalogue), self.recency).to_arrays(),
        }
        if self.recency is not None:
            components["recency"] = self.recency.to_arrays()
        if self.stores is not None:
            components["stores"] = self.stores.to_arrays()
        if self.ranking is not None:
            components["ranking"] = self.ranking.to_arrays()
        if self.customers is not None:
            components["customers"] = self.customers.to_arrays()
        if self.likelihood is not None:
            components["likelihood"] = self.likelihood.to_arrays()
        if self.ranking is not None or self.likelihood is not None:
            components["packed"] = packed_arrays(self.ranking, self.likelihood)
        return components

    @classmethod
    def from_components(
        cls,
        version: str,
        settings: Settings,
        components: Mapping[str, Arrays],
        *,
        customer_key: bytes = b"",
    ) -> Model:
        """Raises KeyError where a component or an array of one is missing."""
        ranking, customers = components.get("ranking"), components.get("customers")
        likelihood = components.get("likelihood")
        recency, stores = components.get("recency"), components.get("stores")
        filed = components.get("filed")
        return cls(
            version=version,
            settings=settings,
            catalogue=Catalogue.from_arrays(components["catalogue"]),
            rules=RuleTable.from_arrays(components["rules"]),
            rule_index=AntecedentIndex.from_arrays(components["rules"]),
            affinity=Affinity.from_arrays(components["affinity"]),
            ladders=Ladders.from_arrays(components["ladders"]),
            recency=Recency.from_arrays(recency) if recency is not None else None,
            stores=Stores.from_arrays(stores) if stores is not None else None,
            ranking=Ranking.from_arrays(ranking) if ranking is not None else None,
            customers=Customers.from_arrays(customers) if customers is not None else None,
            customer_key=customer_key,
            likelihood=Likelihood.from_arrays(likelihood) if likelihood is not None else None,
            filed=FiledRules.from_arrays(filed) if filed is not None else None,
            packed=known_way(components.get("packed")),
        )
