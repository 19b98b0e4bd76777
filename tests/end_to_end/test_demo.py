"""The demo as its reader runs it: real data, a real server, both rates, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.demo

SHOPPERS = 800


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "serving.cli.main", "demo", "--once", "--json"),
            *("--folder", str(folder), "--shoppers", str(SHOPPERS)),
        ],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if "MERSALG" not in name},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.glob("run-*")), "the run's own files are left behind"
    return json.loads(done.stdout)


def test_it_says_that_the_shoppers_are_simulated(demo: dict[str, Any]) -> None:
    assert demo["simulated"] is True
    assert len(demo["acceptance_model"]) >= 3


@pytest.mark.parametrize("kind", ["cross_sell", "upsell"])
def test_both_rates_come_out_of_real_calls(demo: dict[str, Any], kind: str) -> None:
    rates = demo["report"]["total"][kind]
    for name in ("customer", "offer", "order", "checkout", "penetration", "click_through"):
        entry = rates[name]
        assert 0 < entry["numerator"] <= entry["denominator"], name
        assert entry["lower"] <= entry["value"] <= entry["upper"]
    assert float(rates["net_revenue"]) <= float(rates["revenue"])
    assert rates["net_offer"]["numerator"] <= rates["offer"]["numerator"]


@pytest.mark.parametrize("kind", ["cross_sell", "upsell"])
def test_the_arms_are_those_the_simulation_met(demo: dict[str, Any], kind: str) -> None:
    incremental, truth = demo["report"]["total"][kind]["incremental"], demo["truth"][kind]
    assert incremental["treatment"]["denominator"] == truth["eligible"]
    assert incremental["treatment"]["numerator"] == truth["converted_with_offers"]
    assert incremental["control"]["denominator"] > 0
    assert demo["report"]["quality"]["unmatched"] == 0


def test_the_planted_effect_is_within_reach_of_the_measured_one(demo: dict[str, Any]) -> None:
    # Five standard errors: the arms of a short demo are small, and this test must not be a lottery.
    for kind in ("cross_sell", "upsell"):
        measured = demo["report"]["total"][kind]["incremental"]
        width = measured["upper"] - measured["lower"]
        assert abs(measured["value"] - demo["truth"][kind]["incremental"]) < 5 * width / 3.92


def test_the_samples_can_be_judged(demo: dict[str, Any]) -> None:
    assert demo["samples"]
    for sample in demo["samples"]:
        assert sample["cart"]
        kinds = {offer["kind"] for offer in sample["offers"]}
        assert kinds == {"cross_sell", "upsell"}


def test_the_service_is_gone(demo: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{demo['url']}/healthz", timeout=5)
