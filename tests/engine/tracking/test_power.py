"""The power calculator against statsmodels, and against trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import power_proportions_2indep

from mersalg.engine.errors import ConfigError
from mersalg.engine.tracking.intervals import (
    RatioSums,
    effective_counts,
    newcombe,
    watched_difference,
)
from mersalg.engine.tracking.power import checkouts_needed, days_left
from tests.support.commands import run


@given(
    st.floats(0.02, 0.6),
    st.floats(0.005, 0.2),
    st.floats(0.05, 0.5),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_statsmodels_finds_the_power_asked_for(
    baseline: float, effect: float, holdout: float, power: float
) -> None:
    total = checkouts_needed(baseline, effect, holdout, power=power)
    treated = total * (1 - holdout)
    found = power_proportions_2indep(
        effect, baseline, treated, ratio=holdout / (1 - holdout), alpha=0.05
    )
    assert found.power == pytest.approx(power, abs=0.02)


def test_trials_of_that_size_find_the_effect_as_often() -> None:
    total = checkouts_needed(0.11, 0.02, 0.2)
    rng = np.random.default_rng(5)
    n2 = round(total * 0.2)
    n1 = total - n2
    found = 0
    for _ in range(2_000):
        x1, x2 = int(rng.binomial(n1, 0.13)), int(rng.binomial(n2, 0.11))
        interval = newcombe(x1, n1, x2, n2)
        assert interval is not None
        found += interval.lower > 0
    assert found / 2_000 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("baseline", "effect"), [(0.11, 0.005), (0.11, 0.02), (0.4, -0.03)])
def test_reports_that_are_watched_need_about_twice_as_many(baseline: float, effect: float) -> None:
    once = checkouts_needed(baseline, effect, 0.2)
    total = checkouts_needed(baseline, effect, 0.2, watched=True)
    assert 1.7 < total / once < 2.6
    twice = checkouts_needed(baseline, effect, 0.2, watched=True, design_effect=2)
    assert twice == pytest.approx(2 * total, abs=1)
    rng = np.random.default_rng(6)
    n2 = round(total * 0.2)
    n1 = total - n2
    found = 0
    for _ in range(2_000):
        x1, x2 = int(rng.binomial(n1, baseline + effect)), int(rng.binomial(n2, baseline))
        sequence = watched_difference(x1, n1, x2, n2)
        assert sequence is not None
        found += not sequence[0].lower <= 0 <= sequence[0].upper
    assert found / 2_000 == pytest.approx(0.8, abs=0.03)


def test_harder_questions_need_more() -> None:
    easy = checkouts_needed(0.11, 0.02, 0.5)
    assert checkouts_needed(0.11, 0.01, 0.5) > 3.5 * easy
    assert checkouts_needed(0.11, 0.02, 0.1) > 2.5 * easy
    assert checkouts_needed(0.11, 0.02, 0.5, power=0.9) > 1.3 * easy
    assert checkouts_needed(0.11, 0.02, 0.5, design_effect=2) == pytest.approx(2 * easy, abs=1)
    assert checkouts_needed(0.11, -0.02, 0.5) < easy


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"baseline": 0.0}, "baseline"),
        ({"effect": 0.0}, "effect"),
        ({"effect": 0.95}, "effect"),
        ({"effect": 1e-200}, "differs from it"),
        ({"effect": 1e-310, "baseline": 1e-300}, "more checkouts than can be counted"),
        ({"holdout": 1.0}, "holdout"),
        ({"power": 0.0}, "power"),
        ({"level": 1.0}, "level"),
        ({"design_effect": 0.5}, "design_effect"),
    ],
)
def test_numbers_that_cannot_be(wrong: dict[str, float], message: str) -> None:
    asked = {"baseline": 0.1, "effect": 0.01, "holdout": 0.1, **wrong}
    with pytest.raises(ConfigError, match=message):
        checkouts_needed(**asked)


def test_the_command_says_it_in_a_sentence(tmp_path: Path) -> None:
    reported = run("power", "--baseline", 0.11, "--effect", 0.01, "--per-day", 1000)
    needed = checkouts_needed(0.11, 0.01, 0.1)
    assert f"with 10% hold-out you need {needed:,} checkouts to see +1 points on 11%" in reported
    assert f"about {needed / 1000:,.0f} days" in reported
    watched = run("power", "--baseline", 0.11, "--effect", 0.01, "--watched")
    assert f"{checkouts_needed(0.11, 0.01, 0.1, watched=True):,} checkouts" in watched
    several = json.loads(run("power", "--baseline", 0.11, "--json"))["needed"]
    assert [row["effect"] for row in several] == [0.0025, 0.005, 0.01, 0.02, 0.05]
    database = tmp_path / "facts.db"
    run("simulate", "--checkouts", 1500, "--holdout", 0.5, "--database", database)
    measured = json.loads(run("power", "--database", database, "--effect", 0.01, "--json"))
    assert {row["kind"] for row in measured["needed"]} == {"cross_sell", "upsell"}
    for row in measured["needed"]:
        assert row["checkouts"] == checkouts_needed(
            row["baseline"], 0.01, 0.1, design_effect=row["design_effect"]
        )
    for wrong in ((), ("--baseline", 0.1, "--database", database), ("--baseline", 2)):
        with pytest.raises(ConfigError):
            run("power", *wrong)
    with pytest.raises(ConfigError, match="effect"):
        run("power", "--baseline", 0.5, "--effect", 0.6)


def test_days_left_are_near_the_true_ones_from_the_seventh_day_on() -> None:
    """200 shops of 1,000 eligible checkouts a day, of customers who return and have habits."""
    rng, day, n_days = np.random.default_rng(28), 1_000, 7
    baseline, effect, holdout, near = 0.06, 0.03, 0.1, 0
    # Of visits with mean 2 and mean square 6, and habits with a correlation of 1/16.
    true_effect = 1 + (6 / 2 - 1) / 16
    needed = checkouts_needed(baseline, 0.01, holdout, design_effect=true_effect, watched=True)
    truth = needed / day - n_days
    for _ in range(200):
        visits = rng.geometric(1 / 2, day * n_days // 2)
        held_out = rng.random(len(visits)) < holdout
        habit = rng.beta(baseline * 15, (1 - baseline) * 15, len(visits))
        bought = rng.binomial(visits, np.minimum(1, habit + effect * ~held_out))
        arms = []
        for own in (~held_out, held_out):
            x, m = bought[own], visits[own]
            sums = RatioSums(
                len(x), int(x.sum()), int(m.sum()), int((x * x).sum()), int((x * m).sum()),
                int((m * m).sum()), int((x > 0).sum()), int((x < m).sum()),
            )  # fmt: skip
            arms.append((sums, effective_counts(sums)[1]))
        shares = [
            {"numerator": sums.sum_x, "denominator": sums.sum_m, "value": sums.value}
            for sums, _ in arms
        ]
        widened = sum(sums.sum_m for sums, _ in arms) / sum(n for _, n in arms)
        entry = {"treatment": shares[0], "control": shares[1], "design_effect": max(1.0, widened)}
        days = days_left({"cross_sell": {"incremental": entry}}, 0.01, n_days)
        assert days is not None
        near += abs(days - truth) <= 0.25 * truth
    assert near / 200 >= 0.8


def test_days_left_say_nothing_where_nothing_can_be_said() -> None:
    def entry(control: int, bought: int, treated: int = 900) -> dict[str, Any]:
        value = bought / control if control else None
        return {
            "incremental": {
                "treatment": {"denominator": treated},
                "control": {"denominator": control, "value": value},
                "design_effect": None,
            }
        }

    assert days_left({}, 0.01, 7) is None
    assert days_left({"upsell": entry(0, 0)}, 0.01, 7) is None
    assert days_left({"upsell": entry(100, 0)}, 0.01, 7) is None
    assert days_left({"upsell": entry(100, 100)}, 0.01, 7) is None
    needed = checkouts_needed(0.1, 0.01, 0.1, watched=True)
    days = days_left({"upsell": entry(10, 5, 90), "cross_sell": entry(100, 10)}, 0.01, 7)
    assert days == pytest.approx((needed - 1_000) * 7 / 1_000)
    assert days_left({"upsell": entry(10**6, 10**5, 9 * 10**6)}, 0.01, 7) == 0
