"""Whole files of facts into a store; what cannot be taken is kept with its reason.

A large file is read, checked and made ready by other processes while this one writes.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, cast

import orjson

from engine.errors import DataError
from engine.processes import helpers
from engine.progress import Progress, Task
from engine.storage.fact_rows import FactRow
from engine.storage.loader import Loader
from engine.storage.loading import Rows
from engine.storage.preparing import Piece, Refused, Translation, prepare_lines
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.sql import SqlStore

__all__ = ["ImportResult", "Source", "Translation", "import_facts"]

_PIECE = 5_000
_TOGETHER = 20_000
"""Lines of a large file written in one transaction."""

_LARGE = 16_000_000
"""Bytes from which it pays to start other processes."""

_BYTES_AN_ID = 200
"""Of a file, for each id that has to stand once: about."""

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


Read = tuple[list[bytes], Piece, int]
"""Lines, what they hold, and the number of the first."""

Pieces = Iterator[Read]


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
    if lacking := store.lacking_indexes():
        with progress.task("Building indexes", total=lacking) as task:
            store.complete_indexes(task)
    return result


def _record(
    store: SqlStore,
    source: Source,
    rejects: Path,
    progress: Task,
    translation: Translation | None,
) -> ImportResult:
    place = _Place(store, source.name)
    result = place.taken_up()
    if place.offset:
        source.lines.seek(place.offset)
        progress.advance(place.offset)
        result.resumed_at = place.line
    side = _Rejects(rejects, result, resumed=bool(place.offset))
    left = (source.size or 0) - place.offset
    large = left >= _LARGE and translation is None
    loader = store.loader(left // _BYTES_AN_ID) if large else None
    together: list[Read] = []
    try:
        with _pieces(
            source.lines, place.line, store.pseudonyms, translation, large=large
        ) as pieces:
            for read in pieces:
                together.append(read)
                if large and sum(piece.lines for _, piece, _ in together) < _TOGETHER:
                    continue
                progress.advance(_write(store, loader, together, result, side, place))
                together = []
            progress.advance(_write(store, loader, together, result, side, place))
        place.forget()
    finally:
        side.close()
    return result


class _Place:
    """How far a file is recorded, which a later run on it asks for; nothing for a stream."""

    def __init__(self, store: SqlStore, name: str | None) -> None:
        self._store, self._mark = store, None if name is None else f"{_SETTING}{name}"
        self.offset, self.line = 0, 1

    def taken_up(self) -> ImportResult:
        """What an earlier run counted."""
        text = None if self._mark is None else self._store.own_setting(self._mark)
        if text is None:
            return ImportResult()
        kept: dict[str, int] = orjson.loads(text)
        self.offset, self.line = kept["offset"], kept["line"]
        return ImportResult(kept["recorded"], kept["duplicates"], kept["rejected"])

    def advance(self, size: int, lines: int) -> None:
        self.offset += size
        self.line += lines

    def entry(self, result: ImportResult) -> tuple[str, str] | None:
        """The note of it, to be kept."""
        if self._mark is None:
            return None
        entry = {
            "recorded": result.recorded,
            "duplicates": result.duplicates,
            "rejected": result.rejected,
            "offset": self.offset,
            "line": self.line,
        }
        return self._mark, orjson.dumps(entry).decode()

    def forget(self) -> None:
        if self._mark is not None:
            self._store.forget_setting(self._mark)


def _write(
    store: SqlStore,
    loader: Loader | None,
    together: list[Read],
    result: ImportResult,
    side: _Rejects,
    place: _Place,
) -> int:
    """The bytes of the lines whose fate is now on disk."""
    for lines, piece, first in together:
        for refused in piece.refused:
            raw = lines[refused.number - first]
            side.add(refused.number, raw, refused.code, refused.message)
    size = sum(piece.size for _, piece, _ in together)
    place.advance(size, sum(piece.lines for _, piece, _ in together))
    rows = [piece.rows for _, piece, _ in together if piece.rows is not None]
    if loader is not None and len(rows) == len(together):
        n_facts = sum(len(each.facts) for each in rows)
        side.flush()
        # In one transaction: what is recorded is never read again.
        if loader.load(rows, place.entry(replace(result, recorded=result.recorded + n_facts))):
            result.recorded += n_facts
            return size
    _append(store, together, result, side)
    side.flush()
    entry = place.entry(result)
    if entry is not None:
        store.keep_setting(*entry)
    return size


def _append(
    store: SqlStore,
    together: list[Read],
    result: ImportResult,
    side: _Rejects,
) -> None:
    """Record what is new, telling what is not."""
    facts: list[FactRow] = []
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
    workers = helpers(max(1, os.cpu_count() or 1), _start, pseudonyms.secret)
    try:
        yield _ahead(workers, _numbered(source, first))
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
        if collecting:
            gc.enable()


def _ahead(workers: ProcessPoolExecutor, numbered: Iterator[tuple[list[bytes], int]]) -> Pieces:
    """In order, with a few pieces on their way: enough for all, and no file in memory."""
    waiting: deque[tuple[list[bytes], int, Future[bytes]]] = deque()
    for lines, number in numbered:
        waiting.append((lines, number, workers.submit(_prepare, lines, number)))
        if len(waiting) > 4 * (os.cpu_count() or 1) + 4:
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


def _prepare(lines: list[bytes], first: int) -> bytes:
    piece = prepare_lines(lines, first, _own["pseudonyms"]).ready()
    # Plain tuples travel between processes, and written so in half the time.
    plain = piece._replace(
        facts=[cast("FactRow", tuple(fact)) for fact in piece.facts],
        refused=[cast("Refused", tuple(refused)) for refused in piece.refused],
        rows=None if piece.rows is None else cast("Rows", tuple(piece.rows)),
    )
    return marshal.dumps(tuple(plain))


def _arrived(sent: bytes) -> Piece:
    piece = Piece._make(marshal.loads(sent))  # noqa: S302 - from a process of our own
    return piece._replace(
        facts=[FactRow._make(fact) for fact in piece.facts],
        refused=[Refused._make(refused) for refused in piece.refused],
        rows=None if piece.rows is None else Rows._make(piece.rows),
    )
