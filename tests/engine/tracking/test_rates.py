"""The table of rates: what is over what, and counts that add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from mersalg.engine.tracking.intervals import wilson
from mersalg.engine.tracking.rates import (
    CLUSTERED,
    NO_RATIOS,
    RATES,
    UNIT_COUNTS,
    Counts,
    proportion,
    rates_of,
)
from tests.support.cluster_sums import ratios_of, sums_of_trials

COUNTS = Counts(
    offers_shown=40, offers_accepted=14, offers_converted=12, offers_kept=11,
    offers_clicked_first=9, checkouts_shown=30, checkouts_converted=10, checkouts_kept=9,
    orders_shown=25, orders_converted=8, orders_kept=7, units_shown=20, units_converted=6,
    units_kept=5, units_buying=50, revenue_minor=1000, net_revenue_minor=900,
)  # fmt: skip

ALONE = {
    name: sums_of_trials(
        [(n < getattr(COUNTS, rate.numerator), 1) for n in range(getattr(COUNTS, rate.denominator))]
    )
    for name, rate in CLUSTERED.items()
}
"""Each offer, checkout and order that of another unit."""


@pytest.mark.parametrize(
    ("name", "fraction"),
    [
        ("customer", "6/20"), ("offer", "12/40"), ("order", "8/25"), ("checkout", "10/30"),
        ("penetration", "6/50"), ("click_through", "14/40"), ("net_customer", "5/20"),
        ("net_offer", "11/40"), ("net_order", "7/25"), ("net_checkout", "9/30"),
        ("net_penetration", "5/50"),
    ],
)  # fmt: skip
def test_each_rate_by_name(name: str, fraction: str) -> None:
    entry = rates_of(COUNTS, ALONE, 0.95)[name]
    assert f"{entry['numerator']}/{entry['denominator']}" == fraction
    assert (entry["status"], entry["method"]) == ("ok", "wilson_clustered")
    expected = wilson(entry["numerator"], entry["denominator"])
    assert expected is not None
    for bounds in (entry, entry["unclustered"]):
        assert (bounds["lower"], bounds["upper"]) == (expected.lower, expected.upper)


def test_nothing_shown_is_no_rate_rather_than_zero() -> None:
    for entry in rates_of(Counts(), NO_RATIOS, 0.95).values():
        assert entry["value"] is entry["lower"] is entry["upper"] is None
        assert entry["unclustered"] == {"lower": None, "upper": None, "method": "wilson"}
        assert entry["status"] == "no_data"


def test_every_rate_names_counts_that_exist() -> None:
    known = {each.name for each in fields(Counts)}
    for rate in RATES.values():
        assert {rate.numerator, rate.denominator} <= known


def test_counts_of_separate_parts_add_up() -> None:
    twice = COUNTS + COUNTS
    assert twice.offers_shown == 80
    assert COUNTS + Counts() == COUNTS


def test_units_that_do_alike_each_time_are_one_trial_each() -> None:
    """Of 20 units shown 3 offers each, 5 buy them all: no more is known than of 20 trials."""
    entry = proportion(15, 60, sums_of_trials([(3, 3)] * 5 + [(0, 3)] * 15), 0.95)
    assert entry["value"] == 0.25
    alone = wilson(5, 20)
    assert alone is not None
    # Student's t makes it a little wider: how units differ is known of the five that buy.
    assert 0.75 * alone.lower < entry["lower"] < alone.lower < entry["unclustered"]["lower"]
    assert entry["unclustered"]["upper"] < alone.upper < entry["upper"] < 1.2 * alone.upper


@pytest.mark.parametrize(
    "units",
    [
        [(1, 1)] * 3 + [(0, 1)] * 7,  # every unit counts once
        [(1, 2)] * 5,  # every unit has the same share
        [(0, 3)] * 5 + [(0, 1)],
        [(2, 2)] * 5,
    ],
)
def test_units_that_count_once_or_do_not_vary_have_the_textbook_interval(
    units: list[tuple[int, int]],
) -> None:
    x, m = sum(x for x, _ in units), sum(m for _, m in units)
    entry = proportion(x, m, sums_of_trials(units), 0.95)
    plain = entry["unclustered"]
    assert (entry["lower"], entry["upper"]) == (plain["lower"], plain["upper"])


def test_one_unit_is_one_trial_and_still_has_an_interval() -> None:
    entry = proportion(1, 3, sums_of_trials([(1, 3)]), 0.95)
    single = wilson(1 / 3, 1)
    assert single is not None
    assert (entry["lower"], entry["upper"]) == (single.lower, single.upper)


def test_sums_over_units_add_up() -> None:
    def of(units: dict[str, tuple[int, int]]) -> dict[str, Counter[str]]:
        shown = Counter({unit: m for unit, (_, m) in units.items()})
        bought = +Counter({unit: x for unit, (x, _) in units.items()})
        return {name: shown if name.endswith("_shown") else bought for name in UNIT_COUNTS}

    some, others = {"a": (1, 2), "b": (0, 1)}, {"c": (3, 3)}
    one, other = ratios_of(of(some)), ratios_of(of(others))
    assert {name: sums + other[name] for name, sums in one.items()} == ratios_of(of(some | others))
    assert one["net_order"] == sums_of_trials([(1, 2), (0, 1)])


@pytest.mark.parametrize(("n_units", "least"), [(30, 0.93), (200, 0.94)])
def test_intervals_of_rates_cover_where_customers_return(n_units: int, least: float) -> None:
    """Three offers a decision, one to four decisions a unit; 2,000 runs."""
    rng = np.random.default_rng(n_units)
    runs, covered, textbook = 2_000, 0, 0
    for _ in range(runs):
        trials = 3 * rng.integers(1, 5, n_units)
        bought = rng.binomial(trials, rng.beta(0.6, 1.4, n_units))
        units = list(zip(bought.tolist(), trials.tolist(), strict=True))
        entry = proportion(int(bought.sum()), int(trials.sum()), sums_of_trials(units), 0.95)
        covered += entry["lower"] <= 0.3 <= entry["upper"]
        textbook += entry["unclustered"]["lower"] <= 0.3 <= entry["unclustered"]["upper"]
    assert least <= covered / runs <= 0.975
    assert textbook / runs < 0.75
