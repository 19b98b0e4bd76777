"""`train --if-changed` writes nothing where nothing it depends on has changed."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.config import load_config
from mersalg.engine.forgotten import Forgotten
from mersalg.engine.progress import SilentProgress
from mersalg.training.pipeline import TrainingResult, train
from tests.support.commands import attempt, run
from tests.support.small_shop import write_small_shop


def train_shop(folder: Path, **options: Any) -> TrainingResult:
    config = load_config(folder / "shop.toml")
    return train(config, folder, folder / "models", progress=SilentProgress(), **options)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write_small_shop(tmp_path / "shop", n_orders=200)
    return tmp_path / "shop"


def test_unchanged_inputs_write_nothing(shop: Path) -> None:
    first = train_shop(shop, if_changed=True)
    assert not first.unchanged
    before = sorted(str(path) for path in (shop / "models").rglob("*"))
    again = train_shop(shop, if_changed=True)
    assert again.unchanged
    assert (again.version, again.published) == (first.version, True)
    assert (again.counts, again.metrics) == (first.counts, first.metrics)
    assert sorted(str(path) for path in (shop / "models").rglob("*")) == before
    assert not train_shop(shop).unchanged  # without the option a version is always written


def _add_row(shop: Path, row: str) -> None:
    with (shop / "orders.csv").open("a") as file:
        file.write(row)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("change", ["row", "price", "shop file", "erased", "version", "cut"])
def test_whatever_changed_is_trained_on(shop: Path, change: str) -> None:
    first = train_shop(shop)
    version = shop / "models" / first.version
    if change == "row":
        _add_row(shop, "new,c1,2026-02-01T00:00:00+00:00,tea,1,30.00\n")
    elif change == "price":
        _replace(shop / "catalogue.csv", "45.00", "49.00")
    elif change == "shop file":
        _replace(shop / "shop.toml", "Europe/Oslo", "America/New_York")
    elif change == "erased":
        Forgotten(shop / "models").add(1)
    elif change == "version":
        shutil.rmtree(version)
    else:
        (version / "rules.consequent.npy").write_bytes(b"")
    result = train_shop(shop, if_changed=True)
    assert not result.unchanged
    assert result.version != first.version


def test_an_order_of_the_future_may_count_the_next_time(shop: Path) -> None:
    _add_row(shop, "future,c1,2126-01-01T00:00:00+00:00,tea,1,30.00\n")
    train_shop(shop)
    assert not train_shop(shop, if_changed=True).unchanged


def test_outcomes_are_asked_every_time(shop: Path, tmp_path: Path) -> None:
    train_shop(shop)
    outcomes = f"sqlite:///{tmp_path / 'facts.db'}"
    assert not train_shop(shop, if_changed=True, outcomes=outcomes).unchanged


def test_rows_of_a_database_count_in_any_order(shop: Path) -> None:
    with (shop / "orders.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    _replace(
        shop / "shop.toml",
        'path = "orders.csv"',
        'url = "sqlite:///orders.db"\nquery = "select * from lines"',
    )

    def write(rows: list[list[str]]) -> None:
        with sqlite3.connect(shop / "orders.db") as database:
            database.execute("drop table if exists lines")
            database.execute(f"create table lines ({', '.join(header)})")
            database.executemany(f"insert into lines values ({', '.join('?' * len(header))})", rows)
        database.close()

    write(rows)
    train_shop(shop)
    random.Random(1).shuffle(rows)
    write(rows)
    assert train_shop(shop, if_changed=True).unchanged
    rows[0][5] = "36.00"
    write(rows)
    assert not train_shop(shop, if_changed=True).unchanged


def test_the_old_names_are_accepted_with_a_warning(shop: Path) -> None:
    arguments = ("train", "--config", shop / "shop.toml", "--models", shop / "models")
    with (shop / "shop.toml").open("a") as file:
        file.write("[training]\nremember = false\n")
    state = shop / "models" / "state" / "20260101T000000Z-00000000"
    state.mkdir(parents=True)
    (state / "orders-0.parquet").write_bytes(b"lines of an earlier release")
    first = run(*arguments)
    assert "remember has no effect" in first
    assert "it held order lines" in first
    assert not state.parent.exists()
    again = attempt(*arguments, "--since-last")
    assert "inputs unchanged since version" in again.stdout
    assert "--since-last is now --if-changed" in again.stderr
    assert json.loads(run(*arguments, "--if-changed", "--json"))["unchanged"]
