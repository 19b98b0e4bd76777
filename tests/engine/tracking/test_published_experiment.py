"""A published experiment through the whole report: 84,534 customers, a promotion or none."""

from __future__ import annotations

import csv

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from tests.engine.tracking.test_incremental import report, visit
from tests.support.shared_data import shared_data

pytestmark = pytest.mark.realdata

PRICE, COST_OF_PROMOTION = 10.0, 0.15


def test_the_published_response_rate_and_revenue() -> None:
    with (shared_data("starbucks_ab") / "training.csv").open(newline="") as file:
        visits = [
            visit(
                int(row["ID"]),
                "treatment" if row["Promotion"] == "Yes" else "control",
                buys_bun=row["purchase"] == "1",
            )
            for row in csv.DictReader(file)
        ]
    assert len(visits) == 84_534
    found = report(*visits)
    assert found["quality"]["srm_p_value"] > 0.1
    entry = found["total"]["cross_sell"]["incremental"]
    treatment, control = entry["treatment"], entry["control"]
    # Incremental response rate and net incremental revenue, as published.
    assert round(entry["value"], 6) == 0.009455
    revenue = PRICE * (treatment["numerator"] - control["numerator"])
    revenue -= COST_OF_PROMOTION * treatment["denominator"]
    assert round(revenue, 2) == -2334.60
    expected = confint_proportions_2indep(
        treatment["numerator"],
        treatment["denominator"],
        control["numerator"],
        control["denominator"],
        compare="diff",
        method="newcomb",
    )
    assert (entry["lower"], entry["upper"]) == pytest.approx(expected)
    # Each customer came once: clustering changes nothing.
    clustered = entry["clustered"]
    assert (clustered["lower"], clustered["upper"]) == (entry["lower"], entry["upper"])
