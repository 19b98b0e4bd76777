"""Effects a unit: their intervals cover, also where units buy beside eligible checkouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mersalg.engine.tracking.incremental import effects_of
from tests.benchmarks.coverage import constant, units_of
from tests.support.cluster_sums import strata_of, strata_of_units

MEASURES = ("share", "completion", "revenue_per_unit", "offer_revenue_per_unit", "orders")


@pytest.mark.parametrize(("n_control", "runs"), [(30, 300), (200, 100)])
def test_intervals_of_units_cover(n_control: int, runs: int) -> None:
    """Nine times as many units see offers, which change nothing."""
    rng, world = np.random.default_rng(n_control), constant(0.4, 6)
    covered = dict.fromkeys(MEASURES, 0)
    for _ in range(runs):
        clusters = world(rng, n_control)
        strata = strata_of(clusters, 0.1)
        of_units = strata_of_units(units_of(rng, clusters), 0.1)
        entry: Any = effects_of(strata, of_units, reason=None, currency="NOK", level=0.95)[0]
        for name in MEASURES:
            each = entry["per_unit"] if name == "share" else entry["per_unit"][name]
            covered[name] += float(each["lower"]) <= 0 <= float(each["upper"])
    assert all(n / runs >= 0.91 for n in covered.values()), covered
