"""Effects where the hold-out share varies: strata of equal share, weighted by their checkouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.tracking.cuped import Unit, adjusted_difference
from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.report import ReportQuery, report_of
from mersalg.engine.tracking.strata import Cluster, Strata, Stratum
from mersalg.serving.presentation.report import ReportText
from tests.engine.tracking.test_incremental import visit
from tests.support.cluster_sums import Clusters, strata_of, sums_of

WEEKS = ((100_000, 0.1), (500_000, 0.3))
"""Hold-out share (millionths) of each of two weeks, and how often buyers buy anyway."""


def entry_of(strata: Strata, **settings: Any) -> Any:
    plain = {"reason": None, "currency": "NOK", "level": 0.95}
    return effects_of(strata, Strata(), **{**plain, **settings})[0]


def world(rng: np.random.Generator, n_units: int) -> Clusters:
    """Two weeks without any effect; half of the units of the first return in the second.

    Units have chances of their own: what one does in both weeks is alike. A unit keeps its place in
    the draw, as by a hash, so that who is held out at 10% is held out at 50% too.
    """
    place, zeal = rng.random(n_units), rng.beta(2, 2, n_units) * 2
    clusters: dict[tuple[Stratum, str], Cluster] = {}
    returns = rng.random(n_units) < 0.5
    for (share, chance), comes in zip(WEEKS, (returns | (place < 2), returns), strict=True):
        held_out = place < share / 1_000_000
        visits = rng.integers(1, 4, n_units)
        bought = rng.binomial(visits, np.minimum(1, chance * zeal))
        spent = bought * rng.integers(1_000, 5_000, n_units)
        for unit in np.flatnonzero(comes).tolist():
            arm = "control" if held_out[unit] else "treatment"
            clusters[(arm, share), f"u{unit}"] = Cluster(
                int(visits[unit]), int(bought[unit]), int(visits[unit]),
                int(spent[unit]), int(spent[unit]),
            )  # fmt: skip
    return clusters


def test_a_share_raised_while_habits_change_is_no_effect() -> None:
    """Pooled over both weeks the arms differ by many points, though nothing was planted."""
    rng = np.random.default_rng(12)
    runs, pooled, covered = 200, 0.0, {"share": 0, "money": 0, "watched": 0}
    for _ in range(runs):
        strata = strata_of(world(rng, 1_200), 0.1)
        entry, watched = entry_of(strata), entry_of(strata, watched=True)
        pooled += entry["treatment"]["value"] - entry["control"]["value"]
        money = entry["offer_revenue_per_checkout"]
        covered["share"] += entry["lower"] <= 0 <= entry["upper"]
        covered["money"] += float(money["lower"]) <= 0 <= float(money["upper"])
        covered["watched"] += watched["lower"] <= 0 <= watched["upper"]
    assert abs(pooled / runs) > 0.03
    assert 0.92 <= covered["share"] / runs <= 0.985
    assert 0.92 <= covered["money"] / runs <= 0.985
    assert covered["watched"] / runs >= 0.97


def test_the_effect_is_the_mean_of_those_in_the_strata() -> None:
    clusters: dict[tuple[Stratum, str], Cluster] = {}
    planted = {
        100_000: ((90, 30), (10, 2)),
        500_000: ((20, 10), (20, 8)),
        600_000: ((30, 3), (9, 9)),
        0: ((50, 50), (0, 0)),
        1_000_000: ((0, 0), (50, 1)),
    }
    for share, arms in planted.items():
        for arm, (n, bought) in zip(("treatment", "control"), arms, strict=True):
            stated = None if share == 100_000 and arm == "control" else share
            for unit in range(n):
                clusters[(arm, stated), f"{arm}{share}-{unit}"] = Cluster(1, unit < bought)  # type: ignore[index]
    entry = entry_of(strata_of(clusters, 0.1), unstated_by="shop")
    # 60% holds nine units in control: too few, left out of the effect and not of the counts.
    expected = 100 / 140 * (30 / 90 - 2 / 10) + 40 / 140 * (10 / 20 - 8 / 20)
    assert entry["value"] == pytest.approx(expected)
    assert (entry["treatment"]["denominator"], entry["control"]["denominator"]) == (140, 39)
    assert (entry["treatment"]["numerator"], entry["control"]["numerator"]) == (43, 19)
    assert [tuple(each.values()) for each in entry["shares"]] == [
        (0.0, ["decisions"], 50, 0, False),
        (0.1, ["decisions", "shop"], 90, 10, True),
        (0.5, ["decisions"], 20, 20, True),
        (0.6, ["decisions"], 30, 9, False),
        (1.0, ["decisions"], 0, 50, False),
    ]


@pytest.mark.parametrize(
    ("share", "reason"),
    [(0.6, "none of 2 hold-out shares has 10 units"), (1.0, "6 units in control")],
)
def test_strata_too_small_give_no_effect(share: float, reason: str) -> None:
    clusters: dict[tuple[Stratum, str], Cluster] = {
        ((arm, stated), f"{arm}{stated}{unit}"): Cluster(1)
        for stated in (500_000, round(share * 1_000_000))
        for arm, n in (("treatment", 40), ("control", 6))
        for unit in range(n)
    }
    entry = entry_of(strata_of(clusters, 0.1))
    assert (entry["status"], entry["value"]) == ("no_data", None)
    assert reason in entry["reason"]
    assert not any(each["compared"] for each in entry["shares"])


RATIOS = st.tuples(st.integers(0, 3), st.integers(1, 4))


@given(st.lists(st.tuples(RATIOS, RATIOS), min_size=12, max_size=30))
def test_one_unit_in_two_strata_is_one_cluster(units: list[tuple[Any, Any]]) -> None:
    """The variance is that of each unit's part in the standardised ratio."""
    clusters: dict[tuple[Stratum, str], Cluster] = {}
    for number, both in enumerate(units):
        for share, (x, m) in zip((100_000, 500_000), both, strict=True):
            for arm in ("treatment", "control"):
                clusters[(arm, share), f"{arm}{number}"] = Cluster(m, order_revenue=x)  # type: ignore[index]
    strata = strata_of(clusters, 0.1)
    mean = strata.mean("order_revenue", "control", strata.compared())
    x, m = (np.array([[part[at] for part in both] for both in units], float) for at in (0, 1))
    weights: NDArray[np.float64] = m.sum(0) / m.sum()
    ratios = x.sum(0) / m.sum(0)
    parts = (x - ratios * m) / m.sum(0) * weights
    n = len(units)
    assert mean.value == pytest.approx(float((weights * ratios).sum()))
    # n / (n - 1) is of the variances: as many units as there may be are in both strata.
    expected = (parts**2).sum() * n / (n - 1) + 2 * (parts[:, 0] * parts[:, 1]).sum()
    assert mean.variance() == pytest.approx(max(0.0, float(expected)), rel=1e-6, abs=1e-12)


