"""The adjusted effect is that of textbooks, and truer than the plain one where there is a past."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Fact
from mersalg.engine.tracking.cuped import Adjusted, Unit, adjusted_difference
from mersalg.engine.tracking.intervals import anytime_quantile
from mersalg.engine.tracking.report import ReportQuery, report_of


def adjusted(
    treatment: list[Unit], control: list[Unit], *, watched: bool = False
) -> Adjusted | None:
    """Return the adjusted difference of one stratum."""
    named = (
        {f"{arm}{n}": unit for n, unit in enumerate(units)}
        for arm, units in (("t", treatment), ("c", control))
    )
    return adjusted_difference([tuple(named)], watched=watched)  # type: ignore[list-item]


def arms(
    rng: np.random.Generator, n: int, effect: float, *, checkouts: int = 1
) -> tuple[list[Unit], list[Unit]]:
    def arm(n_units: int, lift: float) -> list[Unit]:
        past = rng.gamma(2, 50, n_units)
        m = rng.integers(1, checkouts + 1, n_units)
        x = (0.8 * past + rng.normal(0, 30, n_units) + lift) * m
        return [Unit(float(a), float(b), float(c)) for a, b, c in zip(x, m, past, strict=True)]

    return arm(n, effect), arm(n // 3, 0.0)


def test_with_one_checkout_each_it_is_a_regression_on_arm_and_past() -> None:
    rng = np.random.default_rng(1)
    treatment, control = arms(rng, 3_000, 5.0)
    found = adjusted(treatment, control)
    assert found is not None
    units = [*treatment, *control]
    arm = np.array([1.0] * len(treatment) + [0.0] * len(control))
    design = sm.add_constant(np.column_stack([arm, [unit.past for unit in units]]))
    fitted = sm.OLS([unit.x for unit in units], design).fit()
    assert found.interval.value == pytest.approx(fitted.params[1], rel=1e-9)
    assert found.theta == pytest.approx(fitted.params[2], rel=1e-9)
    half = 1.959964 * fitted.get_robustcov_results("HC1").bse[1]
    assert found.interval.upper - found.interval.value == pytest.approx(half, rel=0.02)


def test_the_definition_by_hand() -> None:
    treatment = [Unit(10, 1, 4), Unit(20, 2, 8), Unit(6, 1, 0)]
    control = [Unit(4, 1, 2), Unit(8, 1, 6)]
    found = adjusted(treatment, control)
    assert found is not None
    # R = 9 and 6; z = (x - 9 m) / (4/3) and x - 6; c around 4 and 4.
    spread = 0 + 16 + 16 + 4 + 4
    shared = (2 / (4 / 3)) * 4 + (-3 / (4 / 3)) * -4 + -2 * -2 + 2 * 2
    assert found.theta == pytest.approx(shared / spread)
    assert found.interval.value == pytest.approx(3 - shared / spread * (4 - 4))


def test_intervals_cover_the_planted_effect_and_are_narrower() -> None:
    rng = np.random.default_rng(2)
    covered = narrower = 0
    runs = 600
    for _ in range(runs):
        treatment, control = arms(rng, 300, 7.0, checkouts=3)
        found = adjusted(treatment, control)
        plain = adjusted(
            [Unit(u.x, u.m, rng.normal()) for u in treatment],
            [Unit(u.x, u.m, rng.normal()) for u in control],
        )
        assert found is not None
        assert plain is not None
        covered += found.interval.lower <= 7.0 <= found.interval.upper
        width = found.interval.upper - found.interval.lower
        narrower += width < plain.interval.upper - plain.interval.lower
    assert 0.93 <= covered / runs <= 0.97
    assert narrower == runs


def test_watched_intervals_are_wider_by_the_sequence() -> None:
    treatment, control = arms(np.random.default_rng(4), 900, 7.0)
    once, often = adjusted(treatment, control), adjusted(treatment, control, watched=True)
    assert once is not None
    assert often is not None
    assert often.interval.value == once.interval.value
    wider = (often.interval.upper - once.interval.value) / (
        once.interval.upper - once.interval.value
    )
    assert wider == pytest.approx(anytime_quantile(2 * 900 * 300 / 1_200) / 1.96, rel=0.01)


def test_without_a_past_there_is_nothing_to_adjust_by() -> None:
    assert adjusted([Unit(1, 1, 0)] * 3, [Unit(2, 1, 0)] * 3) is None
    assert adjusted([Unit(1, 1, 5)], [Unit(2, 1, 0)] * 3) is None


def shop() -> list[Fact]:
    """Buyers who spend after as they did before; five in six see offers."""
    draw = random.Random(3)
    facts: list[Fact] = []
    for number in range(600):
        spends, customer = draw.randrange(10, 200), f"c{number}"

        def bought(name: str, day: str, spends: int = spends, customer: str = customer) -> Fact:
            return parse_fact(
                {
                    "type": "purchase",
                    "event_id": f"{name}-{customer}",
                    "transaction_id": f"{name}-{customer}",
                    "checkout_id": f"{name}-{customer}",
                    "customer_id": customer,
                    "occurred_at": f"{day}T12:00:00Z",
                    "currency": "NOK",
                    "items": [{"item_id": "cup", "quantity": 1, "price": str(spends)}],
                }
            )

        facts += [
            bought("long-ago", "2025-06-01"),
            bought("before", "2026-01-10"),
            bought("after", "2026-02-01"),
            parse_fact(
                {
                    "type": "decision",
                    "event_id": f"d-{customer}",
                    "decision_id": f"d-{customer}",
                    "checkout_id": f"after-{customer}",
                    "customer_id": customer,
                    "occurred_at": "2026-02-01T11:00:00Z",
                    "arm": "control" if number % 6 == 0 else "treatment",
                    "control_share": 1 / 6,
                    "currency": "NOK",
                    "offers": [
                        {"offer_id": f"o-{customer}", "kind": "cross_sell", "item_id": "mug"}
                    ],
                }
            ),
        ]
    return facts


def test_a_report_tells_it_where_it_is_asked_for() -> None:
    facts = shop()
    plain: Any = report_of(facts, ReportQuery())
    assert "cuped" not in plain["total"]["cross_sell"]["incremental"]["revenue_per_checkout"]
    report: Any = report_of(facts, ReportQuery(adjusted=True))
    money = report["total"]["cross_sell"]["incremental"]["revenue_per_checkout"]
    cuped = money["cuped"]
    assert (cuped["status"], cuped["units_with_history"]) == ("ok", 600)
    # Everybody spends what they spent before: the difference is wholly explained.
    assert cuped["value"] == "0.0000"
    assert cuped["theta"] == pytest.approx(1.0)
    assert cuped["correlation"] == pytest.approx(1.0)
    assert money["value"] != "0.0000"
    watched: Any = report_of(facts, ReportQuery(adjusted=True, watched=True))
    often = watched["total"]["cross_sell"]["incremental"]["revenue_per_checkout"]["cuped"]
    assert (cuped["method"], often["method"]) == ("cuped", "cuped_confidence_sequence")
    random.Random(4).shuffle(facts)
    assert json.dumps(report_of(facts, ReportQuery(adjusted=True))) == json.dumps(report)


def test_it_says_why_it_cannot_be_known() -> None:
    facts = [fact for fact in shop() if not fact.event_id.startswith(("before", "long"))]
    report: Any = report_of(facts, ReportQuery(adjusted=True))
    cuped = report["total"]["cross_sell"]["incremental"]["revenue_per_checkout"]["cuped"]
    assert (cuped["status"], cuped["value"]) == ("no_data", None)
    upsell: Any = report["total"]["upsell"]["incremental"]["revenue_per_checkout"]["cuped"]
    assert upsell["status"] == "no_data"
    assert "no eligible checkout" in upsell["reason"]
