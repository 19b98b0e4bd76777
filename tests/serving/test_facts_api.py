"""`mersalg.rates`: the report as a data frame."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_a_setting_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="no setting 'tmezone'; there are timezone"):
        mersalg.rates([], tmezone="UTC")


def test_a_malformed_fact_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1 \(invalid\)"):
        mersalg.rates([{"type": "purchase"}])
    with pytest.raises(DataError, match="cannot read"):
        mersalg.rates(tmp_path / "nothing.jsonl")
