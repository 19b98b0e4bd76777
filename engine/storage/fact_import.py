"""Whole files of facts into a store; what cannot be taken is kept with its reason.

A large file is read, checked and made ready by other processes while this one writes.
"""

from __future__ import annotations

import gc
import json
import os
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from engine.errors import DataError, FactRejected
from engine.fact_json import parse_fact, unpack
from engine.fact_schema import decode_any
from engine.processes import Workers
from engine.progress import Progress, Task
from engine.storage.fact_rows import AppendResult, FactRow, row_of
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.settings import IMPORT
from engine.storage.store import Store
from engine.storage.writer import Note

_PIECE = 5_000
_TOGETHER = 20_000
"""Lines of a large file written in one transaction."""

_LARGE = 16_000_000
"""Bytes from which it pays to start other processes."""

_EXAMPLES = 5


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


Translation = Callable[[object], Sequence[object]]
"""From a line's JSON to facts in our schema; none where it says nothing of offers or orders."""


class Refused(NamedTuple):
    """A line that is no fact."""

    number: int
    code: str
    message: str


class Piece(NamedTuple):
    """Lines that were read together.

    Attributes:
        facts: those that can be written; `numbers` the line of each.
        size, lines: of the piece, blank lines included.
    """

    facts: list[FactRow]
    numbers: list[int]
    refused: list[Refused]
    size: int
    lines: int


Read = tuple[list[bytes], Piece, int]
"""Lines, what they hold, and the number of the first."""

Pieces = Iterator[Read]


class _Rejects:
    """The side file of rejected lines; there is none where nothing was rejected."""

    def __init__(self, path: Path) -> None:
        self._path, self._resumed, self.size = path, False, 0
        self._file: IO[bytes] | None = None

    def resume(self, kept: int | None) -> None:
        """Continue behind the bytes that an interrupted run wrote for the lines it recorded.

        Parameters
        ----------
        kept
            Number of these bytes; None where it is not known, which keeps the whole file.
        """
        if kept is None:
            kept = self._path.stat().st_size if self._path.exists() else 0
        self._resumed, self.size = True, kept

    def put(self, entries: Sequence[bytes]) -> int:
        """Write entries behind the first `size` bytes, in place of what a failed attempt left.

        Returns
        -------
        int
            The size of the file with them.
        """
        if self._file is None:
            if not entries:
                return self.size
            self._file = self._opened()
        try:
            self._file.seek(self.size)
            self._file.truncate()
            self._file.writelines(entries)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        return self._file.tell()

    def _opened(self) -> IO[bytes]:
        try:
            return self._path.open("r+b" if self._resumed and self._path.exists() else "wb")
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> DataError:
        message = f"cannot write the rejected lines: {error.strerror}"
        return DataError(message, file=str(self._path))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        elif not self._resumed:
            # An earlier run's rejects would accuse lines that have been mended since.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def import_facts(
    store: Store,
    source: Source,
    rejects: Path,
    progress: Progress,
    translation: Translation | None = None,
) -> ImportResult:
    """Record the facts of JSON Lines in batches, each on disk before the next is written.

    If interrupted, run it again with the same file and it resumes; what is recorded already counts
    as a duplicate, whatever file brings it. `progress` advances by the bytes read. Blank lines are
    passed over.
    With a `translation` the file is another system's: what looks like a pseudonym in it is an id
    like others.

    Raises:
        StorageUnavailable: the database is away; what went before is recorded.
        DataError: the rejected lines cannot be written; what went before is recorded.
    """
    with progress.task("Recording facts", total=source.size) as task:
        return _record(store, source, rejects, task, translation)


