"""What a simulation knows and a shop never does: each visit's outcome with and without offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mersalg.engine.facts import KINDS, Kind


@dataclass(frozen=True, slots=True)
class KindTruth:
    """Additive counts of one kind over visits whose decision had offers of it.

    `n_eligible` treated visits, of which `n_with` bought an offered item by the conversion rule
    and `n_without` would have without any offer; `extra_minor` is the order value persuasion added.
    """

    n_eligible: int = 0
    n_with: int = 0
    n_without: int = 0
    extra_minor: int = 0

    def __add__(self, other: KindTruth) -> KindTruth:
        return KindTruth(
            self.n_eligible + other.n_eligible,
            self.n_with + other.n_with,
            self.n_without + other.n_without,
            self.extra_minor + other.extra_minor,
        )

    @property
    def incremental(self) -> float | None:
        """True effect of the offers on the share of treated checkouts that convert."""
        return (self.n_with - self.n_without) / self.n_eligible if self.n_eligible else None


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulation knows and a shop never does; `+` joins two parts of a replay."""

    n_visits: int = 0
    n_purchases: int = 0
    n_refunds: int = 0
    n_control: int = 0
    n_events: int = 0
    kinds: Mapping[Kind, KindTruth] = field(
        default_factory=lambda: {kind: KindTruth() for kind in KINDS}
    )

    def __add__(self, other: Truth) -> Truth:
        return Truth(
            self.n_visits + other.n_visits,
            self.n_purchases + other.n_purchases,
            self.n_refunds + other.n_refunds,
            self.n_control + other.n_control,
            self.n_events + other.n_events,
            {kind: self.kinds[kind] + other.kinds[kind] for kind in KINDS},
        )

    def to_json(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {
            "visits": self.n_visits,
            "purchases": self.n_purchases,
            "refunds": self.n_refunds,
            "control_visits": self.n_control,
            "events": self.n_events,
            **{
                kind: {
                    "eligible": truth.n_eligible,
                    "converted_with_offers": truth.n_with,
                    "converted_without_offers": truth.n_without,
                    "incremental": truth.incremental,
                    "extra_minor": truth.extra_minor,
                }
                for kind, truth in self.kinds.items()
            },
        }
