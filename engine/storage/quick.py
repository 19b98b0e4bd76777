"""The quick way of a batch into the tables: what is new all through is handed to the driver.

As most batches are. One connection is kept for it, with its statements and pages at hand, and
nothing is asked before writing: the keys of the tables refuse what is known. Then, and wherever
the database fails, nothing was written, and the long way does it again and tells what is wrong.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import QueuePool

from engine.storage.batch import Batch, Row
from engine.storage.rollups import BULK
from engine.storage.tables import decisions, fact_ids, facts, fresh_facts, named_offers, offers

_BUSY_SECONDS = 2.0
_STEP_SECONDS = 0.0003


class QuickWay(ABC):
    """Safe from several threads, which take turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None

    def write(self, batch: Batch) -> bool:
        """Record the whole batch, or nothing of it; whether all was new and is on disk."""
        # Larger batches are noted by the day, not by the fact.
        if not 0 < len(batch.rows) <= BULK or not isinstance(self._engine.pool, QueuePool):
            return False
        # The first two columns of the tables of ids are a key and the fact it stands in.
        tables = (
            (facts, batch.rows),
            (decisions, batch.decision_rows),
            (offers, batch.offer_rows),
            (named_offers, batch.named_rows),
        )
        fresh: list[Row] = [(row[0],) for row in batch.rows]
        driver: Any = self._engine.dialect.loaded_dbapi
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                self._write([(table, rows) for table, rows in tables if rows], fresh)
            except driver.IntegrityError:
                self._undo()
                return False
            except driver.Error:
                self._let_go()
                return False
            except BaseException:
                self._let_go()
                raise
        return True

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _open(self) -> Any:
        pooled = self._engine.raw_connection()
        # Kept until something goes wrong: others of the pool write too seldom to share it.
        connection = pooled.driver_connection
        pooled.detach()
        return connection

    def _undo(self) -> None:
        try:
            self._connection.rollback()
        except Exception:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    @abstractmethod
    def _write(self, tables: Sequence[tuple[Table, Sequence[Row]]], fresh: Sequence[Row]) -> None:
        """One transaction; the error of the driver where it cannot be."""


class SqliteWay(QuickWay):
    """Statement by statement, each prepared once."""

    def _open(self) -> Any:
        connection = super()._open()
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def _begin(self) -> None:
        """Waits for other processes in steps as short as their transactions: SQLite's own grow to
        a tenth of a second, in which nobody writes."""
        driver: Any = self._engine.dialect.loaded_dbapi
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except driver.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == driver.SQLITE_BUSY
                if not is_busy or time.monotonic() >= until:
                    raise
                time.sleep(_STEP_SECONDS)
            else:
                return

    def _write(self, tables: Sequence[tuple[Table, Sequence[Row]]], fresh: Sequence[Row]) -> None:
        connection = self._connection
        self._begin()
        for table, rows in tables:
            connection.executemany(_INSERTS[table.name], rows)
        connection.executemany(_FRESH, fresh)
        connection.execute("COMMIT")


class PostgresWay(QuickWay):
    """Copied, which costs the database the least."""

    def _write(self, tables: Sequence[tuple[Table, Sequence[Row]]], fresh: Sequence[Row]) -> None:
        connection = self._connection
        with connection.cursor() as cursor:
            for table, rows in tables:
                if table is facts:
                    _copy(cursor, fact_ids, [(row[0], row[2]) for row in rows])
                _copy(cursor, table, rows)
            _copy(cursor, fresh_facts, fresh)
        connection.commit()


def _copy(cursor: Any, table: Table, rows: Sequence[Row]) -> None:
    with cursor.copy(_COPIES[table.name]) as copy:
        for row in rows:
            copy.write_row(row)


_TABLES = (facts, decisions, offers, named_offers, fact_ids, fresh_facts)
_INSERTS = {table.name: str(insert(table).compile(dialect=sqlite.dialect())) for table in _TABLES}
_FRESH = f"{_INSERTS[fresh_facts.name]} ON CONFLICT DO NOTHING"
_COPIES = {
    table.name: f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
    for table in _TABLES
}


def quick_way(engine: Engine) -> QuickWay:
    return PostgresWay(engine) if engine.dialect.name == "postgresql" else SqliteWay(engine)
