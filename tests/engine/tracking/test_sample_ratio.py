"""The sample-ratio test raises an alarm as seldom as it says, and when it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mersalg.engine.tracking.sample_ratio import Arms, Drawn, mismatch_p_value, sample_ratio
from mersalg.engine.tracking.strata import (
    MISMATCH,
    WHOLE,
    Cluster,
    Strata,
    Stratum,
    why_checkouts_differ,
)
from tests.engine.tracking.test_incremental import report, visit
from tests.support.cluster_sums import strata_of


def _drawn(control: int, units: int, share: float) -> float:
    p_value = mismatch_p_value({round(share * WHOLE): (units, control)})
    assert p_value is not None
    return p_value


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("units", [60, 20_000, 300_000])
def test_false_alarms_come_at_the_nominal_level(units: int, share: float) -> None:
    rng = np.random.default_rng(9)
    runs = 50_000
    drawn = rng.binomial(units, share, runs)
    known = {control: _drawn(control, units, share) for control in {*drawn.tolist()}}
    p_values = np.array([known[control] for control in drawn.tolist()])
    for level in (0.05, 0.01, MISMATCH):
        error = 4 * (level * (1 - level) / runs) ** 0.5 + 0.1 * level
        assert (p_values < level).mean() <= level + error
        if units > 1_000:
            assert (p_values < level).mean() >= level - error


def test_a_tenth_of_the_control_arm_lost_is_found() -> None:
    rng = np.random.default_rng(10)
    lost = rng.binomial(20_000, 0.09, 200)
    assert np.mean([_drawn(int(control), 20_000, 0.1) < MISMATCH for control in lost]) > 0.9


@given(st.integers(1, 400), st.sampled_from([0.02, 0.1, 0.5]), st.data())
def test_few_units_are_tested_exactly(units: int, share: float, data: st.DataObject) -> None:
    control = data.draw(st.integers(0, units))
    expected = stats.binomtest(control, units, share).pvalue
    assert _drawn(control, units, share) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_many_units_are_tested_as_a_normal_sample() -> None:
    assert _drawn(31_000, 300_000, 0.1) == pytest.approx(
        stats.chisquare([269_000, 31_000], [270_000, 30_000]).pvalue
    )


SHARES = st.dictionaries(
    st.sampled_from([100_000, 250_000, 500_000]),
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
)


@given(SHARES)
def test_units_of_several_shares_are_tested_together(arms: dict[int, Arms]) -> None:
    chances = np.ones(1)
    for share, (n, _) in arms.items():
        chances = np.convolve(chances, stats.binom.pmf(range(n + 1), n, share / WHOLE))
    seen = chances[sum(control for _, control in arms.values())]
    expected = chances[chances <= seen * (1 + 1e-7)].sum()
    assert mismatch_p_value(arms) == pytest.approx(expected, rel=1e-6)


def test_shares_without_a_draw_are_not_tested() -> None:
    drawn = Drawn({(("treatment", 0), GROUP): 30, (("control", None), GROUP): 4})
    assert sample_ratio(drawn, 1.0).p_value is None
    assert sample_ratio(drawn, 0.5).p_value == pytest.approx(0.125)
    assert mismatch_p_value({}) is None


GROUP = ("oslo", "new", "cart")


def world(rng: np.random.Generator, sizes: list[int], lost: float = 0.0) -> Drawn:
    """Stores of some sizes, of which the first loses part of its control units."""
    drawn = Drawn()
    for number, units in enumerate(sizes):
        control = int(rng.binomial(units, 0.1))
        seen = int(rng.binomial(control, 1 - lost)) if number == 0 else control
        strata: dict[Stratum, int] = {
            ("treatment", 100_000): units - control,
            ("control", 100_000): seen,
        }
        for stratum, n in strata.items():
            drawn[stratum, (f"s{number}", "new", "cart")] += n
    return drawn


def test_worlds_without_a_loss_raise_one_alarm_in_a_thousand() -> None:
    rng = np.random.default_rng(4)
    runs, whole, groups = 3_000, 0, 0
    for _ in range(runs):
        found = sample_ratio(world(rng, [*rng.integers(1, 400, 20).tolist(), 3_000]), 0.1)
        whole += found.text is not None
        groups += bool(found.uneven)
    assert whole <= 9  # more of 3,000 come by chance in one test of 500
    assert groups <= 9


@pytest.mark.parametrize("n_control", [10, 30, 100])
def test_units_of_very_different_visits_raise_one_alarm_in_a_thousand(n_control: int) -> None:
    """Most units come once or twice and some come dozens of times, alike in both arms."""
    rng = np.random.default_rng(n_control)
    runs, alarms = 20_000 // n_control, 0
    for _ in range(runs):
        visits = 1 + rng.poisson(rng.gamma(0.25, 8, 10 * n_control))
        alarms += why_checkouts_differ(_visited(visits.tolist(), n_control), [100_000]) is not None
    assert alarms <= 3 + runs // 1_000


def _visited(visits: list[int], n_control: int) -> Strata:
    clusters: dict[tuple[Stratum, str], Cluster] = {
        (("control" if unit < n_control else "treatment", 100_000), str(unit)): Cluster(m)
        for unit, m in enumerate(visits)
    }
    return strata_of(clusters, 0.1)


def test_a_tenth_more_checkouts_of_a_unit_are_found() -> None:
    rng = np.random.default_rng(3)
    visits = 1 + rng.poisson(np.repeat([2.0, 2.3], [1_000, 9_000]))
    reason = why_checkouts_differ(_visited(visits.tolist(), 1_000), [100_000])
    assert reason is not None
    assert "compare units" in reason


def test_a_store_that_loses_control_checkouts_is_named() -> None:
    drawn = world(np.random.default_rng(1), [1_000, 20_000, 8_000, 40])
    for stratum, n in ((("treatment", 100_000), 894), (("control", 100_000), 37)):
        drawn[stratum, ("s0", "new", "cart")] = n  # type: ignore[index]
    found = sample_ratio(drawn, 0.1)
    assert found.text is None
    assert [(each.key, each.value) for each in found.uneven] == [("store", "s0")]
    assert found.uneven[0].p_value == pytest.approx(stats.binomtest(37, 931, 0.1).pvalue)
    reason = found.reason({})
    assert reason is not None
    assert "in store s0 of 931 units 93.1 were expected in the control arm, 37 were seen" in reason
    assert found.reason({"store": "s0", "item": "bun"}) == found.reason({"day": "2026-01-01"})
    assert found.reason({"store": "s1"}) is None


def test_holm_steps_down() -> None:
    """Each of three stores is below 0.001 over the number of those left, when its turn comes."""
    drawn = Drawn()
    bands = {"a": (0.0001, 0.001 / 3), "b": (0.001 / 3, 0.001 / 2), "c": (0.001 / 2, 0.001)}
    for name, (above, below) in bands.items():
        control = next(k for k in range(500) if above < _drawn(k, 1_000, 0.5) < below)
        for arm, n in (("control", control), ("treatment", 1_000 - control)):
            drawn[(arm, None), (name, "new", "cart")] = n  # type: ignore[index]
    assert [each.value for each in sample_ratio(drawn, 0.5).uneven] == ["a", "b", "c"]
    for stratum, group in [*drawn]:
        if group[0] == "a":
            drawn[stratum, group] = 500
    # Now none of them is below a third.
    assert not sample_ratio(drawn, 0.5).uneven


def _stores(lost: int) -> list[list[dict[str, Any]]]:
    """Two stores of one size, in the first of which some control checkouts are lost."""
    visits: list[list[dict[str, Any]]] = []
    for store, control in (("oslo", 240 - lost), ("bergen", 240)):
        for arm, n in (("control", control), ("treatment", 240)):
            for number in range(n):
                facts = visit(len(visits), arm, buys_bun=number % 3 == 0)
                facts[0]["store_id"] = store
                visits.append(facts)
    return visits


def test_an_uneven_store_blocks_itself_and_the_total() -> None:
    """240 with offers and 165 without in one store, 480 and 405 in both."""
    visits = _stores(75)
    made = report(*visits, by=("store",))
    total = made["total"]["cross_sell"]
    assert MISMATCH < made["quality"]["srm_p_value"] == total["incremental"]["srm_p_value"]
    of_store = {row["key"]["store"]: row["cross_sell"] for row in made["groups"]}
    for effect in ("incremental", "net_incremental"):
        for entry in (total[effect], of_store["oslo"][effect]):
            assert (entry["status"], entry["value"]) == ("blocked", None)
            assert entry["completion"]["status"] == entry["orders"]["status"] == "blocked"
            assert entry["per_unit"]["status"] == "blocked"
            assert "in store oslo of 405 units 202.5 were expected" in entry["reason"]
            assert entry["uneven"] == [
                {"key": {"store": "oslo"}, "p_value": pytest.approx(_drawn(165, 405, 0.5))}
            ]
        other = of_store["bergen"][effect]
        assert (other["status"], other["value"], other["uneven"]) == ("ok", 0, [])
    # Rows that have checkouts of the store are blocked too, others are not.
    for by, blocked in ((("item",), True), (("day",), True), (("store", "item"), None)):
        for row in report(*visits, by=by)["groups"]:
            entry = row["cross_sell"]["incremental"]
            here = row["key"].get("store") == "oslo" if blocked is None else blocked
            assert entry["status"] == ("blocked" if here else "ok")


def test_ghosts_lost_from_half_of_the_control_arm_block_their_kind() -> None:
    """The units are as drawn, but those who are eligible are not."""
    visits = [visit(n, "control" if n % 2 else "treatment", buys_bun=n % 3 == 0)
              for n in range(400)]  # fmt: skip
    for facts in visits:
        offer = facts[0]["offers"][0]
        other = offer | {"offer_id": f"u{offer['offer_id']}", "kind": "upsell", "item_id": "cake",
                         "replaces": {"item_id": "coffee", "quantity": 1}}  # fmt: skip
        facts[0]["offers"].append(other)
    for facts in visits[1::4]:
        del facts[0]["offers"][0]
    made = report(*visits)
    entries = {kind: made["total"][kind]["incremental"] for kind in ("cross_sell", "upsell")}
    assert entries["cross_sell"]["status"] == "blocked"
    assert entries["cross_sell"]["srm_p_value"] == made["quality"]["srm_p_value"] < MISMATCH
    assert entries["upsell"]["srm_p_value"] == pytest.approx(1)
    assert entries["upsell"]["status"] == "ok"
