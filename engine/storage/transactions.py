"""Rows through the driver alone, transaction by transaction; here, or in a process for it, which
also answers short questions.

Python's drivers let go of the interpreter at every row: in a process that answers others at the
same time each row then waits for its turn. `python -m engine.storage.transactions` does nothing
else. It imports neither SQLAlchemy nor anything of this software, so that it costs a few MB, and
ends when its standard input does: none is left behind by a service that was killed.
"""

from __future__ import annotations

import importlib
import marshal
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

Part = tuple[str, Sequence[tuple[Any, ...]]]
"""A statement and the rows it takes."""
Question = tuple[str, tuple[Any, ...]]
"""A statement and the values of its places."""

LENGTH_BYTES = 8
WRITTEN, KNOWN, FAILED = b"w", b"k", b"f"

NO_WAIT = "PRAGMA busy_timeout = 0"

_BUSY_SECONDS = 2.0
_WAIT_TO_ASK = "PRAGMA busy_timeout = 1000"
_STEP_SECONDS = 0.0003
_PAUSE_SECONDS = 0.5


class Transactions(ABC):
    """One connection kept, with its statements and pages at hand; for one thread at a time.

    Args:
        driver: the module of the driver.
        connect: opens a connection; asked again after a failure.
    """

    def __init__(self, driver: Any, connect: Callable[[], Any]) -> None:
        self._driver, self._connect = driver, connect
        self._connection: Any = None

    def write(self, parts: Sequence[Part]) -> bytes:
        """All parts, or nothing of them, in one transaction; WRITTEN once that is on disk, KNOWN
        where a key stood there already, FAILED where the database fails."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._write(parts)
        except self._driver.IntegrityError:
            self._undo()
            return KNOWN
        except self._driver.Error:
            self.close()
            return FAILED
        except BaseException:
            self.close()
            raise
        return WRITTEN

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _undo(self) -> None:
        try:
            self._connection.rollback()
        except Exception:
            self.close()

    @abstractmethod
    def _write(self, parts: Sequence[Part]) -> None:
        """The error of the driver where it cannot be."""


def execute_when_free(driver: Any, connection: Any, statement: str, seconds: float) -> None:
    """A statement of SQLite's, again and again for so long as another has the database."""
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute(statement)
        except driver.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == driver.SQLITE_BUSY
            if not is_busy or time.monotonic() >= until:
                raise
            time.sleep(_STEP_SECONDS)
        else:
            return


class SqliteTransactions(Transactions):
    """Statement by statement, each prepared once; of a connection outside of transactions."""

    def _write(self, parts: Sequence[Part]) -> None:
        connection = self._connection
        self._begin()
        for statement, rows in parts:
            connection.executemany(statement, rows)
        connection.execute("COMMIT")

    def _begin(self) -> None:
        """Waits for other processes in steps as short as their transactions: SQLite's own grow to
        a tenth of a second, in which nobody writes."""
        execute_when_free(self._driver, self._connection, "BEGIN IMMEDIATE", _BUSY_SECONDS)


class Checkpoints:
    """Moves what was committed out of SQLite's log, in a thread of its own.

    SQLite would do so within a commit, now and then, and all who wait for theirs would wait for
    that too. It still does (`LOG_PAGES`) where commits come so fast that this never sees the end.
    """

    LOG_PAGES = 8_000

    def __init__(self, driver: Any, connect: Callable[[], Any]) -> None:
        self._driver, self._connect = driver, connect
        self._wanted = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def want(self) -> None:
        """Something was committed."""
        self._wanted.set()

    def _run(self) -> None:
        connection = None
        while self._wanted.wait():
            self._wanted.clear()
            try:
                if connection is None:
                    connection = self._connect()
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except self._driver.Error:
                # Nothing is lost by it: who commits finds out what is wrong.
                connection = None
            time.sleep(_PAUSE_SECONDS)


class PostgresTransactions(Transactions):
    """Copied, which costs the database the least."""

    def _write(self, parts: Sequence[Part]) -> None:
        connection = self._connection
        with connection.cursor() as cursor:
            for statement, rows in parts:
                with cursor.copy(statement) as copy:
                    for row in rows:
                        copy.write_row(row)
        connection.commit()


TRANSACTIONS: Mapping[str, tuple[str, type[Transactions]]] = {
    "sqlite": ("sqlite3", SqliteTransactions),
    "postgresql": ("psycopg", PostgresTransactions),
}
"""By the name of the database, what the driver's module is called."""


def framed(told: Any) -> bytes:
    data = marshal.dumps(told)
    return len(data).to_bytes(LENGTH_BYTES, "little") + data


def told_by(pipe: int) -> Any:
    """The next message of a pipe, waited for; None where there is no other."""
    head = _bytes_of(pipe, LENGTH_BYTES)
    data = _bytes_of(pipe, int.from_bytes(head, "little")) if head else b""
    return marshal.loads(data) if data else None  # noqa: S302 - from our own service


def _bytes_of(pipe: int, size: int) -> bytes:
    """So many, or none where it ends before."""
    found = b""
    with suppress(OSError):
        while len(found) < size and (more := os.read(pipe, size - len(found))):
            found += more
    return found if len(found) == size else b""


class Questions:
    """Answers questions to the database that come over a pipe, in a thread of its own."""

    def __init__(self, driver: Any, connect: Callable[[], Any], asked: int, answers: int) -> None:
        self._driver, self._connect = driver, connect
        self._asked, self._answers = asked, answers
        self._connection: Any = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (questions := told_by(self._asked)) is not None:
            data = framed(self._rows(questions))
            with suppress(OSError):
                while data:
                    data = data[os.write(self._answers, data) :]

    def _rows(self, questions: Sequence[Question]) -> list[list[tuple[Any, ...]]] | None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return [self._connection.execute(*each).fetchall() for each in questions]
        except self._driver.Error:
            # Whoever asks finds out otherwise what is wrong.
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(Exception):
                    connection.close()
            return None


def serve(asked: int, answers: IO[bytes]) -> None:
    """The kind of database, how to connect, what to say first, and the pipes of questions; then
    transactions, each answered by what became of it, until there are no more."""
    kind, arguments, named, first, channels = told_by(asked)
    name, kept = TRANSACTIONS[kind]
    driver = importlib.import_module(name)

    def connect() -> Any:
        connection = driver.connect(*arguments, **named)
        for statement in first:
            connection.execute(statement)
        return connection

    def connect_to_ask() -> Any:
        connection = connect()
        if kind == "sqlite":
            connection.execute(_WAIT_TO_ASK)
        else:
            connection.autocommit = True
        return connection

    for channel in channels:
        Questions(driver, connect_to_ask, *channel)
    transactions = kept(driver, connect)
    checkpoints = Checkpoints(driver, connect) if kind == "sqlite" else None
    while (parts := told_by(asked)) is not None:
        answer = transactions.write(parts)
        answers.write(answer)
        answers.flush()
        if checkpoints is not None and answer == WRITTEN:
            checkpoints.want()
    transactions.close()


def main() -> None:
    # Ends with the service, by its input; a signal to the whole group is the service's to take.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        serve(sys.stdin.fileno(), sys.stdout.buffer)


if __name__ == "__main__":
    main()
