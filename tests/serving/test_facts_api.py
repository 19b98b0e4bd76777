"""`mersalg.rates`: the report as a data frame."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mersalg
from mersalg.engine.errors import ConfigError, DataError
from tests.support.commands import run


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facts")
    run("simulate", "--checkouts", 300, "--out", folder / "facts.jsonl")
    return folder / "facts.jsonl"


def test_rates_are_those_of_the_report(facts: Path) -> None:
    database = facts.with_name("facts.db")
    run("events", "import", facts, "--database", database)
    report = json.loads(run("report", "--database", database, "--by", "week", "--json"))
    lines = [json.loads(line) for line in facts.read_text().splitlines()]
    for given in (facts, database, f"sqlite:///{database}", lines):
        found = mersalg.rates(given, by="week")
        total = found[found["week"].isna()].set_index(["kind", "rate"])
        for kind in ("cross_sell", "upsell"):
            for rate in ("customer", "offer", "net_checkout", "incremental"):
                entry = report["total"][kind][rate]
                row = total.loc[(kind, rate)]
                assert (row["value"], row["lower"], row["status"]) == (
                    entry["value"],
                    entry["lower"],
                    entry["status"],
                )
        weeks = found["week"].dropna().unique().tolist()
        assert weeks == [group["key"]["week"] for group in report["groups"]]


def test_days_and_values_of_data_frames_are_those_of_json(facts: Path) -> None:
    lines = [json.loads(line) for line in facts.read_text().splitlines()]
    of_frames = [
        {**line, "occurred_at": pd.Timestamp(line["occurred_at"]), **of_lines(line)}
        for line in lines
    ]
    day = max(line["occurred_at"] for line in lines if line["type"] == "decision")[:10]
    expected = mersalg.rates(lines, start=day, end=day)
    assert expected["denominator"].sum() > 0
    for bound in (pd.Timestamp(day), datetime.fromisoformat(day), date.fromisoformat(day)):
        found = mersalg.rates(of_frames, start=bound, end=bound)
        pd.testing.assert_frame_equal(found, expected)


def of_lines(fact: dict[str, Any]) -> dict[str, Any]:
    """The lines of a purchase with the types that a database gives pandas."""
    items = [
        {**item, "quantity": np.int64(item["quantity"]), "price": Decimal(item["price"])}
        for item in fact.get("items", [])
    ]
    return {"items": items} if items and fact["type"] == "purchase" else {}


def test_a_setting_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="no setting 'tmezone'; there are timezone"):
        mersalg.rates([], tmezone="UTC")


def test_a_malformed_fact_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1 \(invalid\)"):
        mersalg.rates([{"type": "purchase"}])
    with pytest.raises(DataError, match="cannot read"):
        mersalg.rates(tmp_path / "nothing.jsonl")
