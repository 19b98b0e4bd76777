"""The sample shop: orders that end yesterday, and a model that sells what goes together."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.errors import ConfigError
from mersalg.training.simulation.sample_shop import sample_files, sample_names
from tests.support.commands import run

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def _orders(now: datetime) -> list[dict[str, str]]:
    return [*csv.DictReader(StringIO(sample_files("bike-shop", now)["orders.csv"].decode()))]


def test_orders_end_yesterday_in_the_time_zone_of_the_shop() -> None:
    orders = _orders(NOON)
    assert max(each["ordered_at"] for each in orders) == "2026-03-28 18:00"
    assert len({each["order_id"] for each in orders}) == 3_600
    # In Oslo it is the next day already.
    late = _orders(datetime(2026, 3, 29, 22, 30, tzinfo=UTC))
    assert max(each["ordered_at"] for each in late) == "2026-03-29 18:00"


def test_only_the_dates_differ_from_day_to_day() -> None:
    undated = [
        [{**each, "ordered_at": ""} for each in _orders(now)]
        for now in (NOON, datetime(2027, 1, 1, tzinfo=UTC))
    ]
    assert undated[0] == undated[1]


def test_an_unknown_sample_is_refused() -> None:
    assert sample_names() == ["bike-shop"]
    for name in ("boat-shop", "../training", "bike-shop/"):
        with pytest.raises(ConfigError, match=r"no such sample .*; there is bike-shop"):
            sample_files(name, NOON)


def test_the_sample_can_be_trained_and_asked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = json.loads(run("init", "--sample", "bike-shop", "--json"))
    assert written["files"] == ["carts.jsonl", "catalogue.csv", "orders.csv", "shop.toml"]
    trained: dict[str, Any] = json.loads(run("train", "--json"))
    assert trained["published"]
    assert trained["warnings"] == []
    assert trained["quality"]["orders"]["left_out"] == {}
    assert trained["quality"]["catalogue"]["notes"] == {}
    run("suggest", "--carts", "carts.jsonl", "--out", "suggestions.jsonl", "--no-holdout")
    answers = [json.loads(line) for line in Path("suggestions.jsonl").read_text().splitlines()]
    offered = [{each["item_id"]: each for each in answer["offers"]} for answer in answers]
    assert "lock-cable" in offered[0]
    assert offered[1]["helmet-plus"]["replaces"]["item_id"] == "helmet-basic"
    assert {"tube-28", "tyre-puncture"} <= offered[2].keys()


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("mine")
    shop_file = tmp_path / "shop.toml"
    with pytest.raises(ConfigError, match=r"there already: .*orders\.csv; --force"):
        run("init", "--sample", "bike-shop", "--out", shop_file)
    assert [each.name for each in tmp_path.iterdir()] == ["orders.csv"]
    assert (tmp_path / "orders.csv").read_text() == "mine"
    run("init", "--sample", "bike-shop", "--out", shop_file, "--force")
    assert (tmp_path / "orders.csv").read_text().startswith("order_id,")
