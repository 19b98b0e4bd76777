"""A process that writes to the database and asks it, beside one that answers buyers.

The near end of `engine.storage.transactions`. Whoever cannot wait, as an event loop cannot, begins
something here, and is told by a pipe that becomes readable when it has ended.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from engine.storage import connection as database
from engine.storage import transactions
from engine.storage.transactions import FAILED, NO_WAIT, WRITTEN, Checkpoints, Part, Question

_CHANNELS = ("sessions", "customers")
"""Kinds of questions; each has a connection of its own, so that none waits for another kind."""
_PIPE_BYTES = 1 << 20

Rows = Sequence[tuple[Any, ...]]
Answers = Sequence[Rows]
"""The rows that each of several questions found."""


class Started:
    """A batch on its way, for who cannot wait: `fileno` becomes readable when it has ended."""

    def __init__(self, process: ProcessApart, ended: Callable[[], None]) -> None:
        self._process, self._ended = process, ended
        self._fileno = process.fileno()

    def fileno(self) -> int:
        return self._fileno

    def finish(self) -> bool:
        """Whether all was new and is on disk; else nothing was written. Waits where it has not
        ended; to be asked once."""
        try:
            return self._process.answer() == WRITTEN
        finally:
            self._ended()


class ProcessApart:
    """Writes, for one thread at a time; and asks, over a `Channel` for each kind of question.

    A process that died is made anew for the next batch. Whether the last one was recorded before,
    the long way finds out.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        arguments, named = engine.dialect.create_connect_args(url)
        kind = engine.dialect.name
        if kind == "sqlite":
            named = {"isolation_level": None, "check_same_thread": False}
            log = f"PRAGMA wal_autocheckpoint = {Checkpoints.LOG_PAGES}"
            first = [*database.SQLITE_PRAGMAS, NO_WAIT, log]
        else:
            named, first = {**named, **database.POSTGRES_ARGUMENTS}, []
            named.pop("context", None)  # SQLAlchemy's types, which copying does without
        # Over the pipe: it may hold a password, and what a process was started with all can read.
        self._hello = (kind, list(arguments), dict(named), first)
        self._room = 0
        self.channels = {name: Channel() for name in _CHANNELS}
        self._process: subprocess.Popen[bytes] | None = self._started()

    def write(self, parts: list[Part]) -> bytes:
        if self._process is None:
            self._process = self._started()
        if self._process is None:
            return FAILED
        with suppress(OSError):  # it died, as the answer tells
            self._send(self._process, transactions.framed(parts))
        return self.answer()

    def send(self, parts: list[Part]) -> bool:
        """Have it begin with a transaction, whose `answer` is to be read; False where its pipe,
        which is empty between two of them, is too small to take it at once."""
        if self._process is None:
            return False
        data = transactions.framed(parts)
        if len(data) > self._room:
            return False
        with suppress(OSError):
            self._send(self._process, data)
        return True

    def fileno(self) -> int:
        """Of the pipe that answers come through."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def answer(self) -> bytes:
        """What became of the transaction it was told last; waits for it."""
        answer = b""
        if self._process is not None:
            assert self._process.stdout is not None
            with suppress(OSError):
                answer = self._process.stdout.read(1)
        if not answer:
            self.close()
        return answer or FAILED

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        for channel in self.channels.values():
            channel.lay(None)
        # What it was told it still writes.
        process.wait()

    def _started(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", transactions.__name__]
        questions = [os.pipe() for _ in self.channels]
        answers = [os.pipe() for _ in self.channels]
        theirs = [(asked, told) for (asked, _), (_, told) in zip(questions, answers, strict=True)]
        try:
            process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[end for pair in theirs for end in pair],
            )
        except OSError:
            for pipe in (*questions, *answers):
                for end in pipe:
                    os.close(end)
            return None
        for end in (end for pair in theirs for end in pair):
            os.close(end)
        ends = zip(questions, answers, strict=True)
        for channel, ((_, asking), (told, _)) in zip(self.channels.values(), ends, strict=True):
            channel.lay((asking, told))
        assert process.stdin is not None
        self._room = _widened(process.stdin.fileno())
        with suppress(OSError):  # it died: the first answer tells
            self._send(process, transactions.framed((*self._hello, theirs)))
        return process

    @staticmethod
    def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()


class Channel:
    """Questions of one kind, one message at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self._room = 0
        self._is_busy = False
        self._left: list[int] = []

    def lay(self, ends: tuple[int, int] | None) -> None:
        """From now on over these pipes, if any: where to ask, and where answers come."""
        with self._lock:
            # Who waits for an answer over the earlier ones hears that there will be none.
            self._left += self._ends or ()
            self._ends = ends
            self._room = 0 if ends is None else _widened(ends[0])
            self._tidy()

    def begin(self, questions: Sequence[Question]) -> Asked | None:
        """Ask some questions without waiting; None where that cannot be."""
        data = transactions.framed(list(questions))
        with self._lock:
            if self._is_busy or self._ends is None or len(data) > self._room:
                return None
            try:
                os.write(self._ends[0], data)
            except OSError:  # the process died
                return None
            self._is_busy = True
            return Asked(self._ends[1], self._ended)

    def _ended(self) -> None:
        with self._lock:
            self._is_busy = False
            self._tidy()

    def _tidy(self) -> None:
        while self._left and not self._is_busy:
            os.close(self._left.pop())


class Asked:
    """Questions on their way; `fileno` becomes readable when they are answered."""

    def __init__(self, end: int, ended: Callable[[], None]) -> None:
        self._end, self._ended = end, ended

    def fileno(self) -> int:
        return self._end

    def finish(self) -> Answers | None:
        """The rows each question found; None where the database failed. To be asked once."""
        try:
            return transactions.told_by(self._end)
        finally:
            self._ended()


def _widened(pipe: int) -> int:
    """Bytes that a pipe holds from now on."""
    with suppress(OSError, AttributeError):  # not every system can
        return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    with suppress(OSError, AttributeError):
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    return select.PIPE_BUF
