"""Effects where customers return: the checkouts of one are no independent trials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.tracking.intervals import (
    RatioSums,
    clustered_difference,
    effective_counts,
    newcombe,
    normal_quantile,
    t_quantile,
    wilson,
)
from mersalg.engine.tracking.strata import ARMS, Cluster
from tests.support.cluster_sums import Clusters, strata_of, sums_of_trials

CLUSTERS = st.lists(st.integers(0, 6).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m))))


@given(st.lists(st.sampled_from([(0, 1), (1, 1)]), min_size=1))
def test_who_comes_once_is_one_trial(clusters: list[tuple[int, int]]) -> None:
    sums = sums_of_trials(clusters)
    assert effective_counts(sums) == (sums.sum_x, sums.sum_m)


@given(CLUSTERS.filter(lambda each: sum(m for _, m in each) > 0))
def test_never_more_trials_than_there_were(clusters: list[tuple[int, int]]) -> None:
    sums = sums_of_trials([each for each in clusters if each[1]])
    x, n = effective_counts(sums)
    assert 0 < n <= sums.sum_m
    assert x / n == pytest.approx(sums.value)


@given(st.lists(st.booleans(), min_size=4), st.integers(2, 5))
def test_copies_of_one_trial_tell_no_more_than_one(outcomes: list[bool], copies: int) -> None:
    """Every unit comes `copies` times and does the same each time."""
    sums = sums_of_trials([(copies * bought, copies) for bought in outcomes])
    _, n = effective_counts(sums)
    fewer = max(2, min(sum(outcomes), len(outcomes) - sum(outcomes)) - 1)
    widened = (t_quantile(0.95, fewer) / normal_quantile(0.95)) ** 2
    # The delta method divides by n - 1.
    least = 1 if 0 < sum(outcomes) < len(outcomes) else len(outcomes)
    assert max(least, (len(outcomes) - 1) / widened) - 1e-9 <= n <= len(outcomes) + 1e-9


def _arm(rng: np.random.Generator, units: int, share: float, alike: float) -> RatioSums:
    """Units of 1 to 6 checkouts whose chances differ: beta with intra-class correlation `alike`."""
    visits = rng.integers(1, 7, units)
    chance = rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), units)
    bought = rng.binomial(visits, chance)
    return RatioSums(
        units,
        int(bought.sum()),
        int(visits.sum()),
        int((bought**2).sum()),
        int((bought * visits).sum()),
        int((visits**2).sum()),
        int((bought > 0).sum()),
        int((bought < visits).sum()),
    )


def test_intervals_cover_what_they_say_where_customers_return() -> None:
    """5,000 runs without an effect, beside intervals that take each checkout for a trial."""
    rng = np.random.default_rng(20_260_301)
    runs, clustered, naive, normal = 5_000, 0, 0, 0
    for _ in range(runs):
        arms = [_arm(rng, units, 0.12, 0.25) for units in (900, 300)]
        (x1, n1), (x2, n2) = map(effective_counts, arms)
        own = newcombe(x1, n1, x2, n2)
        plain = newcombe(arms[0].sum_x, arms[0].sum_m, arms[1].sum_x, arms[1].sum_m)
        delta = clustered_difference(*(arm.mean for arm in arms))
        assert own is not None
        assert plain is not None
        assert own.value == pytest.approx(delta.value)
        clustered += own.lower <= 0 <= own.upper
        naive += plain.lower <= 0 <= plain.upper
        normal += delta.lower <= 0 <= delta.upper
    assert 0.94 <= clustered / runs <= 0.96
    assert naive / runs < 0.88
    assert abs(clustered - normal) / runs < 0.01


def test_intervals_cover_where_each_comes_once() -> None:
    rng = np.random.default_rng(7)
    runs, covered = 5_000, 0
    for _ in range(runs):
        x1, x2 = int(rng.binomial(2_700, 0.12)), int(rng.binomial(300, 0.12))
        interval = newcombe(x1, 2_700, x2, 300)
        assert interval is not None
        covered += interval.lower <= 0 <= interval.upper
    assert 0.94 <= covered / runs <= 0.96


@pytest.mark.parametrize("n_control", [10, 20, 30, 200])
@pytest.mark.parametrize("share", [0.12, 0.3])
def test_intervals_of_shares_cover_with_few_units(n_control: int, share: float) -> None:
    """Nine times as many units see offers, which change nothing."""
    rng = np.random.default_rng(n_control)
    runs, covered, gains, rates = 2_000, 0, 0, 0
    for _ in range(runs):
        arms = [_arm(rng, units, share, 0.25) for units in (9 * n_control, n_control)]
        (x1, n1), (x2, n2) = map(effective_counts, arms)
        interval, rate = newcombe(x1, n1, x2, n2), wilson(x2, n2)
        assert interval is not None
        assert rate is not None
        covered += interval.lower <= 0 <= interval.upper
        gains += interval.lower > 0
        rates += rate.lower <= share <= rate.upper
    assert 0.93 <= covered / runs <= 0.98
    assert gains / runs <= 0.045
    assert 0.925 <= rates / runs <= 0.985


def _skewed(rng: np.random.Generator, units: int, share: float, spread: float) -> list[Cluster]:
    """Units of 1 to 6 checkouts, of which a share end in a lognormal amount."""
    visits = rng.integers(1, 7, units)
    unit = np.repeat(np.arange(units), visits)
    bought = rng.random(len(unit)) < share
    amounts = np.rint(np.bincount(unit, rng.lognormal(3, spread, len(unit)) * bought * 100, units))
    return [
        Cluster(m, order_revenue=int(x), completed=int(n))
        for m, x, n in zip(visits.tolist(), amounts, np.bincount(unit, bought, units), strict=True)
    ]


@pytest.mark.parametrize(
    ("n_control", "share", "spread"),
    [(30, 0.7, 1.0), (100, 0.3, 1.0), (200, 0.7, 1.0), (200, 0.05, 1.0), (200, 0.3, 1.3)],
)
def test_intervals_of_skewed_money_cover(n_control: int, share: float, spread: float) -> None:
    """Nine times as many units see offers, which change nothing."""
    rng = np.random.default_rng(n_control)
    runs, covered, gains = 400, 0, 0
    for _ in range(runs):
        clusters: Clusters = {
            ((arm, 100_000), f"{n}"): cluster
            for arm, units in (("treatment", 9 * n_control), ("control", n_control))
            for n, cluster in enumerate(_skewed(rng, units, share, spread))
        }
        strata = strata_of(clusters, 0.1)
        interval = clustered_difference(
            *(strata.mean("order_revenue", arm, [100_000]) for arm in ARMS)
        )
        covered += interval.lower <= 0 <= interval.upper
        gains += interval.lower > 0
    assert (0.935 if n_control == 200 else 0.925) <= covered / runs <= 0.985
    assert gains / runs <= 0.06
