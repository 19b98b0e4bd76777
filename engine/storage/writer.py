"""The one path of facts into the tables: a batch in one transaction, on disk when it ends.

A service commits the calls of a moment through it, an import the lines of a file, and the spool
what it kept during an outage. `Writer.write` is where to start. The two databases differ in how
they find out which facts are new: SQLite has one writer at a time, so it is asked before anything
is inserted; PostgreSQL has several, so its `INSERT ... ON CONFLICT DO NOTHING RETURNING` decides.
"""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from sqlalchemy import Engine, Table
from sqlalchemy.engine import URL
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from engine.clock import MICROS_PER_DAY
from engine.storage import connection as database
from engine.storage.batch import OCCURRED_AT, AppendResult, Batch, Row
from engine.storage.checkpoints import LOG_PAGES, Checkpoints
from engine.storage.fact_rows import FactRow
from engine.storage.months import Months
from engine.storage.tables import decisions, facts, fresh_facts, named_offers, offers

Note = tuple[str, str]
"""Name and text of a note of this software's own."""
NoteOf = Callable[[AppendResult], Note | None]
"""Make the note that is kept in the transaction of a batch, of what became of it."""

NOTED_SINGLY = 1_000
"""Maximum number of facts that a batch marks as fresh one by one; of more it marks the days."""


def writer_for(engine: Engine, url: URL) -> Writer:
    """Return the writer for the kind of database behind `engine`."""
    kind = PostgresWriter if engine.dialect.name == "postgresql" else SqliteWriter
    return kind(engine, url)


