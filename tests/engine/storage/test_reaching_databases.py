"""Databases that are away, locked, none at all or without their secret: a clear word on each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mersalg.engine.errors import ConfigError, StorageUnavailable
from mersalg.engine.storage.connection import parse_url, shown_url
from mersalg.engine.storage.store import open_existing_store, open_store
from tests.engine.storage.test_store_conformance import SECRET, purchase
from tests.support.postgres import PostgresServer


@pytest.mark.postgres
def test_a_server_that_is_away_is_unavailable_and_comes_back(
    own_postgres_server: PostgresServer,
) -> None:
    opened = open_store(own_postgres_server.new_database(), secret=SECRET)
    opened.migrate()
    own_postgres_server.stop()
    for call in (opened.ping, opened.reports.settings, lambda: opened.facts.append([purchase(1)])):
        with pytest.raises(StorageUnavailable):
            call()
    own_postgres_server.start()
    assert opened.facts.append([purchase(1)]).recorded == 1
    opened.close()


def test_a_locked_sqlite_file_is_unavailable(tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{tmp_path / 'facts.db'}?timeout=0.1", secret=SECRET)
    opened.migrate()
    holder = sqlite3.connect(tmp_path / "facts.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageUnavailable, match="locked"):
        opened.facts.append([purchase(1)])
    holder.execute("ROLLBACK")
    holder.close()
    assert opened.facts.append([purchase(1)]).recorded == 1
    opened.close()


@pytest.mark.parametrize("seconds", ["soon", "-1", "inf", "nan"])
def test_a_wait_for_the_lock_that_is_none_is_refused(seconds: str) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        parse_url(f"sqlite:///facts.db?timeout={seconds}")


@pytest.mark.postgres
def test_a_server_that_only_reads_answers_and_takes_nothing(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.new_database()
    opened = open_store(url, secret=SECRET)
    opened.migrate()
    name = parse_url(url).database
    postgres_server.execute(f"alter database {name} set default_transaction_read_only = on")
    opened.close()
    opened = open_store(url, secret=SECRET)
    opened.ping()
    with pytest.raises(StorageUnavailable, match="read-only"):
        opened.try_writing()
    opened.close()


def test_trying_to_write_leaves_nothing(tmp_path: Path) -> None:
    opened = open_store(str(tmp_path / "facts.db"), secret=SECRET)
    opened.migrate()
    with sqlite3.connect(tmp_path / "facts.db") as other:
        before = other.execute("select * from settings order by name").fetchall()
        opened.try_writing()
        assert other.execute("select * from settings order by name").fetchall() == before
    other.close()
    opened.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "facts.db").write_bytes(b"this is no database" * 100)
    opened = open_store(str(tmp_path / "facts.db"), secret=SECRET)
    with pytest.raises(StorageUnavailable, match="not a database"):
        opened.migrate()
    opened.close()


def test_a_file_that_sqlite_cannot_open_says_what_it_needs(tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=SECRET)
    (tmp_path / "facts.db").mkdir()
    with pytest.raises(StorageUnavailable, match="its folder must be writable, for reports too"):
        opened.ping()
    opened.close()


def test_unknown_databases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mysql"):
        open_store("mysql://root:hunter2@db/shop")
    with pytest.raises(ConfigError, match="no database at"):
        open_existing_store(f"sqlite:///{tmp_path / 'nothing.db'}")
    assert not (tmp_path / "nothing.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:hunter2@db/facts",
        "postgresql://db/facts?user=shop&password=hunter2",
        "postgresql://db/facts?sslmode=disable&sslpassword=hunter2",
        "postgresql://shop:hunter2@db/facts?password=hunter2&password=hunter2",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    shown = shown_url(parse_url(url))
    assert "hunter2" not in shown
    assert "db/facts" in shown
    away = url.replace("db/", "127.0.0.1:1/").partition("&sslpassword")[0]
    store = open_store(away, secret=SECRET)
    try:
        with pytest.raises(StorageUnavailable) as refused:
            store.migrate()
    finally:
        store.close()
    assert "hunter2" not in refused.value.message


def test_the_secret_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = str(tmp_path / "facts.db")
    stores = [open_store(path) for _ in range(2)]
    for opened in stores:
        opened.migrate()
        opened.close()
    key = tmp_path / "facts.db.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "facts.db")
    monkeypatch.setenv("MERSALG_SECRET", "short")
    with pytest.raises(ConfigError, match="shorter"):
        open_store(path)
    monkeypatch.delenv("MERSALG_SECRET")
    monkeypatch.setenv("MERSALG_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="there is no file"):
        open_store(path)
    (tmp_path / "none").write_text("a secret that is long enough\n")
    opened = open_store(path)
    opened.migrate()
    opened.close()
    monkeypatch.delenv("MERSALG_SECRET_FILE")
    monkeypatch.setenv("MERSALG_SECRET", "a secret that is long enough")
    same = open_store(path)
    same.migrate()
    same.close()
    assert not (tmp_path / "facts.db.key").exists()
