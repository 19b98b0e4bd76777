"""`mersalg backup` under a service that takes facts, and `mersalg restore` under none."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mersalg.engine.errors import ConfigError, DataError, StorageMismatch, StorageUnavailable
from tests.serving.test_exchanged_files import SECRET, loaded
from tests.support.commands import run
from tests.support.kept_facts import kept_facts


def test_a_backup_of_a_running_service_is_whole_and_restored_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERSALG_SECRET", SECRET)
    backup = tmp_path / "backups" / "today.db"
    backup.parent.mkdir()
    with loaded(tmp_path) as (_, load, database):
        before = set(load.recorded)
        for _ in range(3):  # the last takes the place of the others
            run("backup", backup, "--database", database)
        with pytest.raises(StorageUnavailable, match="in use"):
            run("restore", backup, "--database", database)
        load.goes_on(50)
    assert [path.name for path in backup.parent.iterdir()] == ["today.db"]
    assert backup.stat().st_mode & 0o777 == 0o600
    in_backup = kept_facts(f"sqlite:///{backup}", SECRET.encode())
    assert before <= set(in_backup)
    at_the_end = kept_facts(f"sqlite:///{database}", SECRET.encode())
    assert set(load.recorded) <= set(at_the_end)
    done = json.loads(run("restore", backup, "--database", database, "--json"))
    assert kept_facts(f"sqlite:///{database}", SECRET.encode()) == in_backup
    assert kept_facts(f"sqlite:///{done['kept']}", SECRET.encode()) == at_the_end
    assert database.stat().st_mode & 0o777 == 0o600
    assert "restore database" in run("audit", "--database", database)


def test_a_database_that_is_lost_is_restored(tmp_path: Path) -> None:
    database, backup = tmp_path / "facts.db", tmp_path / "backup.db"
    run("migrate", "--database", database)
    run("backup", backup, "--database", database)
    database.rename(tmp_path / "lost.db")
    (tmp_path / "facts.db-wal").write_bytes(b"of another database" * 500)
    assert json.loads(run("restore", backup, "--database", database, "--json"))["kept"] is None
    run("migrate", "--database", database)
    database.write_bytes(b"damaged" * 1000)
    run("restore", backup, "--database", database)
    run("migrate", "--database", database)


def test_what_is_no_backup_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    database, backup = tmp_path / "facts.db", tmp_path / "backup.db"
    run("migrate", "--database", database)
    run("backup", backup, "--database", database)
    whole, found = backup.read_bytes(), database.read_bytes()
    (tmp_path / "text").write_text("no database")
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("create table unrelated (a)")
    for name in ("text", "half", "other", "missing"):
        with pytest.raises(DataError):
            run("restore", tmp_path / name, "--database", database)
    with closing(sqlite3.connect(backup)) as later:
        later.execute("update alembic_version set version_num = '9999'")
        later.commit()
    with pytest.raises(StorageMismatch):
        run("restore", backup, "--database", database)
    with pytest.raises(ConfigError, match="pg_dump"):
        run("backup", backup, "--database", "postgresql://localhost/shop")
    with pytest.raises(ConfigError, match="itself"):
        run("backup", database, "--database", database)
    with pytest.raises(ConfigError, match="no database"):
        run("backup", backup, "--database", tmp_path / "missing.db")
    assert database.read_bytes() == found
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("facts.db.")} <= {
        "facts.db.key"
    }
