"""The table of rates: what is over what, and counts that add up."""

from __future__ import annotations

from dataclasses import fields

import pytest

from engine.tracking.rates import RATES, Counts, Drawing, rates_of

COUNTS = Counts(
    offers_shown=40, offers_accepted=14, offers_converted=12, offers_kept=11,
    offers_clicked_first=9, checkouts_shown=30, checkouts_converted=10, checkouts_kept=9,
    orders_shown=25, orders_converted=8, orders_kept=7, units_shown=20, units_converted=6,
    units_kept=5, units_buying=50, revenue_minor=1000, net_revenue_minor=900,
)  # fmt: skip


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
    entry = rates_of(COUNTS, 0.95)[name]
    assert f"{entry['numerator']}/{entry['denominator']}" == fraction
    assert (entry["status"], entry["method"]) == ("ok", "wilson")


def test_nothing_shown_is_no_rate_rather_than_zero() -> None:
    for entry in rates_of(Counts(), 0.95).values():
        assert entry["value"] is entry["lower"] is entry["upper"] is None
        assert entry["status"] == "no_data"


def test_every_rate_names_counts_that_exist() -> None:
    known = {each.name for each in fields(Counts)}
    for rate in RATES.values():
        assert {rate.numerator, rate.denominator} <= known


def test_counts_of_separate_parts_add_up() -> None:
    twice = COUNTS + COUNTS
    assert twice.offers_shown == 80
    assert COUNTS + Counts() == COUNTS
    assert (Drawing(1, 1, 5, 6) + Drawing(2, 0, 1, 1)) == Drawing(3, 1, 6, 7)
