"""`mersalg events import --map`: what is guessed of a log is printed, and nothing is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mersalg.engine.errors import DataError
from mersalg.serving.cli.main import app

MAP = '[columns]\noutcome = "taken"\noffer = "what"\ncustomer = "who"\ntime = "when"\n'
LOG = "taken,what,who,when\nyes,deal,ann,2026-01-01T10:00:00Z\nNo,deal,,\nNo,deal,,\n"


def mersalg(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.output
    return result.output


def mersalg_raising(*arguments: str) -> None:
    CliRunner().invoke(app, [*arguments], catch_exceptions=False)


def test_a_log_of_outcomes_is_imported_once(tmp_path: Path) -> None:
    log, log_map, database = (str(tmp_path / name) for name in ("log.csv", "map.toml", "facts.db"))
    Path(log).write_text(LOG)
    Path(log_map).write_text(MAP)
    import_ = ("events", "import", log, "--map", log_map, "--database", database)
    printed = mersalg(*import_)
    for text in (
        "3 rows, 1 offer accepted, 2 declined; taken was read: 'No' as declined (2), 'yes' as",
        "1 row equal to another in every column",
        "2 rows without a customer",
        "2 rows without a time",
        "7 facts recorded",
    ):
        assert text in printed
    again = json.loads(mersalg(*import_, "--json"))
    assert (again["recorded"], again["duplicates"], again["rejected"]) == (0, 7, 0)
    assert {"word": "yes", "read_as": "accepted", "rows": 1} in again["log"]["words"]
    report = json.loads(mersalg("report", "--database", database, "--json"))
    checkout = report["total"]["cross_sell"]["checkout"]
    assert (checkout["numerator"], checkout["denominator"]) == (1, 3)


def test_an_unknown_word_stops_the_import(tmp_path: Path) -> None:
    log, log_map, database = (str(tmp_path / name) for name in ("log.csv", "map.toml", "facts.db"))
    Path(log).write_text(LOG + "later,deal,bob,2026-01-02T10:00:00Z\n")
    Path(log_map).write_text(MAP)
    with pytest.raises(DataError, match=r"'later' is neither .* \(row 4, column taken\)"):
        mersalg_raising("events", "import", log, "--map", log_map, "--database", database)
    report = json.loads(mersalg("report", "--database", database, "--json"))
    assert report["total"]["cross_sell"]["offer"]["status"] == "no_data"
