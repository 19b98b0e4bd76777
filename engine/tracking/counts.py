"""What is counted, as frozen numbers that add up: rates are derived from these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

from engine.tracking.intervals import RatioSums


class _Additive:
    """`+` adds field by field; right for parts that share no unit, checkout or order."""

    def __add__(self, other: Self) -> Self:
        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True)
class Counts(_Additive):
    """One kind in one group and period.

    `shown`, `converted` and `kept` stand for: shown at least one offer; at least one of them
    converted; at least one of those not returned. Units are buying units only.
    """

    offers_shown: int = 0
    offers_accepted: int = 0
    offers_converted: int = 0
    offers_kept: int = 0
    offers_clicked_first: int = 0
    checkouts_shown: int = 0
    checkouts_converted: int = 0
    checkouts_kept: int = 0
    orders_shown: int = 0
    orders_converted: int = 0
    orders_kept: int = 0
    units_shown: int = 0
    units_converted: int = 0
    units_kept: int = 0
    units_buying: int = 0
    revenue_minor: int = 0
    net_revenue_minor: int = 0


@dataclass(frozen=True, slots=True)
class ArmCounts(_Additive):
    """One arm: checkouts that had offers of the kind, shown or withheld, clustered by unit."""

    eligible: int = 0
    converted: int = 0
    completed: int = 0
    conversions: RatioSums = field(default_factory=RatioSums)
    """Clusters (checkouts that converted, eligible checkouts) of each unit."""
    completions: RatioSums = field(default_factory=RatioSums)
    """Clusters (checkouts that were completed, eligible checkouts)."""
    order_revenue: RatioSums = field(default_factory=RatioSums)
    """Clusters (minor units ordered, eligible checkouts) of each unit."""
    offer_revenue: RatioSums = field(default_factory=RatioSums)
    """Clusters (minor units of offered items by the conversion rule, eligible checkouts)."""


@dataclass(frozen=True, slots=True)
class Drawing(_Additive):
    """Units drawn into arms, against the shares they were drawn with.

    `expected_ppm` is the sum over units of p, the control share, in millionths; `variance` the
    sum of p (1 - p) in millionths of millionths: integers, so that no order of addition matters.
    """

    units: int = 0
    control: int = 0
    expected_ppm: int = 0
    variance: int = 0