class Writer(ABC):
    """Write batches over one kept connection; safe from several threads, which take turns."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine, self._url = engine, url
        self._driver: Any = engine.dialect.loaded_dbapi
        self._lock = threading.Lock()
        self._pooled: PoolProxiedConnection | None = None

    def write(self, batch_facts: Sequence[FactRow], note: NoteOf | None = None) -> AppendResult:
        """Record the new facts of a batch in one transaction, and tell apart the others.

        Parameters
        ----------
        batch_facts
            Facts ready to be written; one that is stored already with the same content counts as a
            duplicate, with another content it is rejected.
        note
            Called before the transaction ends; what it returns is kept in the same transaction.

        Raises
        ------
        StorageUnavailable
            The database failed; nothing of the batch was written, or all of it where the
            connection was lost in the commit. Writing it again is safe.
        """
        with self._lock:
            try:
                return self._attempt(batch_facts, note)
            except self._driver.Error as error:
                if not self._can_try_again(error):
                    raise database.unavailable(self._url, error) from error
            try:
                return self._attempt(batch_facts, note)
            except self._driver.Error as error:
                raise database.unavailable(self._url, error) from error

    def close(self) -> None:
        """Close the connection; the next batch opens another one."""
        with self._lock:
            self._disconnect()

    def serve(self) -> None:
        """Prepare for the batches of a service: connect before a caller waits for it.

        Raises
        ------
        StorageUnavailable
            The database cannot be reached.
        """
        with self._lock, database.speaking(self._url):
            self._connection()

    def _attempt(self, batch_facts: Sequence[FactRow], note: NoteOf | None) -> AppendResult:
        batch = Batch(batch_facts)
        if not batch.rows and note is None:
            return batch.result()
        with database.speaking(self._url):
            connection = self._connection()
        try:
            self._write(connection, batch, note)
        except BaseException:
            self._disconnect()
            raise
        return batch.result()

    def _connection(self) -> Any:
        if self._pooled is None:
            pooled = self._engine.raw_connection()
            try:
                self._set_up(pooled.driver_connection)
            except BaseException:
                pooled.invalidate()
                raise
            self._pooled = pooled
        return self._pooled.driver_connection

    def _disconnect(self) -> None:
        pooled, self._pooled = self._pooled, None
        if pooled is not None:
            # Closed, not returned: whatever it has begun is undone, and its settings are gone.
            pooled.invalidate()

    @abstractmethod
    def _set_up(self, connection: Any) -> None:
        """Bring a new connection into the state in which `_write` expects it."""

    @abstractmethod
    def _write(self, connection: Any, batch: Batch, note: NoteOf | None) -> None:
        """Write and commit; raises an error of the driver."""

    def _can_try_again(self, error: Exception) -> bool:
        """Return whether the same batch may succeed over a new connection."""
        del error
        return False


class SqliteWriter(Writer):
    """Write to SQLite, where only one connection holds the write lock at a time."""

    def __init__(self, engine: Engine, url: URL) -> None:
        super().__init__(engine, url)
        self._checkpoints: Checkpoints | None = None
        self._lock_seconds = database.lock_seconds(url)

    def serve(self) -> None:
        super().serve()
        # A database in memory has no log, and no other connection reaches it.
        if self._checkpoints is None and isinstance(self._engine.pool, QueuePool):
            self._checkpoints = Checkpoints(self._driver, self._other_connection)
            self._set_log_pages(self._connection())

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
        super().close()

    def _other_connection(self) -> Any:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        return connection

    def _set_up(self, connection: Any) -> None:
        # `execute_when_free` waits in steps as short as a transaction; SQLite's own wait grows to
        # a tenth of a second, in which nobody writes.
        connection.execute("PRAGMA busy_timeout = 0")
        if self._checkpoints is not None:
            self._set_log_pages(connection)

    @staticmethod
    def _set_log_pages(connection: Any) -> None:
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")

    def _write(self, connection: Any, batch: Batch, note: NoteOf | None) -> None:
        database.execute_when_free(connection, "BEGIN IMMEDIATE", self._lock_seconds)
        batch.leave_out_known(
            dict(_select(connection, "event_id, digest", facts, [row[0] for row in batch.rows]))
        )
        keys = [key for key, _ in batch.decision_rows]
        batch.reject_decisions({row[0] for row in _select(connection, "*", decisions, keys)})
        keys = [key for key, _ in batch.offer_rows]
        batch.reject_offers({row[0] for row in _select(connection, "*", offers, keys)})
        _insert(connection, facts, batch.rows)
        _insert(connection, decisions, batch.decision_rows)
        _insert(connection, offers, batch.offer_rows)
        _insert(connection, named_offers, batch.named_rows)
        if len(batch.rows) <= NOTED_SINGLY:
            _insert(connection, fresh_facts, [(row[0],) for row in batch.rows])
        else:
            connection.executemany(_FRESH_DAY.format("?"), _fresh_days(batch))
        kept = None if note is None else note(batch.result())
        if kept is not None:
            connection.execute(_NOTE.format("?"), kept)
        connection.execute("COMMIT")
        if self._checkpoints is not None:
            self._checkpoints.note_commit()


def _select(connection: Any, columns: str, table: Table, keys: Sequence[str]) -> list[Row]:
    """Return rows of a table by its first column."""
    if not keys:
        return []
    chosen = f"{table.columns[0].name} in (select value from json_each(?))"  # noqa: S608
    statement = f"select {columns} from {table.name} where {chosen}"  # noqa: S608
    return connection.execute(statement, (orjson.dumps(keys).decode(),)).fetchall()


def _insert(connection: Any, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows of new facts."""
    if rows:
        places = ", ".join("?" * len(table.columns))
        connection.executemany(f"insert into {table.name} values ({places})", rows)  # noqa: S608


