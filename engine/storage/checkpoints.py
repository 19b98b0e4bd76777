"""Checkpoints of SQLite's write-ahead log, taken beside the commits of a service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

LOG_PAGES = 8_000
"""Pages in the log from which SQLite moves them within a commit after all."""

_PAUSE_SECONDS = 0.5


class Checkpoints:
    """Move committed pages from the log into the database, in a thread of its own.

    SQLite would do so within a commit now and then, and every caller of that commit would wait for
    it. It still does where commits come so fast that the log reaches `LOG_PAGES`.

    Parameters
    ----------
    driver
        The module of the database driver.
    connect
        Opens a connection; called again after a failure.
    """

    def __init__(self, driver: Any, connect: Callable[[], Any]) -> None:
        self._driver, self._connect = driver, connect
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
        connection: Any = None
        while self._committed.wait() and not self._closed.is_set():
            self._committed.clear()
            try:
                if connection is None:
                    connection = self._connect()
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except self._driver.Error:
                # Nothing is lost: the log keeps its pages, and the next commit reports the fault.
                connection = None
            self._closed.wait(_PAUSE_SECONDS)
        if connection is not None:
            connection.close()
