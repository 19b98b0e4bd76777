"""The named rates, defined once: what is divided by what, in words and in counts.

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
    """Fields of `Counts` above and below the line, and what they are called."""

    numerator: str
    denominator: str
    numerator_words: str
    denominator_words: str


HEADLINE = "customer"
"""The rate meant by "the percentage of customers who ..."."""

RATES: Mapping[str, Rate] = {
    "customer": Rate("units_converted", "units_shown", "bought one", "buying customers shown one"),
    "offer": Rate("offers_converted", "offers_shown", "converted", "offers shown"),
    "order": Rate("orders_converted", "orders_shown", "with one", "orders shown one"),
    "checkout": Rate("checkouts_converted", "checkouts_shown", "with one", "checkouts shown one"),
    "penetration": Rate("units_converted", "units_buying", "bought one", "all buying customers"),
    "click_through": Rate("offers_accepted", "offers_shown", "clicked or added", "offers shown"),
    "net_customer": Rate("units_kept", "units_shown", "kept one", "buying customers shown one"),
    "net_offer": Rate("offers_kept", "offers_shown", "kept", "offers shown"),
    "net_order": Rate("orders_kept", "orders_shown", "kept one", "orders shown one"),
    "net_checkout": Rate("checkouts_kept", "checkouts_shown", "kept one", "checkouts shown one"),
    "net_penetration": Rate("units_kept", "units_buying", "kept one", "all buying customers"),
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
