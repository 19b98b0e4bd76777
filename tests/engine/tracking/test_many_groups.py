"""Many groups at once: false discoveries held down, small groups drawn towards all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from engine.facts import Fact
from engine.tracking.many import benjamini_hochberg, difference_p_value, shrunken
from engine.tracking.query import ReportQuery
from engine.tracking.report import report_of
from tests.support.facts import histories

COUNTS = st.lists(
    st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="fdr_bh")[1]
    assert benjamini_hochberg(p_values) == pytest.approx(expected.tolist())


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_p_values_are_those_of_statsmodels(n1: int, n2: int, data: st.DataObject) -> None:
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    found = difference_p_value(x1, n1, x2, n2)
    if x1 + x2 in (0, n1 + n2):
        assert found == 1
    else:
        assert found == pytest.approx(proportions_ztest([x1, x2], [n1, n2])[1])
    assert difference_p_value(0, 0, 1, 2) is None


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
        effects = [row[kind]["incremental"] for row in groups]
        tested = [effect for effect in effects if effect["status"] == "ok"]
        assert all((effect["p_value"] is None) == (effect not in tested) for effect in effects)
        expected = benjamini_hochberg([effect["p_value"] for effect in tested])
        assert [effect["q_value"] for effect in tested] == expected
        rates = [row[kind]["offer"] for row in groups]
        counts = [(rate["numerator"], rate["denominator"]) for rate in rates]
        assert [rate["shrunken"] for rate in rates] == shrunken(counts)
