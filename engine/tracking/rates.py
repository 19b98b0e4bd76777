"""The named rates, defined once: what is divided by what.

Cohorts: an offer belongs to the instant of its decision. For a kind k and a set S of treatment
offers of that kind, every rate is a ratio of sums over S; 0/0 has no value. A numerator is
always a subset of its denominator, since only a shown offer can convert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.tracking.counts import Counts
from engine.tracking.intervals import wilson

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class Rate:
    """Fields of `Counts` above and below the line."""

    numerator: str
    denominator: str


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


def rates_of(counts: Counts, level: float) -> dict[str, Entry]:
    """Every named rate with its Wilson interval."""
    return {
        name: proportion(getattr(counts, rate.numerator), getattr(counts, rate.denominator), level)
        for name, rate in RATES.items()
    }


def proportion(numerator: int, denominator: int, level: float) -> Entry:
    """One entry of the report."""
    interval = wilson(numerator, denominator, level)
    return {
        "value": interval.value if interval else None,
        "lower": interval.lower if interval else None,
        "upper": interval.upper if interval else None,
        "numerator": numerator,
        "denominator": denominator,
        "method": "wilson",
        "status": "ok" if interval else "no_data",
    }
