"""The effect in money: one definition, with the interval of the sum of each unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.extra_sales import ExtraSales
from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.report import ReportQuery, report_of
from mersalg.engine.tracking.strata import Cluster
from tests.support.cluster_sums import Clusters, between_kinds, by_share, strata_of

DAYS = 28
CAKE, UPGRADE = 40, 15
"""Worth of a bought cake, and of a bought upgrade."""

Visits = list[tuple[str, bool, bool]]
"""Arm, whether the cake and whether the upgrade is bought, of each checkout of a unit."""


def shoppers(
    seed: int, n: int, together: float, *, lift: float = 0.1, holdout: float = 0.3
) -> list[Visits]:
    """Return units of one to three checkouts, of whom those who buy one thing buy the other."""
    rng = np.random.default_rng(seed)
    units: list[Visits] = []
    for _ in range(n):
        arm = "control" if rng.random() < holdout else "treatment"
        base = rng.beta(1, 4) + lift * (arm == "treatment")
        visits: Visits = []
        for _ in range(int(rng.integers(1, 4))):
            cake = rng.random() < base
            other = cake if rng.random() < together else rng.random() < base
            visits.append((arm, bool(cake), bool(other)))
        units.append(visits)
    return units


def facts(units: list[Visits]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for unit, visits in enumerate(units):
        for at, (arm, cake, upgrade) in enumerate(visits):
            name = f"{unit}-{at}"
            who = {"checkout_id": name, "customer_id": f"c{unit}", "currency": "NOK"}
            made.append(
                {"type": "decision", "event_id": f"d{name}", "decision_id": f"d{name}", "arm": arm,
                 "occurred_at": f"2026-01-{1 + at:02d}T10:00:00+00:00", **who, "control_share": 0.3,
                 "lines": [{"item_id": "coffee", "quantity": 1, "unit_price": "30"}],
                 "offers": [
                     {"offer_id": f"o{name}", "kind": "cross_sell", "item_id": "cake",
                      "unit_price": str(CAKE)},
                     {"offer_id": f"u{name}", "kind": "upsell", "item_id": "latte",
                      "unit_price": "45", "replaces": {"item_id": "coffee", "quantity": 1}},
                 ]}
            )  # fmt: skip
            items = [{"item_id": "latte", "price": "45"} if upgrade
                     else {"item_id": "coffee", "price": "30"}]  # fmt: skip
            items += [{"item_id": "cake", "price": str(CAKE)}] if cake else []
            made.append(
                {"type": "purchase", "event_id": f"p{name}", "transaction_id": f"t{name}",
                 "occurred_at": f"2026-01-{1 + at:02d}T11:00:00+00:00", **who, "items": items}
            )  # fmt: skip
    return made


def report(units: list[Visits], **query: Any) -> Any:
    asked = ReportQuery(since=date(2026, 1, 1), until=date(2026, 1, DAYS), **query)
    return report_of([parse_fact(fact) for fact in facts(units)], asked)


def by_hand(units: list[Visits], worths: Mapping[int, int]) -> tuple[float, float]:
    """Return value and standard error by linearising over units; shares no code."""
    months = DAYS / 30
    n_checkouts = sum(map(len, units))
    value = variance = 0.0
    for arm, sign in (("treatment", 1), ("control", -1)):
        own = [visits for visits in units if visits[0][0] == arm]
        money = np.array([sum(each[k] * w for each in v for k, w in worths.items()) for v in own])
        visits = np.array([len(each) for each in own])
        ratio = money.sum() / visits.sum()
        residuals = (money - ratio * visits) / visits.sum()
        value += sign * ratio * n_checkouts / months
        variance += (n_checkouts / months) ** 2 * len(own) / (len(own) - 1) * (residuals**2).sum()
    return value, math.sqrt(variance)


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_the_sum_has_the_interval_of_the_sum_of_each_unit(together: float) -> None:
    units = shoppers(1, 1_500, together)
    made = report(units)
    cases = (
        (made["extra_sales"], {1: CAKE, 2: UPGRADE}),
        (made["total"]["cross_sell"]["extra_sales"], {1: CAKE}),
        (made["total"]["upsell"]["extra_sales"], {2: UPGRADE}),
    )
    widths = []
    for entry, worths in cases:
        value, error = by_hand(units, worths)
        assert float(entry["value"]) == pytest.approx(value, abs=0.006)
        lower, upper = float(entry["lower"]), float(entry["upper"])
        assert (lower + upper) / 2 == pytest.approx(value, abs=0.02)
        # A third of an arm's spread is that of both arms, see `strata.POOLED`.
        assert upper - lower == pytest.approx(2 * 1.96 * error, rel=0.04)
        assert entry["status"] == "ok"
        widths.append(upper - lower)
    if together:  # they buy both or none, so that neither limits nor variances may be added
        assert math.hypot(*widths[1:]) * 1.05 < widths[0] < sum(widths[1:])


def test_it_is_the_effect_a_checkout_times_checkouts_times_a_month() -> None:
    made = report(shoppers(2, 400, 0.5), watched=True)
    total = 0.0
    for kind in KINDS:
        measured = made["total"][kind]
        effect, extra = measured["net_incremental"], measured["extra_sales"]
        n = effect["treatment"]["denominator"] + effect["control"]["denominator"]
        assert extra["checkouts"] == n
        assert extra["method"] == "confidence_sequence"
        for end in ("value", "lower", "upper"):
            a_checkout = float(effect["offer_revenue_per_checkout"][end])
            assert float(extra[end]) == pytest.approx(a_checkout * n * 30 / DAYS, abs=0.0001 * n)
        total += float(extra["value"])
    assert float(made["extra_sales"]["value"]) == pytest.approx(total, abs=0.02)


def test_it_is_given_of_groups_but_not_of_buckets_of_time() -> None:
    units = shoppers(3, 400, 0.5)
    of_items = report(units, by=("placement",))
    (row,) = of_items["groups"]
    assert row["extra_sales"] == of_items["extra_sales"]
    assert row["cross_sell"]["extra_sales"] == of_items["total"]["cross_sell"]["extra_sales"]
    for row in report(units, by=("day",))["groups"]:
        assert "extra_sales" not in row
        assert "extra_sales" not in row["cross_sell"]


def test_where_a_kind_is_not_known_the_sum_says_of_which() -> None:
    units = shoppers(4, 400, 0.0)
    no_upgrades = [[(arm, cake, False) for arm, cake, _ in visits] for visits in units]
    made = report(no_upgrades)
    assert made["total"]["cross_sell"]["extra_sales"]["status"] == "ok"
    assert made["extra_sales"]["value"] is None
    assert made["extra_sales"]["status"] == "no_data"
    assert made["extra_sales"]["reason"].startswith("upsell: ")
    only = report(no_upgrades, kinds=("cross_sell",))
    assert only["extra_sales"]["value"] == made["total"]["cross_sell"]["extra_sales"]["value"]
    empty = report([])
    assert (empty["extra_sales"]["status"], empty["extra_sales"]["value"]) == ("no_data", None)


def test_ranges_hold_the_planted_truth_as_often_as_they_say() -> None:
    """Truth: what every checkout brings in more with offers than without, by both kinds."""
    n_units, lift, covered, tries = 700, 0.1, 0, 300
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        control = rng.random(n_units) < 0.3
        visits = rng.integers(1, 4, n_units)
        base = 0.9 * rng.beta(1, 4, n_units) + lift * ~control
        # Half of the units buy the upgrade whenever they buy the cake.
        cakes = rng.binomial(visits, base)
        upgrades = np.where(rng.random(n_units) < 0.5, cakes, rng.binomial(visits, base))
        entry = _extra(control, visits, cakes * CAKE, upgrades * UPGRADE)
        truth = lift * (CAKE + UPGRADE) * visits.sum() * 30 / DAYS / 100
        covered += float(entry["lower"]) <= truth <= float(entry["upper"])
    assert 0.92 <= covered / tries <= 0.985


def _extra(control: Any, visits: Any, *amounts: Any) -> Any:
    clusters: dict[Kind, Clusters] = {
        kind: {
            (("control" if held else "treatment", 300_000), str(unit)): Cluster(
                checkouts=int(n), converted=min(int(n), int(x > 0)), completed=int(n),
                offer_revenue=int(x), net_offer_revenue=int(x),
            )
            for unit, (held, n, x) in enumerate(zip(control, visits, money, strict=True))
        }
        for kind, money in zip(KINDS, amounts, strict=True)
    }  # fmt: skip
    strata = {kind: strata_of(clusters[kind], 0.3) for kind in KINDS}
    effects = {
        kind: effects_of(strata[kind], strata[kind], reason=None, currency="NOK", level=0.95)[0]
        for kind in KINDS
    }
    arms: Mapping[Kind, Mapping[tuple[int, Arm], Mapping[str, Cluster]]] = {
        kind: by_share(clusters[kind], 0.3) for kind in KINDS
    }
    extra = ExtraSales(
        effects,
        strata,
        between_kinds(arms),
        currency="NOK",
        level=0.95,
        watched=False,
        days=DAYS,
    )
    return extra.together()
