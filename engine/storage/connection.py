"""Connections to the two databases: how they are made, migrated, and what their failures mean."""

from __future__ import annotations

import math
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection

from mersalg.engine.errors import ConfigError, StorageExchanged, StorageMismatch, StorageUnavailable
from mersalg.engine.storage.sqlite_file import FileExchanged, SqliteFile, file_at, raise_number

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_305_101  # any number, the same in every process
_LOCK_SECONDS = 10.0
_MAX_LOCK_SECONDS = 3600
UPGRADE_PROGRAM = "it belongs to a later version of Mersalg: upgrade this program"
POSTGRES_ARGUMENTS = {
    "connect_timeout": 3,
    # A server that vanished without a word (a pulled plug, a firewall) is noticed in seconds.
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    # Bytes to which the log is cut when it begins again, once it has grown beyond.
    "PRAGMA journal_size_limit = 67108864",
)
_BULK_KIB = 256 * 1024
_STEP_SECONDS = 0.0003
_LOST = ("OperationalError", "AdminShutdown")
_BULK_PAGES = 50_000  # of 4 KiB, between two checkpoints


def parse_url(url: str) -> URL:
    """Parse `sqlite:///FILE`, `postgresql://...`, or the bare path of a SQLite file.

    Raise ConfigError where there is no such kind of database; it never repeats a password.
    """
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "the database URL cannot be read; use sqlite:///FILE or postgresql://..."
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        lock_seconds(parsed)
        return parsed.set(drivername="sqlite")
    raise ConfigError(f"databases are sqlite:///FILE or postgresql://..., not {backend}://")


def shown_url(url: URL) -> str:
    """Return a URL as messages show it: no password, neither before the host nor in the query."""
    hidden = {name: "***" if "pass" in name.lower() else url.query[name] for name in url.query}
    return url.set(query=hidden).render_as_string(hide_password=True)


def lock_seconds(url: URL) -> float:
    """Return how long a writer waits for the lock of a SQLite file, in seconds.

    As the URL says (`sqlite:///FILE?timeout=SECONDS`), else ten; raise ConfigError where what it
    says is no such number.
    """
    stated = url.query.get("timeout", str(_LOCK_SECONDS))
    try:
        seconds = float(str(stated))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MAX_LOCK_SECONDS:
        raise ConfigError(
            f"timeout={stated} of the database URL must be seconds, at most {_MAX_LOCK_SECONDS}"
        )
    return seconds


def connect(
    url: URL,
    *,
    bulk: bool = False,
    file: SqliteFile | None = None,
    watched: Watched | None = None,
) -> Engine:
    """Return an engine whose write transactions are durable when they end.

    `bulk` gives a file memory for writing much at once. `file` is compared with what connections
    opened, and `watched` notes when one is checked.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, hide_parameters=True, connect_args={"timeout": lock_seconds(url)}
        )
        event.listen(engine, "connect", partial(_prepare_sqlite, lock_seconds(url)))
        event.listen(engine, "begin", _begin_sqlite)
        if bulk:
            event.listen(engine, "connect", _make_room)
        if file is not None:
            file.watch(engine)
        return engine
    try:
        engine = create_engine(url, hide_parameters=True, connect_args=POSTGRES_ARGUMENTS)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError("PostgreSQL needs its driver: pip install 'mersalg[postgres]'") from error
    event.listen(engine, "connect", _prepare_postgres)
    event.listen(engine, "checkout", partial(_ping, engine.dialect, watched or Watched()))
    return engine


def _ping(dialect: Any, watched: Watched, connection: Any, record: object, proxy: object) -> None:
    """Find out whether a connection of the pool is still good, which may hang too."""
    del record, proxy
    try:
        with watched.running(connection):
            dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error


def _prepare_postgres(connection: Any, record: object) -> None:
    """Prepare no statements where a pooler such as pgbouncer is between.

    It may give each transaction another server, which does not know them.
    """
    del record
    (server,) = connection.execute("select pg_backend_pid()").fetchone()
    connection.rollback()
    if server != connection.info.backend_pid:
        connection.prepare_threshold = None


def _prepare_sqlite(seconds: float, connection: Any, record: object) -> None:
    del record
    assert isinstance(connection, sqlite3.Connection)
    # The driver must not open transactions by itself: `_begin_sqlite` does, and says which kind.
    connection.isolation_level = None
    for pragma in SQLITE_PRAGMAS:
        # SQLite does not wait by itself where another is writing without its log.
        execute_when_free(connection, pragma, seconds)


def _make_room(connection: Any, record: object) -> None:
    del record
    # Ids come in no order: the pages of their indexes are wanted again and again.
    for pragma in (f"cache_size = -{_BULK_KIB}", f"wal_autocheckpoint = {_BULK_PAGES}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer that began as a reader could find its snapshot stale, which no wait can mend.
    writes = connection.get_execution_options().get("mersalg_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    if writes:
        raise_number(connection.connection.driver_connection)


@contextmanager
def speaking(url: URL) -> Generator[None, None, None]:
    """Turn every failure of the database itself into StorageUnavailable."""
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        raise unavailable(url, error) from error


def unavailable(url: URL, error: Exception) -> StorageUnavailable:
    """Return the error that tells of a failure of the database, without its password."""
    original = getattr(error, "orig", None) or error
    cause = str(original).strip()
    first_line = cause.splitlines()[0] if cause else type(error).__name__
    if isinstance(original, FileExchanged):
        return StorageExchanged(f"{cause} ({shown_url(url)})", outward=cause)
    if getattr(original, "sqlite_errorname", "").startswith("SQLITE_CANTOPEN"):
        first_line += "; the file and its folder must be writable, for reports too"
    return StorageUnavailable(
        f"the database {shown_url(url)} does not answer: {first_line}",
        outward="the database does not answer",
    )


def is_connection_lost(error: Exception) -> bool:
    """Return whether a driver's error says that the connection ended, as with its server.

    A new connection may do then what this one could not.
    """
    # SQLite has no server: its errors say "database", never "connection".
    return type(error).__name__ in _LOST and "connection" in str(error)


def execute_when_free(connection: sqlite3.Connection, statement: str, seconds: float) -> None:
    """Execute a statement of SQLite, again and again while another process has the lock.

    Raise sqlite3.OperationalError where the lock is not free within so many seconds, or for another
    failure.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= until:
                raise
            time.sleep(_STEP_SECONDS)
        else:
            return


