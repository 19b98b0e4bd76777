"""Counts, as frozen numbers that add up, and the named rates, each defined once.

Cohorts: an offer belongs to the instant of its decision. For a kind k and a set S of treatment
offers of that kind, every rate is a ratio of sums over S; 0/0 has no value. A numerator is
always a subset of its denominator, since only a shown offer can convert.

Offers, checkouts and orders of one unit are no independent trials: intervals are as wide as units
make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mersalg.engine.tracking.intervals import Interval, RatioSums, effective_counts, wilson

Entry = dict[str, object]
"""A part of a report."""


@dataclass(frozen=True, slots=True)
class Counts:
    """One kind in one group and period.

    `shown`, `converted` and `kept` mean: shown at least one offer; at least one of them
    converted; at least one of those not returned. Units are buying units only; those shown one
    bought in its checkout, or at or after its decision, or what was bought is credited to it.
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
    lines_credited: int = 0
    lines_unpriced: int = 0
    """Credited lines whose worth is unknown; they are in no revenue."""
    lines_repriced: int = 0
    """Credited lines of upsells bought at another unit price than they were offered at."""
    lines_untaxed: int = 0
    """Credited lines whose worth includes a tax that is not known."""

    def __add__(self, other: Counts) -> Counts:
        """Add field by field, which is right for parts that share no unit, checkout or order."""
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def has_revenue(self) -> bool:
        """Whether the worth of some credited line is known, or none was credited."""
        return not self.lines_credited or self.lines_unpriced < self.lines_credited


@dataclass(frozen=True, slots=True)
class Rate:
    """The fields of `Counts` that are numerator and denominator."""

    numerator: str
    denominator: str

    @property
    def is_per_unit(self) -> bool:
        """Whether it counts units: the longer the period, the more of them have converted."""
        return self.numerator.startswith("units_")


RATES: Mapping[str, Rate] = {
    "customer": Rate("units_converted", "units_shown"),
    "offer": Rate("offers_converted", "offers_shown"),
    "order": Rate("orders_converted", "orders_shown"),
    "checkout": Rate("checkouts_converted", "checkouts_shown"),
    "penetration": Rate("units_converted", "units_buying"),
    "click_through": Rate("offers_accepted", "offers_shown"),
    "net_customer": Rate("units_kept", "units_shown"),
    "net_offer": Rate("offers_kept", "offers_shown"),
    "net_order": Rate("orders_kept", "orders_shown"),
    "net_checkout": Rate("checkouts_kept", "checkouts_shown"),
    "net_penetration": Rate("units_kept", "units_buying"),
}


CLUSTERED: Mapping[str, Rate] = {name: rate for name, rate in RATES.items() if not rate.is_per_unit}
"""Rates of which a unit may have several trials."""

UNIT_COUNTS = tuple(
    dict.fromkeys(
        name for rate in CLUSTERED.values() for name in (rate.denominator, rate.numerator)
    )
)
"""The fields of `Counts` that these are ratios of: each is a sum over units."""

Ratios = Mapping[str, RatioSums]
"""Sums over units for each of `CLUSTERED`, by name."""

NO_RATIOS: Ratios = dict.fromkeys(CLUSTERED, RatioSums())


def rates_of(counts: Counts, ratios: Ratios, level: float) -> dict[str, Entry]:
    """Return every named rate with its interval; that of rates per unit is the textbook one."""
    return {
        name: proportion(
            getattr(counts, rate.numerator),
            getattr(counts, rate.denominator),
            ratios.get(name),
            level,
        )
        for name, rate in RATES.items()
    }


def proportion(numerator: int, denominator: int, sums: RatioSums | None, level: float) -> Entry:
    """Return one rate as an entry of the report; `sums` is None where each unit counts once."""
    plain = wilson(numerator, denominator, level)
    # Where no trial fails, or none succeeds, units do not vary, and there is no effect to see.
    varies = sums is not None and 0 < numerator < denominator
    own = wilson(*effective_counts(sums, level), level) if sums and varies else plain
    return {
        "value": plain.value if plain else None,
        **limits_of(own),
        "numerator": numerator,
        "denominator": denominator,
        "method": "wilson_clustered",
        "status": "ok" if plain else "no_data",
        "unclustered": {**limits_of(plain), "method": "wilson"},
    }


def ends_of(interval: Interval | None, write: Callable[[float], object] = float) -> Entry:
    """Return value and bounds of an interval as they are in entries; null where there is none."""
    value = None if interval is None else write(interval.value)
    return {"value": value, **limits_of(interval, write)}


def limits_of(interval: Interval | None, write: Callable[[float], object] = float) -> Entry:
    """Return the bounds of an interval as they are in entries; null where there is none."""
    names = ("lower", "upper")
    return {name: None if interval is None else write(getattr(interval, name)) for name in names}
