"""Files of facts into a store; lines that cannot be recorded are kept with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from mersalg.engine.errors import DataError
from mersalg.engine.progress import Progress, Task
from mersalg.engine.storage.fact_lines import Pieces, Read, Translation, pieces
from mersalg.engine.storage.fact_rows import AppendResult, FactRow
from mersalg.engine.storage.settings import IMPORT
from mersalg.engine.storage.store import Store
from mersalg.engine.storage.writer import Note

_TOGETHER = 50_000
"""Lines of a large file written in one transaction."""

_LARGE = 16_000_000
"""Bytes from which it pays to start other processes."""

_EXAMPLES = 5
_COUNTS = ("recorded", "duplicates", "rejected", "nobody")
"""Of an `ImportResult`, what a later run continues to count."""


@dataclass(slots=True)
class ImportResult:
    """Lines by what became of them; `examples` are (line number, code, message).

    `unknown` are fields of events that are not known, and `nobody` counts facts whose customer is a
    word for none (`guest`); both were ignored. `resumed_at` is the line at which a run that had
    been cut short was taken up again, else None.
    """

    recorded: int = 0
    duplicates: int = 0
    rejected: int = 0
    examples: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    resumed_at: int | None = None
    unknown: frozenset[str] = frozenset()
    nobody: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A file of facts: how large it is, and what tells it from others; None where not known."""

    lines: IO[bytes]
    size: int | None = None
    name: str | None = None

    @classmethod
    def of(cls, file: IO[bytes], path: Path) -> Source:
        """Return the source of an open file; its name, size and time tell it from others."""
        status = os.fstat(file.fileno())
        name = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        return cls(file, status.st_size, name)


class _Rejects:
    """The side file of rejected lines; there is none where nothing was rejected."""

    def __init__(self, path: Path) -> None:
        self._path, self._resumed, self.size = path, False, 0
        self._file: IO[bytes] | None = None

    def resume(self, kept: int | None) -> None:
        """Continue behind the bytes that an interrupted run wrote for the lines it recorded.

        They are `kept`; where their number is not known, the whole file is.
        """
        if kept is None:
            kept = self._path.stat().st_size if self._path.exists() else 0
        self._resumed, self.size = True, kept

    def put(self, entries: Sequence[bytes]) -> int:
        """Write entries in place of what a failed attempt left behind the first `size` bytes.

        The size of the file with them is returned.
        """
        if self._file is None and not entries:
            return self.size
        try:
            if self._file is None:
                is_there = self._resumed and self._path.exists()
                self._file = self._path.open("r+b" if is_there else "wb")
            self._file.seek(self.size)
            self._file.truncate()
            self._file.writelines(entries)
            self._file.flush()
            return self._file.tell()
        except OSError as error:
            message = f"cannot write the rejected lines: {error.strerror}"
            raise DataError(message, file=str(self._path)) from error

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

    Raises
    ------
    StorageUnavailable
        The database is away; what went before is recorded.
    DataError
        The rejected lines cannot be written; what went before is recorded.
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
    result = place.restored()
    if place.offset:
        source.lines.seek(place.offset)
        progress.advance(place.offset)
        result.resumed_at = place.line
    side = _Rejects(rejects)
    if place.offset:
        side.resume(place.rejected_bytes)
    large = (source.size or 0) - place.offset >= _LARGE and translation is None
    try:
        with pieces(
            source.lines, place.line, store.people.pseudonyms, translation, large=large
        ) as read:
            for together in _joined(read, _TOGETHER if large else 1):
                result = _write(store, together, result, side, place)
                progress.advance(sum(piece.size for _, piece, _ in together))
        place.forget()
    finally:
        side.close()
    return result


class _Place:
    """Progress of recording a file, which a later run on it reads; nothing for a stream."""

    def __init__(self, store: Store, name: str | None) -> None:
        self._store, self._mark = store, None if name is None else f"{IMPORT}{name}"
        self.offset, self.line = 0, 1
        self.rejected_bytes: int | None = 0

    def restored(self) -> ImportResult:
        """Return what an earlier run counted."""
        text = None if self._mark is None else self._store.note(self._mark)
        if text is None:
            return ImportResult()
        bookmarks: dict[str, Any] = orjson.loads(text)
        self.offset, self.line = bookmarks["offset"], bookmarks["line"]
        # Version 0.1.0 did not note it; then all that its side file holds is kept.
        self.rejected_bytes = bookmarks.get("rejected_bytes")
        return ImportResult(**{name: bookmarks.get(name, 0) for name in _COUNTS})

    def advance(self, size: int, lines: int) -> None:
        self.offset += size
        self.line += lines

    def note(self, result: ImportResult, rejected_bytes: int) -> Note | None:
        """Return the note that a later run resumes from."""
        if self._mark is None:
            return None
        counts = {name: getattr(result, name) for name in _COUNTS}
        place = {"offset": self.offset, "line": self.line, "rejected_bytes": rejected_bytes}
        return self._mark, orjson.dumps(counts | place).decode()

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
            before.unknown.union(*(piece.unknown for _, piece, _ in together)),
            before.nobody + sum(piece.n_nobody for _, piece, _ in together),
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


def _joined(read: Pieces, lines: int) -> Iterator[list[Read]]:
    """Yield pieces together that have so many lines, fewer at the end."""
    together: list[Read] = []
    for each in read:
        together.append(each)
        if sum(piece.lines for _, piece, _ in together) >= lines:
            yield together
            together = []
    if together:
        yield together