class Watched:
    """Statements that have to end soon, by their connections; safe from several threads."""

    def __init__(self) -> None:
        self._began: dict[Any, float] = {}

    @contextmanager
    def running(self, connection: Any) -> Generator[None, None, None]:
        """Watch what a connection of a driver does in the block."""
        self._began[connection] = time.monotonic()
        try:
            yield
        finally:
            self._began.pop(connection, None)

    def end_hanging(self, seconds: float) -> None:
        """Make those fail that have run for longer; the error is one of a lost connection."""
        for connection, began in list(self._began.items()):
            if time.monotonic() - began < seconds:
                continue
            self._began.pop(connection, None)
            if isinstance(connection, sqlite3.Connection):
                connection.interrupt()
                continue
            # A server that still listens frees its locks; one that does not is not waited for.
            threading.Thread(target=_cancel, args=(connection,), daemon=True).start()
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as shared:
                shared.shutdown(socket.SHUT_RDWR)


def _cancel(connection: Any) -> None:
    with suppress(sqlite3.Error, OSError):
        connection.cancel()


@contextmanager
def writing(engine: Engine) -> Generator[Connection, None, None]:
    """Open a transaction that writes; it is durable once the block is left."""
    with engine.connect() as connection:
        connection = connection.execution_options(mersalg_writes=True)
        with connection.begin():
            yield connection


class Database:
    """One database: its address, its pool of connections, and transactions on them.

    The `url` includes the password. The `engine` opens no connection before it is needed, `file` is
    that of SQLite, None where there is none, and what is `watched` is given up where it hangs.
    """

    def __init__(self, url: URL, *, bulk: bool = False) -> None:
        self.url, self.file, self.watched = url, file_at(url), Watched()
        self.engine = connect(url, bulk=bulk, file=self.file, watched=self.watched)

    def is_current(self, pooled: PoolProxiedConnection) -> bool:
        """Return whether a connection that is kept has the files open that are at the path."""
        return self.file is None or self.file.problem(pooled.info) is None

    def close(self) -> None:
        """Close the connections of the pool; a later call opens new ones."""
        self.engine.dispose()
        if self.file is not None:
            self.file.release()

    @contextmanager
    def reading(self) -> Generator[Connection, None, None]:
        """Open a connection for reading; raise StorageUnavailable where the database fails."""
        with speaking(self.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection, None, None]:
        """Open a transaction that writes; raise StorageUnavailable where the database fails."""
        with speaking(self.url), writing(self.engine) as connection:
            yield connection

    def upgrade(self) -> None:
        """Run the migrations that are missing; of several processes one does, the others wait.

        Raise StorageMismatch where a later version of this program migrated the database.
        """
        # Loaded where there is something to migrate only: a report is to start soon.
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                lock = text("select pg_advisory_xact_lock(:lock)")
                connection.execute(lock, {"lock": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                version = schema_version(connection)
                raise StorageMismatch(
                    f"the database has schema {version}, which this program does not know;"
                    f" {UPGRADE_PROGRAM}"
                ) from error


def insert_into(connection: Connection, table: Table) -> postgresql.Insert:
    """Return an insert that `on_conflict_do_nothing` and `on_conflict_do_update` may follow."""
    # Only the dialect that is used is imported, so that a report starts sooner.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return cast("postgresql.Insert", sqlite.insert(table))


def in_binary(connection: Connection) -> None:
    """Have PostgreSQL send what this connection asks for from now on as it is kept.

    As text, which is its driver's wont, each byte comes as two.
    """
    if connection.dialect.name == "postgresql":
        event.listen(connection, "before_cursor_execute", _ask_in_binary)


def _ask_in_binary(connection: object, cursor: Any, *rest: object) -> None:
    del connection, rest
    cursor.format = 1  # what the protocol calls binary


def schema_version(connection: Connection) -> str | None:
    """Return the last migration of this database, None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("select version_num from alembic_version")).first()
    return None if row is None else str(row[0])
