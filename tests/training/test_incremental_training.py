"""`train --since-last` end to end: the same versions, and a memory that survives accidents."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import load_config
from engine.durable import sha256_of
from engine.progress import SilentProgress
from engine.registry import Registry
from tests.support.commands import attempt, run
from tests.support.repetitions import repetitions
from tests.support.small_shop import write_small_shop
from training.incremental.state import FOLDER
from training.pipeline import TrainingResult, train

N_ORDERS = 300


def train_shop(folder: Path, **options: Any) -> TrainingResult:
    config = load_config(folder / "shop.toml")
    models = folder / "models"
    return train(config, folder, models, progress=SilentProgress(), **options)


def write_rows(folder: Path, rows: list[list[str]]) -> None:
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def read_rows(folder: Path) -> list[list[str]]:
    with (folder / "orders.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def state_of(folder: Path) -> Path:
    (found,) = (path for path in (folder / "models" / FOLDER).iterdir() if path.is_dir())
    return found


def assert_same_version(folder: Path, result: TrainingResult) -> None:
    """`result` is what a full training of the folder's files would have written."""
    whole = shutil.copytree(folder, folder.parent / "whole", ignore=lambda *_: ["models"])
    try:
        expected = train_shop(whole)
        left = Registry(folder / "models").load(result.version).to_components()
        right = Registry(whole / "models").load(expected.version).to_components()
        assert left.keys() == right.keys()
        for name, arrays in left.items():
            assert arrays.keys() == right[name].keys()
            for key, array in arrays.items():
                np.testing.assert_array_equal(right[name][key], array)
        # Only where a version came before are tiers known to be cut as there.
        assert {**result.counts, "tiers_cut_as_before": 0} == expected.counts
        assert result.metrics == expected.metrics
        assert result.data_range == expected.data_range
        found, wanted = (
            json.dumps(one.quality["orders"]["left_out"]) for one in (result, expected)
        )
        assert found.replace(str(folder), "") == wanted.replace(str(whole), "")
    finally:
        shutil.rmtree(whole)


def rows_left_out(result: TrainingResult) -> list[tuple[str, int, list[int]]]:
    return [
        (reason, entry["rows"], [example["row"] for example in entry["examples"]])
        for reason, entry in result.quality["orders"]["left_out"].items()
    ]


