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
from contextlib import suppress
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import Table
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.storage.checkpoints import Checkpoints
from mersalg.engine.storage.connection import (
    Database,
    execute_when_free,
    is_connection_lost,
    lock_seconds,
    speaking,
    unavailable,
)
from mersalg.engine.storage.fact_rows import OCCURRED_AT, AppendResult, Batch, FactRow, Row
from mersalg.engine.storage.months import Months
from mersalg.engine.storage.sqlite_file import FileExchanged, raise_number
from mersalg.engine.storage.tables import decisions, fact_ids, facts, named_offers, offers

Note = tuple[str, str]
"""Name and text of a note of this software's own."""
NoteOf = Callable[[AppendResult], Note | None]
"""Make the note that is kept in the transaction of a batch, of what became of it."""

_SERVING_PRAGMAS = (
    # Pages in SQLite's log from which it moves them within a commit after all.
    "PRAGMA wal_autocheckpoint = 8000",
    # KiB: a batch writes to more pages than SQLite holds by default, and would read some of them
    # twice.
    "PRAGMA cache_size = -8192",
)

_CLOSE_SECONDS = 5.0
_ROWS_AT_ONCE = (64, 16)
"""Of a statement, and of those for the rows that are left: so few that all stay prepared."""
NOTED_SINGLY = 1_000
"""Maximum number of facts that a batch marks as fresh one by one; of more it marks the days."""


def writers_for(database: Database) -> Sequence[Writer]:
    """Return as many writers as `database` has a use for at the same time."""
    if database.engine.dialect.name == "postgresql":
        # While one waits for its commit to be on disk, the other inserts.
        return PostgresWriter(database), PostgresWriter(database)
    return (SqliteWriter(database),)


