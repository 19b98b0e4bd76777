"""`mersalg events`, `migrate` and `report` as a shop runs them, on both databases."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from mersalg.engine.errors import ConfigError, DataError, StorageUnavailable
from mersalg.engine.storage.store import SCHEMA_VERSION
from mersalg.serving.cli.main import app, run
from tests.engine.tracking.test_attribution import bought, decided, item, seen

FACTS = [
    decided(),
    seen("d-bun"),
    seen("d-large"),
    bought(item("small"), item("bun"), item("large")),
    {"type": "refund", "event_id": "r", "occurred_at": "2026-01-03T00:00:00Z",
     "transaction_id": "t-2", "items": [{"item_id": "bun", "quantity": 1}]},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERSALG_SECRET", "a secret of the tests, long enough")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.db'}"
    return cast(str, request.getfixturevalue("fresh_postgres_url"))


def write(path: Path, *lines: Any) -> Path:
    texts = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    return path


def mersalg(*arguments: object, code: int = 0, stdin: bytes | None = None) -> str:
    """Standard output of a command; errors of the tree come through as they are."""
    result = CliRunner().invoke(
        app, [str(part) for part in arguments], catch_exceptions=False, input=stdin
    )
    assert result.exit_code == code, result.output
    return result.stdout


def report(url: str, *arguments: str) -> Any:
    return json.loads(mersalg("report", "--database", url, "--json", *arguments))


def test_import_report_export_import_report(url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "facts.jsonl", *FACTS)
    reported = json.loads(mersalg("events", "import", file, "--database", url, "--json"))
    assert reported == {"recorded": 5, "duplicates": 0, "rejected": 0, "rejected_file": None}
    reported = json.loads(mersalg("events", "import", file, "--database", url, "--json"))
    assert reported == {"recorded": 0, "duplicates": 5, "rejected": 0, "rejected_file": None}
    made = report(url, "--by", "day,rule")
    cross_sell, upsell = made["total"]["cross_sell"], made["total"]["upsell"]
    assert (cross_sell["offer"]["numerator"], cross_sell["net_offer"]["numerator"]) == (1, 0)
    assert (cross_sell["revenue"], cross_sell["net_revenue"]) == ("25.00", "0.00")
    assert (upsell["revenue"], upsell["net_revenue"]) == ("12.00", "12.00")
    exported = tmp_path / "export.jsonl"
    mersalg("events", "export", "--database", url, "--out", exported)
    assert mersalg("events", "export", "--database", url) == exported.read_text()
    lines = [json.loads(line) for line in exported.read_bytes().splitlines()]
    assert [line["event_id"] for line in lines] == [
        "e-d", "view_promotion-d-bun-1", "view_promotion-d-large-1", "p-2", "r",
    ]  # fmt: skip
    assert "ann" not in {line.get("customer_id") for line in lines}
    # The pseudonyms of the file stay what they are elsewhere, and so does the report.
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    mersalg("events", "import", exported, "--database", elsewhere)
    assert report(elsewhere, "--by", "day,rule") == made
    assert mersalg("events", "export", "--database", elsewhere) == exported.read_text()


def test_rejected_lines_are_kept_aside_and_the_rest_recorded(tmp_path: Path) -> None:
    url = str(tmp_path / "facts.db")
    file = write(
        tmp_path / "facts.jsonl",
        FACTS[0],
        b'{"type": "purchase", ',
        {**FACTS[1], "occurred_at": "yesterday"},
        b"",
        {**FACTS[0], "arm": "control"},
        b"\xff\xfe",
        b'{"type": "refund", "event_id": "n", "price": NaN}',
        FACTS[2],
    )
    reported = json.loads(mersalg("events", "import", file, "--database", url, "--json", code=2))
    rejected = Path(reported.pop("rejected_file"))
    assert reported == {"recorded": 2, "duplicates": 0, "rejected": 5}
    assert rejected == tmp_path / "facts.jsonl.rejected.jsonl"
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    by_line = {line["line"]: (line["code"], line["message"]) for line in lines}
    assert {number: code for number, (code, _) in by_line.items()} == {
        2: "invalid", 3: "invalid", 5: "conflict", 6: "invalid", 7: "invalid",
    }  # fmt: skip
    assert "not JSON" in by_line[2][1]
    assert "occurred_at" in by_line[3][1]
    assert "another content" in by_line[5][1]
    assert "not UTF-8" in by_line[6][1]
    # Mended and sent again: the old accusations are gone.
    write(file, FACTS[0], FACTS[1])
    reported = json.loads(mersalg("events", "import", file, "--database", url, "--json"))
    assert (reported["recorded"], reported["duplicates"]) == (1, 1)
    assert not rejected.exists()


def test_money_means_its_digits(tmp_path: Path) -> None:
    long = b'{"item_id": "x", "price": 47109165369293.776, "quantity": 1}'
    short = b'{"item_id": "x", "price": 1.005, "quantity": 0.1}'
    lines = [
        b'{"type": "purchase", "event_id": "%d", "occurred_at": "2026-01-01T00:00:00Z",'
        b' "transaction_id": "%d", "currency": "NOK", "items": [%b]}' % (place, place, line)
        for place, line in enumerate((long, short))
    ]
    file, url = write(tmp_path / "f.jsonl", *lines), str(tmp_path / "facts.db")
    mersalg("events", "import", file, "--database", url)
    back = [
        json.loads(line) for line in mersalg("events", "export", "--database", url).splitlines()
    ]
    # What was written: the float nearest to the first ends in .96.
    assert [fact["items"][0]["price"] for fact in back] == ["47109165369293.776", "1.005"]
    assert back[1]["items"][0]["quantity"] == "0.1"


def test_facts_come_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(fact).encode() for fact in FACTS)
    reported = mersalg("events", "import", "-", "--database", "facts.db", stdin=lines)
    assert "5 recorded, 0 duplicates, 0 rejected" in reported
    assert not (tmp_path / "stdin.rejected.jsonl").exists()


def test_a_batch_boundary_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mersalg.engine.storage.fact_lines._PIECE", 3)
    views = [seen("d-bun", hour) for hour in range(10)]
    broken = [b"{", *views[:4], b"[]", *views[4:], views[0]]
    file, url = write(tmp_path / "f.jsonl", *broken), str(tmp_path / "facts.db")
    reported = json.loads(mersalg("events", "import", file, "--database", url, "--json", code=2))
    assert (reported["recorded"], reported["duplicates"], reported["rejected"]) == (10, 1, 2)
    lines = (tmp_path / "f.jsonl.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [1, 6]


def test_a_new_database_is_migrated_and_reports_no_data(url: str) -> None:
    for _ in range(2):
        assert json.loads(mersalg("migrate", "--database", url, "--json")) == {
            "schema": SCHEMA_VERSION
        }
    assert report(url)["total"]["upsell"]["customer"]["status"] == "no_data"


@pytest.mark.postgres
def test_an_empty_server_is_migrated_by_its_own_command(fresh_postgres_url: str) -> None:
    with pytest.raises(StorageUnavailable, match=r"schema none.*run `mersalg migrate`"):
        report(fresh_postgres_url)
    mersalg("migrate", "--database", fresh_postgres_url)
    assert report(fresh_postgres_url)["total"]["cross_sell"]["offer"]["denominator"] == 0


def test_wrong_files_and_databases_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        mersalg("events", "import", tmp_path / "nothing.jsonl", "--database", tmp_path / "f.db")
    file = write(tmp_path / "facts.jsonl", *FACTS)
    with pytest.raises((ConfigError, StorageUnavailable), match="nowhere"):
        mersalg("events", "import", file, "--database", tmp_path / "nowhere" / "f.db")
    with pytest.raises(ConfigError, match="there is no database"):
        mersalg("events", "export", "--database", tmp_path / "nothing.db")
    mersalg("events", "import", file, "--database", tmp_path / "facts.db")
    with pytest.raises(DataError, match="cannot write"):
        mersalg(
            "events", "export", "--database", tmp_path / "facts.db", "--out", tmp_path / "no" / "f"
        )


def test_the_command_ends_with_two_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mersalg", "report", "--database", str(tmp_path / "no.db")])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "there is no database at" in printed.err
    assert "Traceback" not in printed.err


def test_rejects_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    file = write(tmp_path / "facts.jsonl", b"{")
    (tmp_path / "facts.jsonl.rejected.jsonl").mkdir()
    with pytest.raises(DataError, match="cannot write the rejected lines"):
        mersalg("events", "import", file, "--database", tmp_path / "facts.db")
