"""Backups of a SQLite database: one file, made while it is used, put back while it is not."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from mersalg.engine.durable import sync_file, sync_folder
from mersalg.engine.errors import ConfigError, DataError, StorageMismatch, StorageUnavailable
from mersalg.engine.storage.connection import UPGRADE_PROGRAM, Database, parse_url


def back_up(url: str, target: Path) -> int:
    """Write all that a database holds now into one file, and return its size in bytes.

    A service may write meanwhile. The file takes the place of an older one when it is whole and on
    disk; it is its owner's alone.

    Raises
    ------
    ConfigError
        The database is not SQLite, does not exist, or is the target itself.
    StorageUnavailable
        It does not answer.
    """
    path = _path_of(url)
    if not path.is_file():
        raise ConfigError(f"there is no database at {path}")
    if target.exists() and target.samefile(path):
        raise ConfigError(f"{target} is the database itself; name another file")
    database = Database(parse_url(url))
    try:
        with _temporary_file(target) as made:
            with database.reading() as reading, closing(sqlite3.connect(made)) as copy:
                source = reading.connection.driver_connection
                assert isinstance(source, sqlite3.Connection)
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            _check(made, target)
    finally:
        database.close()
    return target.stat().st_size


def restore(url: str, backup: Path, newest_schema: str) -> Path | None:
    """Put a backup in the place of a database, and return where the one before is kept.

    Raises
    ------
    ConfigError
        The database is not SQLite.
    DataError, StorageMismatch
        The backup is damaged, no backup, or belongs to a later version of this program.
    StorageUnavailable
        Somebody uses the database, such as a service.
    """
    path = _path_of(url)
    schema = _check(backup, backup)
    if schema > newest_schema:
        raise StorageMismatch(f"{backup} has schema {schema}; {UPGRADE_PROGRAM}")
    with _temporary_file(path) as made:
        shutil.copyfile(backup, made)
        is_there = path.exists()
        former = f"{path}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        with _unused(path) if is_there else nullcontext():
            # A log that is left beside the backup would be taken for its own.
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{path}{suffix}").rename(f"{former}{suffix}")
            sync_file(made)
            made.rename(path)
    return Path(former) if is_there else None


def _path_of(url: str) -> Path:
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise ConfigError("only SQLite is backed up here; for PostgreSQL use pg_dump")
    return Path(parsed.database).resolve()


@contextmanager
def _temporary_file(target: Path) -> Generator[Path, None, None]:
    """Yield a new file, which takes the name of the target after the block unless it has it."""
    made = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    os.close(os.open(made, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield made
        if made.exists():
            sync_file(made)
            made.replace(target)
        sync_folder(target.parent)
    finally:
        made.unlink(missing_ok=True)


def _check(path: Path, named: Path) -> str:
    """Return the schema of a whole database in one file; raise DataError of any other file."""
    try:
        if not path.is_file():
            raise DataError("there is no such file", file=str(named))
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as backup:
            damages = backup.execute("PRAGMA quick_check").fetchall()
            (schema,) = backup.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise DataError(f"it is no backup of Mersalg: {error}", file=str(named)) from error
    if damages != [("ok",)]:
        raise DataError(f"it is damaged: {damages[0][0]}", file=str(named))
    return str(schema)


@contextmanager
def _unused(path: Path) -> Generator[None, None, None]:
    """Hold a database that nobody else has open; its log is in the file then."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            # Only the last connection may change it.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StorageUnavailable(
                f"{path} is in use: stop the service, and what else uses it, then restore"
            ) from error
        except sqlite3.DatabaseError:
            pass  # It is damaged, which is why it is replaced.
        yield