class Writer(ABC):
    """Write batches over one kept connection; safe from several threads, which take turns."""

    _ids: Table  # in which each event_id is once
    _placeholder: str  # of a value in a statement
    _values: str  # selects those of a JSON array

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver: Any = database.engine.dialect.loaded_dbapi
        self._lock = threading.Lock()
        self._pooled: PoolProxiedConnection | None = None

    def write(self, batch_facts: Sequence[FactRow], note: NoteOf | None = None) -> AppendResult:
        """Record the new facts of a batch in one transaction, and tell apart the others.

        A fact that is stored already with the same content counts as a duplicate, with another
        content it is rejected. What `note` returns, called before the transaction ends, is kept in
        it. Raise StorageUnavailable where the database failed: nothing of the batch was written, or
        all of it where the connection was lost in the commit. Writing it again is safe.
        """
        with self._lock:
            try:
                return self._attempt(batch_facts, note)
            except self._driver.Error as error:
                # A connection kept from before may have ended with its server, which may be back.
                if not is_connection_lost(error):
                    raise unavailable(self._database.url, error) from error
            try:
                return self._attempt(batch_facts, note)
            except self._driver.Error as error:
                raise unavailable(self._database.url, error) from error

    @property
    def is_busy(self) -> bool:
        """Whether a batch that came now would wait for another one."""
        return self._lock.locked()

    def close(self) -> None:
        """Close the connection; the next batch opens another one."""
        # A batch that hangs is not waited for: its connection ends with the process.
        if self._lock.acquire(timeout=_CLOSE_SECONDS):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def serve(self) -> None:
        """Prepare for the batches of a service: connect before a caller waits for it.

        Raise StorageUnavailable where the database cannot be reached.
        """
        with self._lock, speaking(self._database.url):
            self._connection()

    def check_files(self) -> None:
        """Raise StorageUnavailable where the files of SQLite were exchanged since it connected."""
        pooled, file = self._pooled, self._database.file
        problem = None if pooled is None or file is None else file.problem(pooled.info)
        if problem is not None:
            raise unavailable(self._database.url, FileExchanged(problem))

    def _attempt(self, batch_facts: Sequence[FactRow], note: NoteOf | None) -> AppendResult:
        batch = Batch(batch_facts)
        if not batch.rows and note is None:
            return batch.result()
        with speaking(self._database.url):
            connection = self._connection()
        try:
            with self._database.watched.running(connection):
                self._write(connection, batch, note)
        except BaseException:
            self._disconnect()
            raise
        return batch.result()

    def _connection(self) -> Any:
        if self._pooled is None:
            pooled = self._database.engine.raw_connection()
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

    def _add(self, cursor: Any, batch: Batch) -> None:
        """Insert the ids of a batch where they are new, and leave out the facts of the others."""
        batch.leave_out_known(self._insert_facts(cursor, batch.rows))
        if not batch.decision_rows:
            return
        decision_ids = [decision_id for decision_id, _ in batch.decision_rows]
        known = self._insert_keys(cursor, decisions, batch.decision_rows)
        clashing = batch.reject_clashing("decision_id", batch.decision_rows, known)
        known = self._insert_keys(cursor, offers, batch.offer_rows)
        clashing |= batch.reject_clashing("offer_id", batch.offer_rows, known)
        if clashing:
            event_ids = _json(sorted(clashing))
            for table in (self._ids, offers):
                chosen = f"event_id in (select {self._values})"
                cursor.execute(f"delete from {table.name} where {chosen}", (event_ids,))  # noqa: S608
            # By its key: no index leads from a fact to its decision.
            chosen = f"decision_id in (select {self._values}) and {chosen}"
            both = (_json(decision_ids), event_ids)
            cursor.execute(f"delete from decisions where {chosen}", both)  # noqa: S608

    def _add_notes(self, cursor: Any, batch: Batch, note: NoteOf | None) -> None:
        if len(batch.rows) <= NOTED_SINGLY:
            ids = _json([row[0] for row in batch.rows])
            cursor.execute(f"insert into fresh_facts (event_id) select {self._values}", (ids,))
        else:
            days = sorted({row[OCCURRED_AT] // MICROS_PER_DAY for row in batch.rows})
            tokens = [(day, secrets.token_hex(8)) for day in days]
            cursor.executemany(_FRESH_DAY.format(self._placeholder), tokens)
        noted = None if note is None else note(batch.result())
        if noted is not None:
            cursor.execute(_NOTE.format(self._placeholder), noted)

    @abstractmethod
    def _insert_facts(self, cursor: Any, rows: Sequence[Row]) -> dict[str, bytes]:
        """Insert facts, or their ids alone, where they are new; return digests of the others."""

    @abstractmethod
    def _insert_keys(self, cursor: Any, table: Table, rows: Sequence[Row]) -> set[str]:
        """Insert (key, event_id) where the key is new; return the keys of the others."""


class SqliteWriter(Writer):
    """Write to SQLite, where only one connection holds the write lock at a time."""

    _ids, _placeholder, _values = facts, "?", "value from json_each(?)"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._checkpoints: Checkpoints | None = None
        self._lock_seconds = lock_seconds(database.url)

    def serve(self) -> None:
        """Connect, as `Writer.serve`, and take checkpoints beside the commits from now on."""
        with self._lock, speaking(self._database.url):
            self._raise_if_exchanged(self._connection())
            # A database in memory has no log, and no other connection reaches it.
            if self._checkpoints is None and isinstance(self._database.engine.pool, QueuePool):
                self._checkpoints = Checkpoints(self._database)
                self._prepare_to_serve(self._connection())

    def close(self) -> None:
        """End the checkpoints and close the connection."""
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
        super().close()

    def _raise_if_exchanged(self, connection: Any) -> None:
        if self._database.file is None or self._pooled is None:
            return
        try:
            self._database.file.raise_if_exchanged(connection, self._pooled.info)
        except FileExchanged:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._database.file is None or not self._database.file.must_stay_open:
            super()._disconnect()
        elif self._pooled is not None:
            connection: Any = self._pooled.driver_connection
            with suppress(self._driver.Error):  # None may be open, or the files are of no use.
                connection.execute("ROLLBACK")

    def _set_up(self, connection: Any) -> None:
        # `execute_when_free` waits in steps as short as a transaction; SQLite's own wait grows to
        # a tenth of a second, in which nobody writes.
        connection.execute("PRAGMA busy_timeout = 0")
        if self._checkpoints is not None:
            self._prepare_to_serve(connection)

    def _prepare_to_serve(self, connection: Any) -> None:
        for pragma in _SERVING_PRAGMAS:
            connection.execute(pragma)
        if self._database.file is not None:
            self._database.file.hold()

    def _write(self, connection: Any, batch: Batch, note: NoteOf | None) -> None:
        self._raise_if_exchanged(connection)
        execute_when_free(connection, "BEGIN IMMEDIATE", self._lock_seconds)
        raise_number(connection)
        self._add(connection, batch)
        _insert(connection, named_offers, batch.named_rows)
        self._add_notes(connection, batch, note)
        connection.execute("COMMIT")
        # Where they were exchanged before the commit, nothing of it is at the path.
        self._raise_if_exchanged(connection)
        if self._checkpoints is not None:
            self._checkpoints.note_commit()

    def _insert_facts(self, cursor: Any, rows: Sequence[Row]) -> dict[str, bytes]:
        (last,) = cursor.execute("select max(rowid) from facts").fetchone()
        if _insert(cursor, facts, rows) == len(rows):
            return {}
        known = f"rowid <= ? and event_id in (select {self._values})"
        statement = f"select event_id, digest from facts where {known}"  # noqa: S608
        return dict(cursor.execute(statement, (last, _json([row[0] for row in rows]))))

    def _insert_keys(self, cursor: Any, table: Table, rows: Sequence[Row]) -> set[str]:
        first = Batch.first_of(rows)
        if _insert(cursor, table, [*first.items()]) == len(first):
            return set()
        known = f"{table.columns[0].name} in (select {self._values})"
        stored = cursor.execute(f"select * from {table.name} where {known}", (_json([*first]),))  # noqa: S608
        return {key for key, event_id in stored if first[key] != event_id}


def _insert(connection: Any, table: Table, rows: Sequence[Row]) -> int:
    """Insert rows whose key is new, and return their number."""
    places = f"({', '.join('?' * len(table.columns))})"
    many, few = _ROWS_AT_ONCE
    n_new = start = 0
    # Some at a time, for each statement waits for the other threads.
    while part := rows[start : start + (many if len(rows) - start >= many else few)]:
        start += len(part)
        values = ", ".join([places] * len(part))
        # To undo a statement alone, SQLite would keep a copy of each page that it changes.
        statement = f"insert or rollback into {table.name} values {values} on conflict do nothing"  # noqa: S608
        n_new += connection.execute(statement, tuple(chain.from_iterable(part))).rowcount
    return n_new


class PostgresWriter(Writer):
    """Write to PostgreSQL, where others write meanwhile and facts are kept by the month."""

    _ids, _placeholder, _values = fact_ids, "%s", "json_array_elements_text(%s::json)"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._months = Months(database)

    def _set_up(self, connection: Any) -> None:
        """Leave the connection as it is made."""

    def _write(self, connection: Any, batch: Batch, note: NoteOf | None) -> None:
        self._months.ensure(row[OCCURRED_AT] for row in batch.rows)
        with connection.cursor() as cursor:
            if batch.rows:
                self._add(cursor, batch)
                with cursor.copy("copy facts from stdin") as copy:
                    for row in batch.rows:
                        copy.write_row(row)
            # Statements of a pipeline are answered together: to wait for each of them, this
            # thread would take turns with all others as often.
            with connection.pipeline():
                if batch.named_rows:
                    cursor.execute(_NAMED, (_json(batch.named_rows),))
                self._add_notes(cursor, batch, note)
                connection.commit()

    def _insert_facts(self, cursor: Any, rows: Sequence[Row]) -> dict[str, bytes]:
        with cursor.connection.pipeline():  # with the statement that begins the transaction
            cursor.execute(
                _KEYS.format("fact_ids", "bigint"),
                (_json({row[0]: row[OCCURRED_AT] for row in rows}),),
            )
        if cursor.rowcount == len(rows):
            return {}
        # Those of this batch are not in `facts` yet.
        cursor.execute(_DIGESTS, ([row[0] for row in rows],))
        return {event_id: bytes(digest) for event_id, digest in cursor.fetchall()}

    def _insert_keys(self, cursor: Any, table: Table, rows: Sequence[Row]) -> set[str]:
        if not rows:
            return set()
        first = Batch.first_of(rows)
        statement = f"{_KEYS.format(table.name, 'text')} returning {table.columns[0].name}"
        return first.keys() - {row[0] for row in cursor.execute(statement, (_json(first),))}


def _json(values: object) -> str:
    # One text for many values: the drivers handle each parameter by itself.
    return orjson.dumps(values).decode()


_NOTE = (
    "insert into settings (name, value) values ({0}, {0})"
    " on conflict (name) do update set value = excluded.value"
)
_FRESH_DAY = (
    "insert into fresh_days (day, token) values ({0}, {0})"
    " on conflict (day) do update set token = excluded.token"
)
_NAMED = (
    "insert into named_offers select value ->> 0, value ->> 1 from json_array_elements(%s::json)"
)
_DIGESTS = "select event_id, digest from facts where event_id = any(%b)"
_KEYS = (
    "insert into {0} select key, value::{1} from json_each_text(%s::json) on conflict do nothing"
)