@given(st.lists(RATIOS, min_size=10), st.lists(RATIOS, min_size=10))
def test_one_share_is_compared_as_before(first: list[Any], second: list[Any]) -> None:
    clusters: dict[tuple[Stratum, str], Cluster] = {
        ((arm, 100_000), f"{n}"): Cluster(m, order_revenue=x)
        for arm, units in (("treatment", first), ("control", second))
        for n, (x, m) in enumerate(units)
    }
    strata = strata_of(clusters, 0.1)
    left = [
        np.array([x - m * sum(x for x, _ in units) / sum(m for _, m in units) for x, m in units])
        for units in (first, second)
    ]
    together = sum(float(each @ each) for each in left) / sum(len(each) - 1 for each in left)
    for arm, units, each in (("treatment", first, left[0]), ("control", second, left[1])):
        mean = strata.mean("order_revenue", arm, [100_000])  # type: ignore[arg-type]
        spread = 2 / 3 * float(each @ each) / (len(each) - 1) + together / 3
        assert mean.value == pytest.approx(sums_of(units).value)
        assert mean.variance() == pytest.approx(
            spread * len(units) / sum(m for _, m in units) ** 2, abs=1e-9
        )


def test_past_spend_is_taken_out_within_strata() -> None:
    """Spend is the past times 2, and 100 more in the week in which half are held out."""
    rng = np.random.default_rng(3)
    strata = []
    for n_control, more in ((20, 0), (200, 100)):
        arms = []
        for n, name in ((200, "t"), (n_control, "c")):
            past = rng.gamma(2, 50, n)
            arms.append({f"{name}{more}{u}": Unit(2 * p + more, 1, p) for u, p in enumerate(past)})
        strata.append(tuple(arms))
    found = adjusted_difference(strata)
    assert found is not None
    assert found.theta == pytest.approx(2)
    assert found.interval.value == pytest.approx(0, abs=1e-9)
    assert found.interval.upper == pytest.approx(0, abs=1e-6)


def test_a_report_says_which_shares_it_compares_and_who_stated_them() -> None:
    """A store that held out nobody in its first week, when few bought."""
    visits = [visit(n, "treatment", share=0.0) for n in range(100)]
    visits += [visit(n, "treatment", buys_bun=n % 2 == 0, share=None) for n in range(100, 140)]
    visits += [visit(n, "control", buys_bun=n % 2 == 0, share=None) for n in range(140, 180)]
    facts = [parse_fact(fact) for each in visits for fact in each]
    made: Any = report_of(facts, ReportQuery(holdout=0.5))
    entry = made["total"]["cross_sell"]["incremental"]
    assert entry["value"] == 0
    nobody, half = entry["shares"]
    assert nobody == {
        "share": 0.0,
        "stated_by": ["decisions"],
        "treatment": 100,
        "control": 0,
        "compared": False,
    }
    assert half == nobody | {
        "share": 0.5,
        "stated_by": ["query"],
        "treatment": 40,
        "control": 40,
        "compared": True,
    }
    by_shop = report_of(facts, ReportQuery().filled({"holdout": "0.5"}))
    shares: Any = by_shop["total"]["cross_sell"]["incremental"]["shares"]  # type: ignore[index]
    assert shares[1]["stated_by"] == ["shop"]
    text = ReportText(made, None, "en").kinds[0].incremental[-1]
    assert text.startswith("hold-out: 0% (stated by decisions), 100 checkouts left out")
    assert text.endswith("; 50% (--holdout)")
