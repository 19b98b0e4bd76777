"""Confidence sequences: looking often does not make them wrong, as it does fixed intervals."""

from __future__ import annotations

import numpy as np
import pytest

from mersalg.engine.errors import ConfigError
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.tracking.intervals import (
    TIGHTEST,
    anytime_quantile,
    intrinsic_time,
    newcombe,
    normal_quantile,
    watched_difference,
)
from mersalg.engine.tracking.query import ReportQuery, parse_query
from mersalg.engine.tracking.report import report_of
from tests.engine.tracking.test_incremental import trial


@pytest.mark.parametrize(("holdout", "share"), [(0.5, 0.1), (0.1, 0.1), (0.1, 0.03)])
def test_looking_all_the_time_at_nothing(holdout: float, share: float) -> None:
    """A/A trials of 20,000 checkouts looked at 130 times: who ever sees an effect is wrong."""
    rng = np.random.default_rng(11)
    looks = [*range(50, 2_000, 50), *range(2_000, 20_000, 200)]
    runs, wrong, fixed_wrong = 300, 0, 0
    for _ in range(runs):
        control, bought = rng.random(20_000) < holdout, rng.random(20_000) < share
        n2, x2 = np.cumsum(control)[looks], np.cumsum(control & bought)[looks]
        n1, x1 = np.cumsum(~control)[looks], np.cumsum(~control & bought)[looks]
        counts = np.column_stack([x1, n1, x2, n2])[(n1 > 0) & (n2 > 0)].tolist()
        sequence = [each for row in counts if (each := watched_difference(*row)) is not None]
        excluded = [not interval.lower <= 0 <= interval.upper for interval, _ in sequence]
        assert excluded == [p_value < 0.05 for _, p_value in sequence]
        wrong += any(excluded)
        fixed_wrong += _ever(newcombe, counts)
    assert wrong / runs <= 0.05
    assert fixed_wrong / runs > 0.25


def _ever(method: object, counts: list[list[int]]) -> bool:
    assert callable(method)
    for x1, n1, x2, n2 in counts:
        interval = method(x1, n1, x2, n2)
        if not interval.lower <= 0 <= interval.upper:
            return True
    return False


def test_a_true_effect_is_found_in_the_end() -> None:
    sequence = watched_difference(13_000, 100_000, 11_000, 100_000)
    assert sequence is not None
    interval, p_value = sequence
    assert p_value < 1e-6
    assert 0 < interval.lower < interval.value < interval.upper
    fixed = newcombe(13_000, 100_000, 11_000, 100_000)
    assert fixed is not None
    wider = (interval.upper - interval.lower) / (fixed.upper - fixed.lower)
    assert 1.3 < wider < 2


def test_the_price_of_looking() -> None:
    at_best = anytime_quantile(TIGHTEST)
    assert normal_quantile(0.95) < at_best < 1.6 * normal_quantile(0.95)
    for trials in (TIGHTEST / 50, TIGHTEST * 50):
        assert anytime_quantile(trials) > at_best
    assert anytime_quantile(TIGHTEST, 0.99) > at_best
    assert intrinsic_time(100, 100) == 100
    assert 180 < intrinsic_time(1_000_000, 100) < 200.1


def test_no_trials_no_interval_and_shares_of_nothing_are_not_certain() -> None:
    assert watched_difference(0, 0, 1, 2) is None
    nothing = watched_difference(0, 50, 0, 50)
    assert nothing is not None
    assert nothing[0].lower < 0 < nothing[0].upper
    assert nothing[1] == 1


def test_a_report_says_which_interval_it_shows() -> None:
    facts = [parse_fact(fact) for visit in trial(120, 72, 120, 30) for fact in visit]
    query = ReportQuery(timezone="Europe/Oslo", currency="NOK")
    fixed = report_of(facts, query)
    watched = report_of(facts, parse_query({"watched": "true"}).filled({"currency": "NOK"}))
    assert (fixed["watched"], watched["watched"]) == (False, True)
    once, often = (each["total"]["cross_sell"]["incremental"] for each in (fixed, watched))
    assert (once["method"], often["method"]) == ("newcombe_clustered", "confidence_sequence")
    assert once["value"] == often["value"]
    assert once["p_value"] < often["p_value"] < 0.05
    assert often["lower"] < once["lower"] < once["upper"] < often["upper"]
    money, money_often = (each["revenue_per_checkout"] for each in (once, often))
    assert (money["method"], money_often["method"]) == ("welch_t_clustered", "confidence_sequence")
    assert float(money_often["lower"]) < float(money["lower"])
    assert fixed["total"]["cross_sell"]["customer"] == watched["total"]["cross_sell"]["customer"]
    with pytest.raises(ConfigError, match="watched"):
        parse_query({"watched": "maybe"})