@pytest.fixture(autouse=True, scope="module")
def one_secret() -> Iterator[None]:
    """Customers are hashed alike in every folder, so that models of two can be compared."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MERSALG_SECRET", "the secret of both folders")
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write_small_shop(tmp_path / "shop", n_orders=N_ORDERS)
    return tmp_path / "shop"


@settings(max_examples=repetitions(6), suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1_000),
    share=st.floats(0.05, 1),
    min_count=st.sampled_from(["", "min_count = 3", "min_count = 12"]),
    max_length=st.integers(2, 3),
)
def test_any_split_of_the_orders_gives_the_version_of_all(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    share: float,
    min_count: str,
    max_length: int,
) -> None:
    folder = tmp_path_factory.mktemp("split") / "shop"
    more = f"[training]\nmax_length = {max_length}\n{min_count}\n"
    write_small_shop(folder, n_orders=N_ORDERS, seed=seed, more=more)
    header, *rows = read_rows(folder)
    orders = sorted({row[0] for row in rows})
    early = set(random.Random(seed).sample(orders, int(share * len(orders))))
    first = [row for row in rows if row[0] in early]
    write_rows(folder, [header, *first])
    train_shop(folder)
    # The new orders lie before, between and after the old ones; a return and a late line as well.
    late = [[*rows[0][:3], "scone", "1", "28.00"], [*rows[1][:4], "-1", rows[1][5]]]
    write_rows(folder, [header, *first, *(row for row in rows if row[0] not in early), *late])
    result = train_shop(folder, since_last=True)
    assert result.since_last is not None
    assert result.since_last.reading.grown == 1
    assert_same_version(folder, result)


def test_nothing_new_is_said_and_written_nowhere(shop: Path) -> None:
    first = train_shop(shop)
    before = sorted(str(path) for path in (shop / "models").rglob("*"))
    for _ in range(2):
        again = train_shop(shop, since_last=True)
        assert again.since_last is not None
        assert again.since_last.nothing_new
        assert again.version == first.version
        assert again.published
        assert (again.counts, again.metrics) == (first.counts, first.metrics)
        assert again.quality == first.quality
    assert sorted(str(path) for path in (shop / "models").rglob("*")) == before


def test_the_first_time_everything_is_read(shop: Path) -> None:
    result = train_shop(shop, since_last=True)
    assert result.since_last is not None
    assert result.since_last.version is None
    assert "no earlier training" in result.since_last.reason
    assert result.published


@pytest.mark.parametrize("change", ["catalogue", "shop file", "version", "reading"])
def test_what_else_changed_is_trained_on(shop: Path, change: str) -> None:
    first = train_shop(shop)
    if change == "catalogue":
        # The prices, and an item that is sold no longer: its orders become others.
        path = shop / "catalogue.csv"
        kept = [line for line in path.read_text().splitlines(True) if "scone" not in line]
        path.write_text("".join(kept).replace("45.00", "49.00"))
    elif change == "shop file":
        path = shop / "shop.toml"
        path.write_text(path.read_text().replace("Europe/Oslo", "America/New_York"))
    elif change == "reading":
        path = shop / "shop.toml"
        path.write_text(path.read_text().replace('customer_id = "customer_id"\n', ""))
    else:
        shutil.rmtree(shop / "models" / first.version)
    result = train_shop(shop, since_last=True)
    assert result.since_last is not None
    assert result.version != first.version
    assert bool(result.since_last.reason) == (change == "reading")
    assert result.since_last.reading.unchanged == (change != "reading")
    assert all(origin.remembered for origin in result.since_last.counts)
    assert_same_version(shop, result)


def test_an_order_of_the_future_becomes_one_when_its_day_comes(shop: Path) -> None:
    header, *rows = read_rows(shop)
    future = ["future", "c1", "2126-01-01T00:00:00+00:00", "tea", "1", "30.00"]
    write_rows(shop, [header, *rows, future])
    train_shop(shop)
    result = train_shop(shop, since_last=True)
    assert result.since_last is not None
    assert not result.since_last.nothing_new


def spoil(state: Path, how: str) -> None:
    manifest = orjson.loads((state / "manifest.json").read_bytes())
    name = {"changed": "orders-0.parquet", "gone": "items.npz"}.get(how, "counts-0.npz")
    if how == "changed":
        content = bytearray((state / name).read_bytes())
        content[len(content) // 2] ^= 1
        (state / name).write_bytes(content)
    elif how == "gone":
        (state / name).unlink()
    elif how == "cut":
        (state / "manifest.json").write_bytes(b'{"schema_version": 1')
        return
    elif how == "pickled":
        np.savez(state / name, indptr=np.array([print], dtype=object), allow_pickle=True)
        manifest["files"][name] = sha256_of(state / name)
    elif how == "newer":
        manifest["schema_version"] = 99
    elif how == "outside":
        manifest["files"]["../../secret"] = "0" * 64
    (state / "manifest.json").write_bytes(orjson.dumps(manifest))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("changed", "orders-0.parquet of the training remembered is not what was written"),
        ("gone", "lacks items.npz"),
        ("cut", "unusable"),
        ("pickled", "allow_pickle=False"),
        ("newer", "schema 99"),
        ("outside", "impossible file"),
    ],
)
def test_a_memory_that_is_spoilt_is_left_aside(shop: Path, how: str, reason: str) -> None:
    train_shop(shop)
    spoil(state_of(shop), how)
    result = train_shop(shop, since_last=True)
    assert result.since_last is not None
    assert reason in result.since_last.reason
    assert result.since_last.version is None
    again = train_shop(shop, since_last=True)
    assert again.since_last is not None
    assert again.since_last.nothing_new


@pytest.mark.parametrize("step", ["sync_file", "sync_folder"])
def test_a_killed_training_leaves_the_earlier_memory(shop: Path, step: str) -> None:
    train_shop(shop)
    before = state_of(shop).name
    rows = read_rows(shop)
    write_rows(shop, [*rows, *([f"n{place}", *row[1:]] for place, row in enumerate(rows[1:40]))])
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from engine.config import load_config\n"
        "from engine.progress import SilentProgress\n"
        "from training.incremental import state\n"
        "from training.pipeline import train\n"
        f"state.{step} = lambda path: os._exit(9)\n"
        "folder = Path(sys.argv[1])\n"
        "train(load_config(folder / 'shop.toml'), folder, folder / 'models',"
        " since_last=True, progress=SilentProgress())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(shop)], check=False)
    assert done.returncode == 9
    folders = [path for path in (shop / "models" / FOLDER).iterdir() if path.is_dir()]
    assert sorted(path.name for path in folders)[1:] == [before]
    result = train_shop(shop, since_last=True)
    assert result.since_last is not None
    assert result.since_last.reading.grown == 1
    assert_same_version(shop, result)
    assert state_of(shop).name == result.version


def test_a_full_disk_is_told(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_shop(shop)
    before = state_of(shop).name
    with (shop / "orders.csv").open("a") as file:
        file.write("new,c1,2026-02-01T00:00:00+00:00,tea,1,30.00\n")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("training.incremental.state.np.savez", full)
        result = train_shop(shop, since_last=True)
    assert result.published
    assert result.since_last is not None
    assert "No space left" in result.since_last.problem
    assert state_of(shop).name == before


def test_a_shop_may_ask_that_nothing_is_remembered(shop: Path) -> None:
    train_shop(shop)
    assert state_of(shop).stat().st_mode & 0o077 == 0
    path = shop / "shop.toml"
    path.write_text(path.read_text() + "[training]\nremember = false\n")
    train_shop(shop)
    assert not [path for path in (shop / "models" / FOLDER).iterdir() if path.is_dir()]


def test_the_command_says_what_was_new(shop: Path) -> None:
    arguments = ("train", "--config", shop / "shop.toml", "--models", shop / "models")
    run(*arguments)
    with (shop / "orders.csv").open("a") as file:
        file.write("new,c1,2026-02-01T00:00:00+00:00,tea,1,30.00\n")
    told = " ".join(run(*arguments, "--since-last").split())
    assert "1 order lines read" in told
    assert "counts of 1 baskets added to those remembered, 0 taken away" in told
    again = run(*arguments, "--since-last")
    assert "nothing is new since version" in again
    as_json = json.loads(run(*arguments, "--since-last", "--json"))
    assert as_json["since_last"]["nothing_new"]
    shutil.rmtree(shop / "models" / FOLDER)
    assert "everything was read: no earlier training" in run(*arguments, "--since-last")
    assert json.loads(run(*arguments, "--json"))["since_last"] is None
    assert attempt(*arguments, "--since-last").exit_code == 0
