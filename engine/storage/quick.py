"""The quick way of a batch into the tables: what is new all through is handed to the driver.

As most batches are. Nothing is asked before writing: the keys of the tables refuse what is known.
Then, and wherever the database fails, nothing was written, and the long way does it again and
tells what is wrong.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

from sqlalchemy import Engine, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from engine.storage.apart import Channel, ProcessApart, Started
from engine.storage.batch import OCCURRED_AT, Batch, Row
from engine.storage.rollups import BULK
from engine.storage.tables import decisions, fact_ids, facts, fresh_facts, named_offers, offers
from engine.storage.transactions import NO_WAIT, TRANSACTIONS, WRITTEN, Part


class _Writes(Protocol):
    def write(self, parts: list[Part]) -> bytes: ...

    def close(self) -> None: ...


class QuickWay:
    """Safe from several threads, which take turns.

    Args:
        apart: where the database is, for a process of its own to write there: what serves buyers
            meanwhile does not wait for the driver. None to write in this process.
    """

    def __init__(self, engine: Engine, apart: URL | None = None) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        # Where the database lies in this process's memory nobody else reaches it.
        self._can = isinstance(engine.pool, QueuePool)
        self._copies = engine.dialect.name == "postgresql"
        self._apart = ProcessApart(engine, apart) if apart is not None and self._can else None
        self._way: _Writes | None = self._apart

    def write(self, batch: Batch) -> bool:
        """Record the whole batch, or nothing of it; whether all was new and is on disk."""
        return self._can and _is_small(batch) and self._write(self._parts(batch))

    def begin(self, batch: Batch) -> Started | None:
        """Start to write a batch as `write` does, without waiting for anything; None where that
        cannot be: another one is on its way, or there is no process for it."""
        process = self._apart
        if process is None or not _is_small(batch):
            return None
        if not self._lock.acquire(blocking=False):
            return None
        sent = False
        try:
            sent = process.send(self._parts(batch))
        finally:
            if not sent:
                self._lock.release()
        return Started(process, self._lock.release) if sent else None

    def channel(self, kind: str) -> Channel | None:
        """For questions of one kind to the process that writes; None where there is none."""
        return None if self._apart is None else self._apart.channels[kind]

    def connect(self) -> None:
        """Write nothing, for which a connection is made; where it fails, the next batch tries."""
        if self._can:
            self._write([])

    def _write(self, parts: list[Part]) -> bool:
        with self._lock:
            if self._way is None:
                self._way = self._here()
            return self._way.write(parts) == WRITTEN

    def close(self) -> None:
        with self._lock:
            if self._way is not None:
                self._way.close()

    def _here(self) -> _Writes:
        def connect() -> Any:
            pooled = self._engine.raw_connection()
            # Kept until something goes wrong: others of the pool write too seldom to share it.
            connection: Any = pooled.driver_connection
            pooled.detach()
            if not self._copies:
                connection.execute(NO_WAIT)
            return connection

        _, made = TRANSACTIONS[self._engine.dialect.name]
        return made(self._engine.dialect.loaded_dbapi, connect)

    def _parts(self, batch: Batch) -> list[Part]:
        # The first two columns of the tables of ids are a key and the fact it stands in.
        tables = [
            (facts, batch.rows),
            (decisions, batch.decision_rows),
            (offers, batch.offer_rows),
            (named_offers, batch.named_rows),
        ]
        fresh: list[Row] = [(row[0],) for row in batch.rows]
        if self._copies:
            ids: list[Row] = [(row[0], row[OCCURRED_AT]) for row in batch.rows]
            tables = [(fact_ids, ids), *tables, (fresh_facts, fresh)]
            return [(_COPIES[table.name], rows) for table, rows in tables if rows]
        return [*((_INSERTS[table.name], rows) for table, rows in tables if rows), (_FRESH, fresh)]


def _is_small(batch: Batch) -> bool:
    """Larger batches are noted by the day, not by the fact."""
    return 0 < len(batch.rows) <= BULK


_TABLES = (facts, decisions, offers, named_offers, fact_ids, fresh_facts)
_INSERTS = {table.name: str(insert(table).compile(dialect=sqlite.dialect())) for table in _TABLES}
_FRESH = f"{_INSERTS[fresh_facts.name]} ON CONFLICT DO NOTHING"
_COPIES = {
    table.name: f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
    for table in _TABLES
}
