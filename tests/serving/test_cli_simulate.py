"""`mersalg simulate`: what is planted is found, and what would have been bought anyway is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mersalg.engine.errors import ConfigError
from tests.support.commands import run


def simulated(*options: object) -> dict:
    return json.loads(run("simulate", "--json", *options))


def test_planted_effects_lie_in_their_intervals_and_the_attributed_rate_overstates() -> None:
    """Both kinds over four seeds: of eight 95% intervals at most one may miss."""
    missed = 0
    for seed in range(1, 5):
        reported = simulated("--checkouts", 2_500, "--seed", seed, "--holdout", 0.5)
        for kind in ("cross_sell", "upsell"):
            found = reported["checked"][kind]
            assert found["status"] == "ok"
            assert found["lower"] < found["measured"] < found["upper"]
            missed += not found["inside"]
            assert found["attributed"] > found["planted"] + 0.03
            # What the control arm bought is what was planted as bought anyway, less the abandoned.
            anyway = {"cross_sell": 0.11, "upsell": 0.05}[kind] * 0.92
            assert found["control"] == pytest.approx(anyway, abs=0.025)
            refunded = reported["report"]["total"][kind]
            assert refunded["net_offer"]["value"] < refunded["offer"]["value"]
    assert missed <= 1


def test_no_effect_is_reported_as_none() -> None:
    reported = simulated("--checkouts", 4_000, "--persuaded", 0, "--upgraded", 0, "--holdout", 0.5)
    for found in reported["checked"].values():
        assert found["planted"] == 0
        assert found["lower"] < 0 < found["upper"]
        assert found["attributed"] > 0.03


def test_run_twice_and_handed_on(tmp_path: Path) -> None:
    options = ("--checkouts", 300, "--database", tmp_path / "facts.db")
    first = simulated(*options, "--out", tmp_path / "facts.jsonl")
    again = simulated(*options)
    assert first["facts"]["duplicates"] == again["facts"]["recorded"] == 0
    assert first["facts"]["recorded"] == again["facts"]["duplicates"]
    assert first["report"] == again["report"]
    other = simulated("--checkouts", 300, "--seed", 2)
    assert other["report"] != first["report"]
    run("events", "import", tmp_path / "facts.jsonl", "--database", tmp_path / "copy.db")
    copied = run("report", "--database", tmp_path / "copy.db", "--format", "json")
    assert json.loads(copied)["total"] == first["report"]["total"]
    people = run("simulate", *options)
    assert "would have bought it" in people.replace("\n", " ")
    assert "planted" in people
    with pytest.raises(ConfigError, match="other facts under these ids"):
        simulated(*options, "--persuaded", 0.9)


def test_a_shops_own_database_is_left_alone(tmp_path: Path) -> None:
    fact = {
        "type": "view_promotion",
        "event_id": "real",
        "occurred_at": "2026-01-01T10:00:00Z",
        "offer_id": "o",
    }
    (tmp_path / "real.jsonl").write_text(json.dumps(fact) + "\n")
    run("events", "import", tmp_path / "real.jsonl", "--database", tmp_path / "facts.db")
    with pytest.raises(ConfigError, match="shop's own facts"):
        simulated("--database", tmp_path / "facts.db")


@pytest.mark.parametrize("holdout", [0, 1])
def test_an_arm_with_nobody_is_reported(holdout: int) -> None:
    reported = simulated("--checkouts", 200, "--holdout", holdout)
    assert {found["status"] for found in reported["checked"].values()} == {"no_data"}
    assert "no effect can be reported" in run("simulate", "--checkouts", 200, "--holdout", holdout)
