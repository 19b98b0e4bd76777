"""The files of a SQLite database, which somebody may exchange while they are open.

SQLite writes to the files it has opened, whatever is at their path meanwhile: what it commits to a
file that was deleted is gone. Each connection therefore notes which files it opened. They are
compared with those at the path whenever it is taken from its pool, and before and after each batch
of facts, so that what was answered `recorded` was in the database at the path.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

from mersalg.engine.durable import sync_folder

_GRACE_SECONDS = 10.0
"""How long a file that is gone is not made again: another one may be about to take its place."""
_QUIET_SECONDS = 2.0
"""A file that was overwritten is whole once nobody has written to it for so long."""
_MAGIC = b"SQLite format 3\0"
_NUMBERS = 2**32
_WRITES = 2**20
"""More than there are between two looks at a file."""
_OPENED = "mersalg_files"
_GONE = "the database file was deleted or moved away"

FileId = tuple[int, int]
"""Device and inode."""


class FileExchanged(sqlite3.OperationalError):
    """The files of a database are not those that a connection opened; names no path."""


class Files(NamedTuple):
    """Files of a database; None is not there."""

    database: FileId | None
    log: FileId | None
    shared: FileId | None


class SqliteFile:
    """The file at one path, as one process uses it; safe from several threads.

    A copy over a file leaves its inode. It is noticed by the number of the last write, which every
    transaction that writes raises (`raise_number`) and SQLite keeps in the header of the file: it
    never falls. A copy that begins within a checkpoint damages the file, and may go unnoticed until
    SQLite finds that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._real = self._log = self._shared = path
        self._known: Files | None = None
        # The file that this process replaced by a copy of itself, and why.
        self._renewed: tuple[FileId | None, str] = (None, "")
        self._gone_since: float | None = None
        self._descriptor = -1
        self._number = 0
        self._comparing = threading.Lock()
        self._is_overwritten = False
        self.must_stay_open = False
        """Whether a connection holds commits that are not in the file yet, or must not reach it, as
        SQLite would bring them there when it closes the last connection."""

    def watch(self, engine: Engine) -> None:
        """Note and compare the files of every connection of an engine."""
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._note_opened)
        event.listen(engine, "checkout", self._check_out)

    def hold(self) -> None:
        """Watch the number of the last write from now on."""
        with self._comparing:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                self._number = _written(self._descriptor)[1]

    def release(self) -> None:
        """End what `hold` began; no connection may be open, whose locks would be released."""
        with self._comparing:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def problem(self, info: Any) -> str | None:
        """Return what happened to the files of a connection (its `info` in the pool), else None."""
        self._compare_number()
        opened: Files = info[_OPENED]
        identity = self._find()
        if identity == opened and not self._is_overwritten:
            return None
        if identity.database is None:
            return _GONE
        if identity.database != opened.database:
            renewed, reason = self._renewed
            was_renewed = renewed == opened.database
            return reason if was_renewed else "the database file was replaced by another one"
        if self._is_overwritten:
            return "the database file was overwritten"
        return "the write-ahead log of the database was deleted"

    def raise_if_exchanged(self, connection: Any, info: Any) -> None:
        """Raise FileExchanged where the files are not those of a connection.

        The next connection opens those that are at the path, unless `must_stay_open` is true then.
        """
        problem = self.problem(info)
        if problem is not None:
            self.must_stay_open = True
            self._leave(connection, info[_OPENED], problem)
            self.must_stay_open = False
            raise FileExchanged(problem)

    def _find(self) -> Files:
        return Files(_id_of(self._path), _id_of(self._log), _id_of(self._shared))

    def _before_connect(self, dialect: object, record: Any, *arguments: object) -> None:
        del dialect, arguments
        self._real, identity, former = self._path.resolve(), _id_of(self._path), self._known
        self._log, self._shared = (Path(f"{self._real}{end}") for end in ("-wal", "-shm"))
        if identity is None:
            self._wait_for_another()
            # SQLite makes its other files with the same mode.
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            except OSError as error:
                raise sqlite3.OperationalError(
                    f"the file cannot be made: {error.strerror}"
                ) from error
        elif former is not None and former.database != identity:
            self._discard(former)
        self._gone_since = None
        record.info[_OPENED] = _id_of(self._path)

    def _wait_for_another(self) -> None:
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if self._known is not None and now - self._gone_since < _GRACE_SECONDS:
            raise FileExchanged(_GONE)

    def _note_opened(self, connection: Any, record: Any) -> None:
        connection.execute("PRAGMA schema_version").fetchone()  # opens the log and its index
        identity = self._find()
        if identity.database != record.info[_OPENED]:
            raise FileExchanged("the database file was replaced while it was opened")
        record.info[_OPENED] = self._known = identity

    def _check_out(self, connection: Any, record: Any, proxy: object) -> None:
        del proxy
        problem = self.problem(record.info)
        if problem is not None:
            self._leave(connection, record.info[_OPENED], problem)
            raise DisconnectionError(problem)

    def _compare_number(self) -> None:
        # One thread at a time: a number that was read before another thread's would seem to fall.
        with self._comparing:
            if self._descriptor < 0 or self._is_overwritten:
                return
            magic, number = _written(self._descriptor)
            is_next = not self._number or (number - self._number) % _NUMBERS <= _WRITES
            if magic == _MAGIC and is_next:
                self._number = number
            else:
                self._is_overwritten = True

    def _leave(self, connection: Any, opened: Files, problem: str) -> None:
        """Make the files at the path ready to be opened; raise FileExchanged where they are not."""
        if self._find().database == opened.database:
            if not self._is_overwritten:
                # What was committed is in the log, which this connection still has open.
                checkpoint = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                busy, pages, moved = checkpoint.fetchone()
                if busy or pages != moved:
                    raise FileExchanged(problem)
            # Other processes may write to the file by the old log. They cannot to another inode.
            self._renew(opened, problem)
        self._discard(opened)
        # Left open until the process ends: closing it would release the locks of connections.
        with self._comparing:
            self._descriptor, self._is_overwritten = -1, False

    def _renew(self, opened: Files, problem: str) -> None:
        """Put a copy in the place of the file."""
        path = Path(f"{self._real}.renewed")
        try:
            if self._is_overwritten and time.time() - self._real.stat().st_mtime < _QUIET_SECONDS:
                raise FileExchanged(problem)
            with path.open("ab") as copy, self._real.open("rb") as source:
                os.fchmod(copy.fileno(), 0o600)
                fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another worker may do the same
                before = os.fstat(source.fileno())
                if (before.st_dev, before.st_ino) != opened.database:
                    return
                copy.truncate(0)
                shutil.copyfileobj(source, copy, 1024 * 1024)
                copy.flush()
                os.fsync(copy.fileno())
                after, made = os.fstat(source.fileno()), os.fstat(copy.fileno())
                is_whole = before.st_mtime_ns == after.st_mtime_ns
                if not is_whole or _id_of(path) != (made.st_dev, made.st_ino):
                    raise FileExchanged(problem)
                if self._is_overwritten and _is_damaged(path):
                    raise FileExchanged(f"{problem}, and is damaged: restore a backup")
                # Before: a connection to the new file must not find them.
                self._discard(opened)
                path.replace(self._real)
                self._renewed = (opened.database, problem)
                sync_folder(self._real.parent)
        except OSError as error:
            raise FileExchanged(f"{problem}, and cannot be renewed: {error.strerror}") from error

    def _discard(self, opened: Files) -> None:
        """Delete the log and the index of other files, which SQLite would take for those here."""
        for path, identity in ((self._log, opened.log), (self._shared, opened.shared)):
            if identity is not None and _id_of(path) == identity:
                path.unlink(missing_ok=True)


def raise_number(connection: Any) -> None:
    """Count a transaction that writes, in the header of the file; see `SqliteFile`."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    # Two databases shall not have like numbers.
    number = (number or secrets.randbits(32)) + 1
    number = (number + 2**31) % _NUMBERS - 2**31  # has a sign in SQLite
    connection.execute(f"PRAGMA user_version = {number}")


def file_at(url: URL) -> SqliteFile | None:
    """Return the file of a database; None of PostgreSQL, in memory, or named by an URI."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path.startswith((":", "file:")):
        return None
    return SqliteFile(Path(path).absolute())


def _is_damaged(path: Path) -> bool:
    """Return whether a file is no whole database, as one that was copied within a checkpoint."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as looked_at:
            return looked_at.execute("PRAGMA quick_check").fetchall() != [("ok",)]
    except sqlite3.DatabaseError:
        return True


def _written(descriptor: int) -> tuple[bytes, int]:
    """Return the first bytes of a file, and the number of the last write that is in it."""
    header = os.pread(descriptor, 64, 0)
    return header[:16], int.from_bytes(header[60:64], "big")


def _id_of(path: Path) -> FileId | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