def _record(
    store: Store,
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
    side = _Rejects(rejects)
    if place.offset:
        side.resume(place.rejected_bytes)
    large = (source.size or 0) - place.offset >= _LARGE and translation is None
    together: list[Read] = []
    try:
        with _pieces(
            source.lines, place.line, store.people.pseudonyms, translation, large=large
        ) as pieces:
            for read in pieces:
                together.append(read)
                if large and sum(piece.lines for _, piece, _ in together) < _TOGETHER:
                    continue
                result = _write(store, together, result, side, place)
                progress.advance(sum(piece.size for _, piece, _ in together))
                together = []
            if together:
                result = _write(store, together, result, side, place)
                progress.advance(sum(piece.size for _, piece, _ in together))
        place.forget()
    finally:
        side.close()
    return result


class _Place:
    """How far a file is recorded, which a later run on it asks for; nothing for a stream."""

    def __init__(self, store: Store, name: str | None) -> None:
        self._store, self._mark = store, None if name is None else f"{IMPORT}{name}"
        self.offset, self.line = 0, 1
        self.rejected_bytes: int | None = 0

    def taken_up(self) -> ImportResult:
        """Return what an earlier run counted."""
        text = None if self._mark is None else self._store.note(self._mark)
        if text is None:
            return ImportResult()
        kept: dict[str, int] = orjson.loads(text)
        self.offset, self.line = kept["offset"], kept["line"]
        # Version 0.1.0 did not note it; then all that its side file holds is kept.
        self.rejected_bytes = kept.get("rejected_bytes")
        return ImportResult(kept["recorded"], kept["duplicates"], kept["rejected"])

    def advance(self, size: int, lines: int) -> None:
        self.offset += size
        self.line += lines

    def note(self, result: ImportResult, rejected_bytes: int) -> Note | None:
        """Return the note that a later run resumes from."""
        if self._mark is None:
            return None
        entry = {
            "recorded": result.recorded,
            "duplicates": result.duplicates,
            "rejected": result.rejected,
            "offset": self.offset,
            "line": self.line,
            "rejected_bytes": rejected_bytes,
        }
        return self._mark, orjson.dumps(entry).decode()

    def forget(self) -> None:
        if self._mark is not None:
            self._store.forget_note(self._mark)


def _write(
    store: Store, together: Sequence[Read], before: ImportResult, side: _Rejects, place: _Place
) -> ImportResult:
    """Record what is new, in one transaction with the place that a later run resumes from.

    Rejected lines are on disk before the transaction ends; if it is interrupted in between, the
    run that resumes writes them again in the same place.
    """
    facts: list[FactRow] = []
    origins: list[tuple[int, bytes]] = []
    refused: list[tuple[int, bytes, str, str]] = []
    for lines, piece, first in together:
        refused += [
            (number, lines[number - first], code, message)
            for number, code, message in piece.refused
        ]
        facts += piece.facts
        origins += [(number, lines[number - first]) for number in piece.numbers]
        place.advance(piece.size, piece.lines)
    after, size = before, side.size

    def note(appended: AppendResult) -> Note | None:
        nonlocal after, size
        rejected = [
            *refused,
            *((*origins[one.index], one.code, one.message) for one in appended.rejected),
        ]
        examples = [(number, code, message) for number, _, code, message in rejected]
        after = ImportResult(
            before.recorded + appended.recorded,
            before.duplicates + appended.duplicates,
            before.rejected + len(rejected),
            [*before.examples, *examples][:_EXAMPLES],
            before.resumed_at,
        )
        size = side.put([_reject_entry(*one) for one in rejected])
        return place.note(after, size)

    store.facts.append_rows(facts, note)
    side.size = size
    return after


def _reject_entry(number: int, raw: bytes, code: str, message: str) -> bytes:
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    entry = {"line": number, "code": code, "message": message, "text": text}
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


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
    # The millions of rows that come through here form no cycles; looking for some took a fifth of
    # this process's time.
    collecting = gc.isenabled()
    gc.disable()
    workers = Workers(max(1, os.cpu_count() or 1), _start, pseudonyms.secret)
    try:
        yield _ahead(workers, _numbered(source, first))
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
        if collecting:
            gc.enable()


def _ahead(workers: ProcessPoolExecutor, numbered: Iterator[tuple[list[bytes], int]]) -> Pieces:
    """In order, with a few pieces on their way: enough for all, and no file in memory."""
    waiting: deque[tuple[list[bytes], int, Future[Piece]]] = deque()
    for lines, number in numbered:
        waiting.append((lines, number, workers.submit(_prepare, lines, number)))
        if len(waiting) > 4 * (os.cpu_count() or 1) + 4:
            lines, number, future = waiting.popleft()
            yield lines, future.result(), number
    while waiting:
        lines, number, future = waiting.popleft()
        yield lines, future.result(), number


def _numbered(source: Iterable[bytes], first: int) -> Iterator[tuple[list[bytes], int]]:
    lines = iter(source)
    while piece := list(islice(lines, _PIECE)):
        yield piece, first
        first += len(piece)


_own: dict[str, Pseudonyms] = {}


def _start(secret: bytes) -> None:
    _own["pseudonyms"] = Pseudonyms(secret)


def _prepare(lines: list[bytes], first: int) -> Piece:
    return prepare_lines(lines, first, _own["pseudonyms"])


def prepare_lines(
    lines: Sequence[bytes],
    first: int,
    pseudonyms: Pseudonyms,
    translation: Translation | None = None,
) -> Piece:
    """`lines` whose first has the number `first`; a file of our own has no `translation`."""
    piece = Piece([], [], [], sum(map(len, lines)), len(lines))
    for number, raw in enumerate(lines, start=first):
        try:
            facts = _facts_of(raw, pseudonyms, translation)
        except FactRejected as error:
            piece.refused.append(Refused(number, error.reason, error.message))
            continue
        piece.facts.extend(facts)
        piece.numbers.extend([number] * len(facts))
    return piece


def _facts_of(
    raw: bytes, pseudonyms: Pseudonyms, translation: Translation | None
) -> Sequence[FactRow]:
    raw = raw.removeprefix(BOM_UTF8)
    if not raw.strip():
        return ()
    if translation is None:
        return (row_of(unpack(raw), pseudonyms, trusted=True),)
    return [row_of(parse_fact(each), pseudonyms) for each in translation(decode_any(raw))]
