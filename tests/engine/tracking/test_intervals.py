"""Intervals against published numbers, statsmodels and SciPy, and a real randomised trial."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from mersalg.engine.tracking import intervals
from mersalg.engine.tracking.intervals import normal_quantile
from tests.support.cluster_sums import sums_of
from tests.support.shared_data import shared_data

LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@st.composite
def fractions(draw: st.DrawFn) -> tuple[int, int]:
    denominator = draw(st.integers(1, 5000))
    return draw(st.integers(0, denominator)), denominator


@given(fraction=fractions(), level=LEVELS)
def test_wilson_is_that_of_statsmodels(fraction: tuple[int, int], level: float) -> None:
    interval = intervals.wilson(*fraction, level)
    assert interval is not None
    lower, upper = proportion_confint(*fraction, alpha=1 - level, method="wilson")
    assert interval.lower == pytest.approx(lower, abs=1e-9)
    assert interval.upper == pytest.approx(upper, abs=1e-9)
    assert 0 <= interval.lower <= interval.value <= interval.upper <= 1


@given(first=fractions(), second=fractions(), level=LEVELS)
def test_newcombe_is_that_of_statsmodels(
    first: tuple[int, int], second: tuple[int, int], level: float
) -> None:
    interval = intervals.newcombe(*first, *second, level)
    assert interval is not None
    lower, upper = confint_proportions_2indep(
        *first, *second, method="newcomb", compare="diff", alpha=1 - level
    )
    assert interval.lower == pytest.approx(lower, abs=1e-9)
    assert interval.upper == pytest.approx(upper, abs=1e-9)
    assert interval.lower <= interval.value <= interval.upper


@pytest.mark.parametrize(
    ("counts", "lower", "upper"),
    [
        # Newcombe (1998), table II, method 10.
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_newcombes_own_examples(
    counts: tuple[int, int, int, int], lower: float, upper: float
) -> None:
    interval = intervals.newcombe(*counts)
    assert interval is not None
    assert round(interval.lower, 4) == lower
    assert round(interval.upper, 4) == upper


def test_nothing_of_nothing_has_no_interval() -> None:
    assert intervals.wilson(0, 0) is None
    assert intervals.newcombe(0, 0, 1, 2) is None
    assert intervals.newcombe(1, 2, 0, 0) is None


@given(statistic=st.floats(0, 400))
def test_the_chi_square_tail_is_that_of_scipy(statistic: float) -> None:
    assert intervals.chi2_p_value(statistic) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)


CLUSTERS = st.lists(st.tuples(st.integers(-50_000, 900_000), st.integers(1, 6)), min_size=2)


@given(clusters=CLUSTERS)
def test_the_delta_variance_is_that_of_the_covariance_matrix(
    clusters: list[tuple[int, int]],
) -> None:
    x, m = np.array(clusters, dtype=float).T
    n, ratio = len(x), x.sum() / m.sum()
    covariance = np.cov(x, m, ddof=1)
    expected = (covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]) / (
        n * m.mean() ** 2
    )
    assert sums_of(clusters).variance() == pytest.approx(expected, rel=1e-6, abs=1e-3)


@given(clusters=CLUSTERS, cut=st.integers(0, 10))
def test_sums_of_clusters_add_up(clusters: list[tuple[int, int]], cut: int) -> None:
    assert sums_of(clusters[:cut]) + sums_of(clusters[cut:]) == sums_of(clusters)


AMOUNTS = st.lists(st.integers(0, 90_000), min_size=10, max_size=60)


@given(first=AMOUNTS, second=AMOUNTS, level=LEVELS)
def test_single_checkouts_give_the_interval_of_welch(
    first: list[int], second: list[int], level: float
) -> None:
    assume(len({*first}) > 1 or len({*second}) > 1)
    interval = intervals.clustered_difference(
        sums_of([(x, 1) for x in first]).mean,
        sums_of([(x, 1) for x in second]).mean,
        level,
    )
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    half = (expected.high - expected.low) / 2
    assert interval.value == pytest.approx(np.mean(first) - np.mean(second))
    assert interval.upper - interval.value == pytest.approx(half, rel=1e-4)
    assert interval.value - interval.lower == pytest.approx(half, rel=1e-4)


@given(degrees=st.floats(1, 1e9), level=st.floats(0.5, 0.9999))
def test_quantiles_of_student_are_those_of_scipy(degrees: float, level: float) -> None:
    expected = stats.t.ppf((1 + level) / 2, degrees)
    # Only effects are refused for few units: rates have an interval from the first on.
    if degrees >= 9:
        assert intervals.t_quantile(level, degrees) == pytest.approx(expected, rel=2e-3)
    elif degrees in (1, 2):
        assert intervals.t_quantile(level, degrees) == pytest.approx(expected, rel=1e-6)
    else:
        assert intervals.t_quantile(level, degrees) > normal_quantile(level)


def test_repeated_checkouts_of_one_unit_are_not_independent() -> None:
    once = sums_of([(10, 1), (0, 1), (10, 1), (0, 1)])
    thrice = sums_of([(30, 3), (0, 3), (30, 3), (0, 3)])
    assert thrice.value == once.value
    assert thrice.variance() == pytest.approx(once.variance())


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("segment", "expected"),
    [("Mens E-Mail", (0.07659, 0.0700, 0.0832)), ("Womens E-Mail", (0.04523, 0.0389, 0.0516))],
)
def test_the_effect_of_a_randomised_mailing(
    segment: str, expected: tuple[float, float, float]
) -> None:
    reached: Counter[str] = Counter()
    visited: Counter[str] = Counter()
    with (shared_data("hillstrom") / "hillstrom.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            reached[row["segment"]] += 1
            visited[row["segment"]] += int(row["visit"])
    control = "No E-Mail"
    interval = intervals.newcombe(
        visited[segment], reached[segment], visited[control], reached[control]
    )
    assert interval is not None
    assert round(interval.value, 5) == expected[0]
    assert (round(interval.lower, 4), round(interval.upper, 4)) == expected[1:]
