"""Many groups at once: false discoveries held down, small groups drawn towards all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from mersalg.engine.facts import Fact
from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.many import (
    EFFECTS,
    SHRUNKEN,
    difference_p_value,
    exact_p_value,
    expected_units,
    judge_together,
    q_values,
    shrunken,
)
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import report_of
from mersalg.engine.tracking.strata import Cluster, Strata, Stratum
from tests.support.cluster_sums import strata_of
from tests.support.facts import histories

NOTHING = {"numerator": 0, "denominator": 0, "status": "no_data"}
COUNTS = st.lists(
    st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="fdr_bh")[1]
    assert q_values(p_values) == pytest.approx(expected.tolist())


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_p_values_are_those_of_statsmodels(n1: int, n2: int, data: st.DataObject) -> None:
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    found = difference_p_value(x1, n1, x2, n2)
    if x1 + x2 in (0, n1 + n2):
        assert found == 1
    else:
        assert found == pytest.approx(proportions_ztest([x1, x2], [n1, n2])[1])
    assert difference_p_value(0, 0, 1, 2) is None


TABLE = st.integers(1, 60).flatmap(
    lambda n1: st.integers(1, 60).flatmap(
        lambda n2: st.tuples(st.integers(0, n1), st.just(n1), st.integers(0, n2), st.just(n2))
    )
)


@given(TABLE)
def test_exact_tests_are_those_of_scipy(table: tuple[int, int, int, int]) -> None:
    x1, n1, x2, n2 = table
    expected = stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]]).pvalue
    assert exact_p_value([table]) == pytest.approx(expected, rel=1e-6)


@given(TABLE, TABLE)
def test_exact_tests_of_two_strata_enumerate_both(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int]
) -> None:
    chances: Counter[int] = Counter()
    draws = [
        stats.hypergeom(n1 + n2, x1 + x2, n2).pmf(range(n2 + 1))
        for x1, n1, x2, n2 in (first, second)
    ]
    for k, one in enumerate(draws[0]):
        for j, other in enumerate(draws[1]):
            chances[k + j] += one * other
    seen = chances[first[2] + second[2]]
    expected = sum(chance for chance in chances.values() if chance <= seen * (1 + 1e-7))
    assert exact_p_value([first, second]) == pytest.approx(min(1, expected), rel=1e-6, abs=1e-12)


def test_exact_tests_of_large_tables_are_finite() -> None:
    table = (31_000, 900_000, 3_500, 100_000)
    x1, n1, x2, n2 = table
    assert exact_p_value([table]) == pytest.approx(difference_p_value(x1, n1, x2, n2), rel=0.05)


def test_fewest_expected_units() -> None:
    assert expected_units([(8, 90, 2, 10)]) == pytest.approx(1)
    assert expected_units([(90, 90, 8, 10)]) == pytest.approx(0.2)
    assert expected_units([(8, 90, 2, 10), (10, 20, 10, 20)]) == pytest.approx(11)


@pytest.mark.parametrize("share", [0.04, 0.12])
def test_no_item_is_named_where_no_offer_has_an_effect(share: float) -> None:
    """Worlds of 40 items with 2 to 40 units in control and nine times as many in treatment.

    Units have 1 to 3 checkouts each, alike among themselves. Over 3,200 such worlds one in 40 names
    an item.
    """
    rng = np.random.default_rng(9)
    worlds = 60
    named = dict.fromkeys((False, True), 0)
    for _ in range(worlds):
        groups = {watched: [] for watched in named}
        for n_control in rng.integers(2, 41, 40).tolist():
            clusters: dict[tuple[Stratum, str], Cluster] = {}
            for arm, n in (("treatment", 9 * n_control), ("control", n_control)):
                visits = rng.integers(1, 4, n)
                bought = rng.binomial(visits, rng.beta(3 * share, 3 * (1 - share), n))
                for unit, (m, x) in enumerate(zip(visits.tolist(), bought.tolist(), strict=True)):
                    clusters[(arm, 100_000), f"{arm}{unit}"] = Cluster(m, x, m)  # type: ignore[index]
            strata = strata_of(clusters, 0.1)
            for watched, of_world in groups.items():
                effect = effects_of(
                    strata, Strata(), reason=None, currency=None, level=0.95, watched=watched
                )[0]
                of_world.append(
                    {**{name: dict(effect) for name in EFFECTS}, **dict.fromkeys(SHRUNKEN, NOTHING)}
                )
        for watched, of_world in groups.items():
            judge_together(of_world)
            q_values = [group["incremental"]["q_value"] for group in of_world]
            assert any(q_value is not None for q_value in q_values)
            named[watched] += any(q_value is not None and q_value < 0.05 for q_value in q_values)
    assert named[False] / worlds <= 0.05
    assert named[True] / worlds <= 0.05


@given(COUNTS)
def test_shrunken_rates_lie_between_their_own_and_all(
    counts: list[tuple[int, int]],
) -> None:
    total = sum(n for _, n in counts)
    for (x, n), value in zip(counts, shrunken(counts), strict=True):
        if n == 0:
            assert value is None
            continue
        assert value is not None
        mean = sum(x for x, _ in counts) / total
        low, high = sorted((x / n, mean))
        assert low - 1e-12 <= value <= high + 1e-12


@pytest.mark.parametrize(("alike", "better"), [(20.0, 0.85), (100.0, 0.6)])
def test_shrinking_comes_nearer_the_truth(alike: float, better: float) -> None:
    """Groups whose shares are drawn from a beta distribution that counts for `alike` trials."""
    rng = np.random.default_rng(2)
    ratios: list[float] = []
    for _ in range(200):
        sizes = rng.integers(5, 400, 60)
        truth = rng.beta(0.1 * alike, 0.9 * alike, 60)
        counts = list(zip(rng.binomial(sizes, truth).tolist(), sizes.tolist(), strict=True))
        raw = np.array([x / n for x, n in counts])
        drawn = np.array(shrunken(counts), dtype=np.float64)
        ratios.append(float(((drawn - truth) ** 2).mean() / ((raw - truth) ** 2).mean()))
    assert np.mean(ratios) < better


@given(histories())
def test_a_report_judges_its_groups_together(facts: list[Fact]) -> None:
    query = ReportQuery(by=("item",), timezone="Europe/Oslo", currency="NOK", impressions="served")
    groups = report_of(facts, query)["groups"]
    for kind in ("cross_sell", "upsell"):
        for name in EFFECTS:
            effects = [row[kind][name] for row in groups]
            tested = [effect for effect in effects if effect["status"] == "ok"]
            assert all((effect["p_value"] is None) == (effect not in tested) for effect in effects)
            expected = q_values([effect["p_value"] for effect in tested]).tolist()
            assert [effect["q_value"] for effect in tested] == expected
        rates = [row[kind]["offer"] for row in groups]
        counts = [(rate["numerator"], rate["denominator"]) for rate in rates]
        assert [rate["shrunken"] for rate in rates] == shrunken(counts)
