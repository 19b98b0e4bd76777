"""`mersalg report` on a real database: table, JSON, CSV, page, and wrong questions."""

from __future__ import annotations

import csv
import html
import io
import json
import shutil
import unicodedata
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.live_items import Stated
from mersalg.engine.registry import Registry
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.report_csv import csv_text
from mersalg.serving.cli.report import command
from tests.engine.tracking.test_incremental import trial
from tests.support.models import TinyItem, tiny_model

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty treated checkouts, twelve with the bun; twenty held out, five with it."""
    folder = tmp_path_factory.mktemp("facts")
    store = open_store(str(folder / "facts.db"), secret=b"k" * 32)
    store.migrate()
    store.facts.append([parse_fact(fact) for visit in trial(20, 12, 20, 5) for fact in visit])
    views = [
        {"type": "view_promotion", "event_id": f"v{n}", "offer_id": f"o{n}",
         "occurred_at": "2026-01-01T10:30:00+00:00"}
        for n in range(20)
    ]  # fmt: skip
    store.facts.append([parse_fact(view) for view in views])
    store.reports.save_settings({"name": "Kafé <Sentrum> [bold]", "timezone": "Europe/Oslo"})
    store.close()
    return str(folder / "facts.db")


def application() -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


def report(*arguments: str) -> str:
    result = RUNNER.invoke(
        application(), list(arguments), catch_exceptions=False, env={"MERSALG_SECRET": "k" * 32}
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_reads_like_a_product(database: str) -> None:
    text = report("--database", database, "--by", "day")
    for part in (
        "Kafé <Sentrum> [bold]", "Cross-sell rate", "kryssalgsrate", "Upsell rate", "oppsalgsrate",
        "60.0%", "Europe/Oslo", "window 0 days", "NOK\u00a0300.00", "2026-01-01", "no data",
    ):  # fmt: skip
        assert part in text, text
    assert "60.0% converted; 25.0%" in text


def test_json_is_the_report_and_both_switches_give_it(database: str) -> None:
    made = json.loads(report("--database", database, "--json"))
    assert made == json.loads(report("--database", database, "--format", "json"))
    assert made["timezone"] == "Europe/Oslo"
    assert made["total"]["cross_sell"]["customer"]["numerator"] == 12
    assert made["total"]["cross_sell"]["customer"]["denominator"] == 20
    assert made["total"]["cross_sell"]["penetration"]["denominator"] == 40
    assert made["total"]["cross_sell"]["incremental"]["control"]["value"] == 0.25


def test_csv_has_a_row_for_each_rate_of_each_group(database: str) -> None:
    text = report("--database", database, "--by", "item", "--kind", "cross_sell", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    offers = {row["item"]: row for row in rows if row["rate"] == "offer"}
    assert set(offers) == {"", "bun"}
    assert (offers["bun"]["numerator"], offers["bun"]["denominator"]) == ("12", "20")
    assert {row["kind"] for row in rows} == {"cross_sell"}
    assert next(row for row in rows if row["rate"] == "revenue")["value"] == "300.00"


def test_a_file_is_whole_and_written_again(database: str, tmp_path: Path) -> None:
    asked = ("--database", database, "--by", "day")
    for written in ("table", "json", "csv", "html"):
        out = tmp_path / f"report.{written}"
        for _ in range(2):
            assert report(*asked, "--format", written, "--out", str(out)) == ""
            text = out.read_text()
            if written == "table":
                assert "60.0%" in text
            else:
                assert text == report(*asked, "--format", written)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"report.{written}" for written in ("csv", "html", "json", "table")
    ]
    with pytest.raises(DataError, match="cannot write: it is a folder"):
        report(*asked, "--out", str(tmp_path))


def test_items_have_their_names_beside_their_ids(database: str, tmp_path: Path) -> None:
    own = tmp_path / "facts.db"
    shutil.copy(database, own)
    models = tmp_path / "models"
    asked = ("--database", str(own), "--models", str(models), "--by", "item")
    assert "\nbun " in report(*asked)
    registry = Registry(models)
    items = [TinyItem("bun", "Bolle", "25")]
    registry.publish(registry.write(tiny_model(items=items, rules=(), repelled={}), {}))
    assert "\nBolle (bun)" in report(*asked)
    store = open_store(str(own), secret=b"k" * 32)
    store.live.take([Stated("bun", {"name": "Hveterundstykke"}, 1)])
    store.close()
    assert "\nHveterundstykke (bun)" in report(*asked)
    assert "Hveterundstykke" not in report(*asked, "--json")
    (models / "current.json").write_text("{")
    assert "\nHveterundstykke (bun)" in report(*asked)


@pytest.mark.parametrize("language", ["nb", "en"])
def test_a_week_is_summed_up_for_a_mail(database: str, language: str, tmp_path: Path) -> None:
    asked = ("--database", database, "--weekly", "--lang", language)
    for _ in range(2):
        assert report(*asked, "--out", str(tmp_path / "week")) == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["week.html", "week.txt"]
    text, page = ((tmp_path / f"week.{form}").read_text() for form in ("txt", "html"))
    assert report(*asked).split() == text.split()
    first = text.partition("\n")[0]
    assert first in html.unescape(page)
    days = "29. des. 2025 til 4. jan. 2026" if language == "nb" else "29 Dec 2025 to 4 Jan 2026"
    assert days in text.replace("\n", " ")
    own = json.loads(report(*asked, "--json"))
    week = ("--from", "2025-12-29", "--to", "2026-01-04", "--by", "day", "--compare", "previous")
    assert own == json.loads(report("--database", database, *week, "--watched", "--json"))


def test_a_week_is_over_on_the_monday_after(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The facts are of Thursday, 1 January.
    monkeypatch.setattr(clock, "now", lambda: parse_instant("2026-01-04T22:59:59+00:00"))
    with pytest.raises(DataError, match="no week that is over has facts yet"):
        report("--database", database, "--weekly")
    monkeypatch.setattr(clock, "now", lambda: parse_instant("2026-01-04T23:00:00+00:00"))
    assert "week 1, 2026" in report("--database", database, "--weekly")
    for option in (("--from", "2026-01-01"), ("--by", "item"), ("--format", "html")):
        with pytest.raises(ConfigError, match="leave out --from, --to, --by, --compare and"):
            report("--database", database, "--weekly", *option)


def test_parquet_has_the_rows_of_csv(database: str, tmp_path: Path) -> None:
    asked = ("--database", database, "--by", "day")
    out = tmp_path / "report.parquet"
    report(*asked, "--format", "parquet", "--out", str(out))
    table = pq.read_table(out)
    rows = list(csv.DictReader(io.StringIO(report(*asked, "--format", "csv"))))
    amounts = ("amount", "amount_lower", "amount_upper")
    assert table.column_names == [*rows[0], *amounts]
    assert all(pa.types.is_decimal(table.schema.field(name).type) for name in amounts)
    found = table.to_pylist()
    assert {own["value"] is None or own["amount"] is None for own in found} == {True}
    assert len(found) == len(rows)
    for own, other in zip(found, rows, strict=True):
        for name in ("day", "kind", "rate", "method", "status"):
            assert (own[name] or "") == other[name]
        for name in ("numerator", "denominator", "shrunken"):
            assert own[name] == (float(other[name]) if other[name] else None)
        for name, amount in zip(("value", "lower", "upper"), amounts, strict=True):
            is_money = "revenue" in own["rate"] or "margin" in own["rate"]
            known = own[amount] if is_money or own["rate"] == "extra_sales" else own[name]
            assert known == (type(known)(other[name]) if other[name] else None)
    assert Decimal("300.00") in [own["amount"] for own in found if own["rate"] == "revenue"]


def test_a_terminal_is_not_sent_parquet(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    with pytest.raises(ConfigError, match="name a file with --out FILE"):
        application()(["--database", database, "--format", "parquet"], standalone_mode=False)


def test_the_page_escapes_what_comes_from_outside(database: str) -> None:
    page = report("--database", database, "--by", "item", "--format", "html")
    assert "Kafé &lt;Sentrum&gt; [bold]" in page
    assert "<Sentrum>" not in page
    assert "http" not in page  # nothing is fetched
    assert "25.0% would have bought it anyway" in page


def test_the_language_is_asked_for_or_the_shops(database: str, tmp_path: Path) -> None:
    assert "Kryssalgsrate" in report("--database", database, "--lang", "nb")
    page = report("--database", database, "--lang", "nb-NO", "--format", "html")
    assert '<html lang="nb">' in page
    assert "60,0\u00a0%" in page
    assert "Hva tallene betyr" in page
    assert '<html lang="en">' in report("--database", database, "--format", "html")
    shutil.copytree(Path(database).parent, tmp_path, dirs_exist_ok=True)
    own = str(tmp_path / Path(database).name)
    store = open_store(own)
    store.reports.save_settings({"locale": "nb"})
    store.close()
    assert "Oppsalgsrate" in report("--database", own)
    assert "Upsell rate" in report("--database", own, "--lang", "en")
    with pytest.raises(ConfigError, match="lang: 'fr' is not a language of reports"):
        report("--database", own, "--lang", "fr")


def test_the_period_is_both_days_of_the_shop(database: str) -> None:
    def shown(*bounds: str) -> int:
        made = json.loads(report("--database", database, "--json", *bounds))
        return made["total"]["cross_sell"]["offer"]["denominator"]

    assert shown("--from", "2026-01-01", "--to", "2026-01-01") == 20
    assert shown("--from", "2026-01-02") == 0
    assert shown("--to", "2026-01-01T10:00:00+00:00") == 0
    assert shown("--from", "2026-01-01T10:00:00+00:00") == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "colour"), "by: 'colour' does not exist; there are day, week"),
        (("--from", "today"), "from: 'today' is neither a day"),
        (("--window", "99"), "0 to 30 days"),
    ],
)
def test_a_wrong_question_is_refused(
    database: str, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        report("--database", database, *arguments)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no database at"):
        report("--database", f"sqlite:///{tmp_path / 'nothing.db'}")
    assert list(tmp_path.iterdir()) == []


def test_another_period_stands_beside_it(database: str) -> None:
    asked = ("--database", database, "--from", "2026-01-01", "--to", "2026-01-31")
    for compare in ("previous", "2025-01-01..2025-01-31"):
        found = json.loads(report(*asked, "--compare", compare, "--json"))
        change = found["comparison"]["change"]["cross_sell"]["customer"]
        assert change["status"] == "no_data"
        assert found["comparison"]["total"]["cross_sell"]["customer"]["denominator"] == 0
    itself = report(*asked, "--compare", "2026-01-01..2026-01-31")
    assert "against 2026-01-01" in itself
    assert "not known" in itself
    page = report(*asked, "--compare", "2026-01-01..2026-01-31", "--format", "html")
    assert "against 2026-01-01 to 2026-01-31" in page
    assert "not known: the periods overlap" in page
    text = report(*asked, "--compare", "2026-01-01..2026-01-31", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    changes = [row for row in rows if row["rate"] == "change_customer"]
    assert [row["kind"] for row in changes] == ["cross_sell", "upsell"]
    assert (changes[0]["status"], changes[0]["value"]) == ("not_comparable", "")
    assert next(float(row["value"]) for row in rows if row["rate"] == "change_checkout") == 0


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u00a0=1", "\t=1", "\tx", "\r=1", "\n =1"),
        *("＝1", "＋1", "－1", "＠A1", "\ufeff=1", "\u200b=1", "\x00=1"),
        *("ok\n=1", "ok\r\n ＝1", "ok\u2028@A1"),
    ],
)
def test_no_cell_of_a_csv_file_is_a_formula(database: str, cell: str) -> None:
    """A quote stands before whatever a spreadsheet would run, in each line of a cell."""
    made = json.loads(report("--database", database, "--by", "item", "--json"))
    made["groups"][0]["key"]["item"] = cell
    rows = csv.DictReader(io.StringIO(csv_text(made), newline=""))
    [written] = {row["item"] for row in rows if row["item"]}
    assert written.replace("'", "") == cell.replace("\r\n", "\n").replace("\r", "\n")
    assert "'" in written
    for line in written.splitlines():
        shown = unicodedata.normalize("NFKC", line).strip("\ufeff\u200b\x00 \t\r\n\u00a0")
        assert not shown.startswith(("=", "+", "-", "@"))


def test_other_cells_stay_as_they_are(database: str) -> None:
    made = json.loads(report("--database", database, "--by", "item", "--json"))
    made["groups"][0]["key"]["item"] = cell = "case-1 = 2\nb + c, @home"
    rows = csv.DictReader(io.StringIO(csv_text(made), newline=""))
    assert {row["item"] for row in rows if row["item"]} == {cell}
