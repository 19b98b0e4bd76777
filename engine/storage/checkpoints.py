"""Checkpoints of SQLite beside the commits of a service, which bound its write-ahead log."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection

from mersalg.engine.storage.connection import Database

_CHECKPOINT_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_LONG_LOG = 8_000
"""Pages of SQLite's log from which on writers wait until it can begin again."""
_LOG_MILLISECONDS = 20


class Checkpoints:
    """Move committed pages from the log into the database, in a thread of its own.

    SQLite would do so within a commit now and then, and every caller of that commit would wait for
    it. It still does where commits come so fast that the log grows beyond what a service allows.
    A log that has grown long is begun again, for which writers wait a moment, and one to which
    nobody writes is emptied.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver: Any = database.engine.dialect.loaded_dbapi
        self._pooled: PoolProxiedConnection | None = None
        self._committed, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mersalg-checkpoints", daemon=True)
        self._thread.start()

    def note_commit(self) -> None:
        """Take a checkpoint soon: something was committed."""
        self._committed.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        self._committed.set()
        self._thread.join()

    def _run(self) -> None:
        is_empty = False
        while True:
            is_committed = self._committed.wait(None if is_empty else _IDLE_SECONDS)
            if self._closed.is_set():
                break
            if is_committed:
                is_empty = False
                self._committed.clear()
                pages = self._take("PASSIVE")
                if pages > _LONG_LOG:
                    self._take("RESTART")
            else:
                is_empty = self._take("TRUNCATE") == 0
            self._closed.wait(_CHECKPOINT_SECONDS)
        self._disconnect()

    def _take(self, kind: str) -> int:
        """Take a checkpoint; return the number of pages in the log, -1 where it was not taken."""
        try:
            if self._pooled is not None and not self._database.is_current(self._pooled):
                self._disconnect()
            if self._pooled is None:
                self._pooled = self._database.engine.raw_connection()
                connection: Any = self._pooled.driver_connection
                connection.execute(f"PRAGMA busy_timeout = {_LOG_MILLISECONDS}")
            connection = self._pooled.driver_connection
            busy, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
        except self._driver.Error:
            # Nothing is lost: the log keeps its pages, and the next commit reports the fault.
            self._disconnect()
            return -1
        return -1 if busy else int(pages)

    def _disconnect(self) -> None:
        pooled, self._pooled = self._pooled, None
        if pooled is not None:
            pooled.invalidate()
