"""Loads that others look at meanwhile, or that are killed outright."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from mersalg.engine.storage import fact_import, fact_lines
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from tests.support.fact_files import SECRET, before_the_third_write, run
from tests.support.postgres import PostgresServer
from tests.support.repetitions import repetitions

KILLS = repetitions(2, 6)

LOADS = f"""
import sys
from pathlib import Path
from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage import fact_import, fact_lines
from mersalg.engine.storage.store import open_store

fact_import._LARGE = 0
fact_lines._PIECE = fact_import._TOGETHER = 500
if __name__ == "__main__":
    path = Path(sys.argv[1])
    store = open_store(sys.argv[2], secret={SECRET!r}, bulk=True)
    store.migrate()
    print("starts", flush=True)
    with path.open("rb") as file:
        source = fact_import.Source.of(file, path)
        fact_import.import_facts(store, source, path.with_suffix(".bad"), SilentProgress())
    store.close()
"""


def a_file(folder: Path, n_facts: int) -> Path:
    path = folder / "facts.jsonl"
    with path.open("wb") as file:
        for number in range(n_facts):
            view = {
                "type": "view_promotion",
                "event_id": f"v{number}",
                "occurred_at": f"2026-01-{number % 28 + 1:02d}T10:00:00+00:00",
                "offer_id": f"o{number % 997}",
                "checkout_id": f"k{number % 5003}",
            }
            file.write(orjson.dumps(view) + b"\n")
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "facts.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    opened = open_store(str(database), secret=SECRET, bulk=True)
    opened.migrate()
    yield opened
    opened.close()


def journal_of(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.fixture
def pieces_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_import, "_LARGE", 0)
    monkeypatch.setattr(fact_lines, "_PIECE", 20)
    monkeypatch.setattr(fact_import, "_TOGETHER", 20)


@pytest.mark.usefixtures("pieces_of_twenty")
def test_who_is_connected_already_goes_on_reading(
    store: Store, database: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(database)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (0,)
        assert run(store, a_file(tmp_path, 100)).recorded == 100
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (0,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM facts").fetchone() == (100,)


@pytest.mark.usefixtures("pieces_of_twenty")
def test_who_comes_in_the_middle_may_read_and_write(
    store: Store, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = list[int]()

    def visit() -> None:
        visitor = open_store(str(database), secret=SECRET)
        counted.append(sum(1 for _ in visitor.facts.read(FactScope())))
        visitor.reports.save_settings({"currency": "NOK"})
        visitor.close()

    before_the_third_write(monkeypatch, visit)
    assert run(store, a_file(tmp_path, 100)).recorded == 100
    assert counted == [40]
    assert store.reports.settings()["currency"] == "NOK"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def two_databases(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Both empty."""
    if request.param == "sqlite":
        return str(tmp_path / "first.db"), str(tmp_path / "second.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database(), server.new_database()


@pytest.mark.thorough
def test_no_kill_loses_a_fact_or_keeps_one_twice(
    tmp_path: Path, two_databases: tuple[str, str]
) -> None:
    """Wherever it falls: in a transaction or between two."""
    n_facts = 8_000
    path = a_file(tmp_path, n_facts)
    script = tmp_path / "loads.py"
    script.write_text(LOADS)
    undisturbed, url = two_databases
    at, whole = random.Random(7), 0.0
    for kill in range(KILLS + 1):
        # A first run tells how long it takes, so that kills fall all over it.
        command = [sys.executable, str(script), str(path), url if kill else undisturbed]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
            assert load.stdout is not None
            assert load.stdout.readline() == b"starts\n"
            started = time.monotonic()
            if kill == 0:
                assert load.wait() == 0
                whole = time.monotonic() - started
                continue
            time.sleep(at.uniform(0, whole / 2))
            load.send_signal(signal.SIGKILL)
            # What its helpers print to as well: the end of it is the end of them all.
            assert load.stdout.read() == b""
    command = [sys.executable, str(script), str(path), url]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=True).returncode == 0
    if "://" not in url:
        assert journal_of(Path(url)) == "wal"
        with closing(sqlite3.connect(url)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = open_store(url, secret=SECRET)
    recorded = [fact.event_id for fact in store.facts.read(FactScope())]
    assert (len(recorded), len(set(recorded))) == (n_facts, n_facts)
    store.close()