class PostgresWriter(Writer):
    """Write to PostgreSQL, where others write meanwhile and facts are kept by the month."""

    def __init__(self, engine: Engine, url: URL) -> None:
        super().__init__(engine, url)
        self._months = Months(engine)

    def _set_up(self, connection: Any) -> None:
        """Leave the connection as it is made."""

    def _can_try_again(self, error: Exception) -> bool:
        if "no partition" in str(error):
            # Another process dropped an old month since this one looked.
            self._months.forget()
            return True
        # A connection kept from before may have ended with its server, which may be back.
        return database.is_connection_lost(error)

    def _write(self, connection: Any, batch: Batch, note: NoteOf | None) -> None:
        with database.speaking(self._url):
            # In a transaction of its own: readers and writers do not wait for a new month.
            self._months.ensure(row[OCCURRED_AT] for row in batch.rows)
        with connection.cursor() as cursor:
            if batch.rows:
                self._write_rows(cursor, batch)
            kept = None if note is None else note(batch.result())
            if kept is not None:
                cursor.execute(_NOTE.format("%s"), kept)
        connection.commit()

    def _write_rows(self, cursor: Any, batch: Batch) -> None:
        cursor.execute(_FACTS, _columns(batch.rows))
        new = {row[0] for row in cursor.fetchall()}
        if len(new) < len(batch.rows):
            known = [row[0] for row in batch.rows if row[0] not in new]
            cursor.execute("select event_id, digest from facts where event_id = any(%b)", (known,))
            batch.leave_out_known({row[0]: bytes(row[1]) for row in cursor.fetchall()})
        clashing = batch.reject_decisions(
            _known_of(cursor, _IDS.format("decisions", "decision_id"), batch.decision_rows)
        )
        clashing |= batch.reject_offers(
            _known_of(cursor, _IDS.format("offers", "offer_id"), batch.offer_rows)
        )
        if clashing:
            for table in ("offers", "decisions", "facts", "fact_ids"):
                statement = f"delete from {table} where event_id = any(%b)"  # noqa: S608
                cursor.execute(statement, (sorted(clashing),))
        if batch.named_rows:
            cursor.execute(_NAMED, _columns(batch.named_rows))
        if len(batch.rows) <= NOTED_SINGLY:
            cursor.execute(_FRESH, ([row[0] for row in batch.rows],))
        else:
            cursor.executemany(_FRESH_DAY.format("%s"), _fresh_days(batch))


def _known_of(cursor: Any, statement: str, rows: Sequence[Row]) -> set[str]:
    """Insert rows of (key, event_id) where the key is new; return the keys that were not."""
    if not rows:
        return set()
    first: dict[str, str] = {}
    for key, event_id in rows:
        first.setdefault(key, event_id)
    cursor.execute(statement, _columns(list(first.items())))
    return first.keys() - {row[0] for row in cursor.fetchall()}


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _fresh_days(batch: Batch) -> list[tuple[int, str]]:
    """Return (day of UTC since 1970, a new token) of the facts of a large batch."""
    days = sorted({row[OCCURRED_AT] // MICROS_PER_DAY for row in batch.rows})
    return [(day, secrets.token_hex(8)) for day in days]


_NOTE = (
    "insert into settings (name, value) values ({0}, {0})"
    " on conflict (name) do update set value = excluded.value"
)
_FRESH_DAY = (
    "insert into fresh_days (day, token) values ({0}, {0})"
    " on conflict (day) do update set token = excluded.token"
)
_FRESH = "insert into fresh_facts select unnest(%b::text[]) on conflict do nothing"
_NAMED = "insert into named_offers select * from unnest(%b::text[], %b::text[])"
_IDS = (
    "insert into {0} select * from unnest(%b::text[], %b::text[])"
    " on conflict ({1}) do nothing returning {1}"
)
_PLACES = ", ".join(
    {"BIGINT": "%b::bigint[]", "BLOB": "%b::bytea[]"}.get(str(column.type), "%b::text[]")
    for column in facts.columns
)
_FACTS = f"""
with incoming as (
    select * from unnest({_PLACES}) as incoming ({", ".join(facts.columns.keys())})
), new as (
    insert into fact_ids select event_id, occurred_at from incoming
    on conflict (event_id) do nothing returning event_id
), recorded as (
    insert into facts select incoming.* from incoming join new using (event_id)
)
select event_id from new
"""  # noqa: S608 - names of our own tables
