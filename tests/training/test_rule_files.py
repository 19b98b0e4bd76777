"""Rules as files, which people open in spreadsheets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mersalg.training.rule_files import write_rules


@pytest.mark.parametrize(
    "item_id", ["=1+1", "+47", "-1", "@SUM(A1)", " =1", "\t=1", "＝1", "ok\n=1"]
)
def test_no_rule_of_a_csv_file_is_a_formula(tmp_path: Path, item_id: str) -> None:
    rules = pa.table(
        {"antecedent": [[item_id, "bread"]], "consequent": [item_id], "lift": [1.5]},
        schema=pa.schema(
            {"antecedent": pa.list_(pa.string()), "consequent": pa.string(), "lift": pa.float64()}
        ),
    )
    with (tmp_path / "rules.csv").open("wb") as csv_file:
        write_rules(rules, csv_file, ".csv")
    with (tmp_path / "rules.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert json.loads(row["antecedent"]) == [item_id, "bread"]
    assert row["antecedent"].startswith("[")
    assert row["consequent"].replace("'", "") == item_id
    for line in row["consequent"].splitlines():
        assert line.startswith(("'", "ok"))

    with (tmp_path / "rules.parquet").open("wb") as parquet_file:
        write_rules(rules, parquet_file, ".parquet")
    assert parquet.read_table(tmp_path / "rules.parquet").equals(rules), "no spreadsheet opens it"
