"""Whole files of facts into a store; what cannot be taken is kept with its reason.

A large file is read, checked and made ready by other processes while this one writes.
"""

from __future__ import annotations

import gc
import json
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, cast

import orjson

from engine.errors import DataError
from engine.progress import Progress, Task
from engine.storage.batch import Prepared
from engine.storage.indexes import DEFERRED
from engine.storage.loading import merged
from engine.storage.preparing import Piece, Translation, prepare_lines
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.sql import SqlStore

__all__ = ["ImportResult", "Source", "Translation", "import_facts"]

_PIECE = 5_000
_TOGETHER = 20_000
"""Lines of a large file written in one transaction."""

_LARGE = 16_000_000
"""Bytes from which it pays to start other processes."""

_EXAMPLES = 5
_SETTING = "import:"


@dataclass(slots=True)
class ImportResult:
    """Lines by what became of them; `examples` are (line number, code, message).

    `resumed_at` is the line at which a run that had been cut short was taken up again, else None.
    """

    recorded: int = 0
    duplicates: int = 0
    rejected: int = 0
    examples: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    resumed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file of facts: how large it is, and what tells it from others; None where not known."""

    lines: IO[bytes]
    size: int | None = None
    name: str | None = None

    @classmethod
    def of(cls, file: IO[bytes], path: Path) -> Source:
        status = os.fstat(file.fileno())
        name = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        return cls(file, status.st_size, name)


class _Rejects:
    """The side file of rejected lines; there is none where nothing was rejected."""

    def __init__(self, path: Path, result: ImportResult, *, resumed: bool) -> None:
        self._path, self._result, self._resumed = path, result, resumed
        self._file: IO[bytes] | None = None

    def add(self, number: int, raw: bytes, code: str, message: str) -> None:
        self._result.rejected += 1
        if len(self._result.examples) < _EXAMPLES:
            self._result.examples.append((number, code, message))
        if self._file is None:
            self._file = self._opened()
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        entry = {"line": number, "code": code, "message": message, "text": text}
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def _opened(self) -> IO[bytes]:
        try:
            return self._path.open("ab" if self._resumed else "wb")
        except OSError as error:
            message = f"cannot write the rejected lines: {error.strerror}"
            raise DataError(message, file=str(self._path)) from error

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        elif not self._resumed:
            # An earlier run's rejects would accuse lines that have been mended since.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def import_facts(
    store: SqlStore,
    source: Source,
    rejects: Path,
    progress: Progress,
    translation: Translation | None = None,
) -> ImportResult:
    """Record the facts of JSON Lines in batches, each on disk before the next is written.

    A run that was cut short goes on where it stopped when it is run again with the same file;
    what is recorded already counts as a duplicate, whatever file brings it. `progress` is told of
    the bytes read, and of indexes built after a large first load. Blank lines are passed over.
    With a `translation` the file is another system's: what looks like a pseudonym in it is an id
    like others.

    Raises:
        StorageUnavailable: the database is away; what went before is recorded.
        DataError: the rejected lines cannot be written; what went before is recorded.
    """
    with progress.task("Recording facts", total=source.size) as task:
        result = _record(store, source, rejects, task, translation)
    if store.lacks_indexes():
        with progress.task("Building indexes", total=len(DEFERRED)) as task:
            store.complete_indexes(task)
    return result


def _record(
    store: SqlStore,
    source: Source,
    rejects: Path,
    progress: Task,
    translation: Translation | None,
) -> ImportResult:
    mark = None if source.name is None else f"{_SETTING}{source.name}"
    result, offset, line = _taken_up(store, mark)
    if offset:
        source.lines.seek(offset)
        progress.advance(offset)
        result.resumed_at = line
    side = _Rejects(rejects, result, resumed=bool(offset))
    large = source.size is not None and source.size - offset >= _LARGE and translation is None
    if large:
        store.defer_indexes()
    together: list[tuple[list[bytes], Piece, int]] = []
    try:
        with _pieces(source.lines, line, store.pseudonyms, translation, large=large) as pieces:
            for lines, piece, first in pieces:
                together.append((lines, piece, first))
                if large and sum(each.lines for _, each, _ in together) < _TOGETHER:
                    continue
                offset += _write(store, together, result, side, progress)
                line = first + piece.lines
                together = []
                if mark is not None:
                    _remember(store, mark, result, offset, line)
            _write(store, together, result, side, progress)
        if mark is not None:
            store.forget_setting(mark)
    finally:
        side.close()
    return result


def _taken_up(store: SqlStore, mark: str | None) -> tuple[ImportResult, int, int]:
    """What an earlier run on the file counted, the byte it came to and the line that begins."""
    text = None if mark is None else store.own_setting(mark)
    if text is None:
        return ImportResult(), 0, 1
    kept: dict[str, int] = orjson.loads(text)
    result = ImportResult(kept["recorded"], kept["duplicates"], kept["rejected"])
    return result, kept["offset"], kept["line"]


def _remember(store: SqlStore, mark: str, result: ImportResult, offset: int, line: int) -> None:
    entry = {
        "recorded": result.recorded,
        "duplicates": result.duplicates,
        "rejected": result.rejected,
        "offset": offset,
        "line": line,
    }
    store.keep_setting(mark, orjson.dumps(entry).decode())


def _write(
    store: SqlStore,
    together: list[tuple[list[bytes], Piece, int]],
    result: ImportResult,
    side: _Rejects,
    progress: Task,
) -> int:
    """The bytes of the lines whose fate is now on disk."""
    for lines, piece, first in together:
        for refused in piece.refused:
            raw = lines[refused.number - first]
            side.add(refused.number, raw, refused.code, refused.message)
    rows = [piece.rows for _, piece, _ in together if piece.rows is not None]
    if len(rows) == len(together) and store.load(ready := merged(rows)):
        result.recorded += len(ready.facts)
    else:
        _append(store, together, result, side)
    side.flush()
    size = sum(piece.size for _, piece, _ in together)
    progress.advance(size)
    return size


def _append(
    store: SqlStore,
    together: list[tuple[list[bytes], Piece, int]],
    result: ImportResult,
    side: _Rejects,
) -> None:
    """Record what is new, telling what is not."""
    facts: list[Prepared] = []
    where: list[tuple[list[bytes], int, int]] = []
    for lines, piece, first in together:
        told, numbers = piece.told()
        facts += told
        where += [(lines, first, number) for number in numbers]
    if not facts:
        return
    appended = store.append_prepared(facts)
    result.recorded += appended.recorded
    result.duplicates += appended.duplicates
    for rejection in appended.rejected:
        lines, first, number = where[rejection.index]
        side.add(number, lines[number - first], rejection.code, rejection.message)


Pieces = Iterator[tuple[list[bytes], Piece, int]]
"""Lines, what they hold, and the number of the first."""


@contextmanager
def _pieces(
    source: Iterable[bytes],
    first: int,
    pseudonyms: Pseudonyms,
    translation: Translation | None,
    *,
    large: bool,
) -> Generator[Pieces, None, None]:
    if not large:
        yield (
            (lines, prepare_lines(lines, number, pseudonyms, translation), number)
            for lines, number in _numbered(source, first)
        )
        return
    # The rows that go through here by the million hold nothing that only the collector could free.
    collecting = gc.isenabled()
    gc.disable()
    # Each process makes its own; a fork would copy locks that other threads hold.
    workers = ProcessPoolExecutor(
        max(1, os.cpu_count() or 1), get_context("spawn"), _start, (pseudonyms.secret,)
    )
    try:
        yield _ahead(workers, _numbered(source, first))
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
        if collecting:
            gc.enable()


def _ahead(workers: ProcessPoolExecutor, numbered: Iterator[tuple[list[bytes], int]]) -> Pieces:
    """In order, with a few pieces on their way: enough for all, and no file in memory."""
    waiting: deque[tuple[list[bytes], int, Future[Any]]] = deque()
    for lines, number in numbered:
        waiting.append((lines, number, workers.submit(_prepare, lines, number)))
        if len(waiting) > 2 * (os.cpu_count() or 1) + 2:
            lines, number, future = waiting.popleft()
            yield lines, _arrived(future.result()), number
    while waiting:
        lines, number, future = waiting.popleft()
        yield lines, _arrived(future.result()), number


def _numbered(source: Iterable[bytes], first: int) -> Iterator[tuple[list[bytes], int]]:
    lines = iter(source)
    while piece := list(islice(lines, _PIECE)):
        yield piece, first
        first += len(piece)


_own: dict[str, Pseudonyms] = {}


def _start(secret: bytes) -> None:
    _own["pseudonyms"] = Pseudonyms(secret)
    gc.disable()


def _prepare(lines: list[bytes], first: int) -> Piece:
    piece = prepare_lines(lines, first, _own["pseudonyms"]).ready()
    # Plain tuples travel faster between processes.
    return piece._replace(facts=[cast("Prepared", tuple(fact)) for fact in piece.facts])


def _arrived(piece: Piece) -> Piece:
    return piece._replace(facts=[Prepared._make(fact) for fact in piece.facts])
