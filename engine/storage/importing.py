"""Whole files of facts into a store, line by line; what cannot be taken is kept with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO

import orjson

from engine.errors import DataError, FactRejected
from engine.events import Fact
from engine.fact_records import from_record
from engine.progress import Task
from engine.storage.store import Store

_BATCH = 5_000
_EXAMPLES = 5
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")


@dataclass(slots=True)
class ImportResult:
    """Lines by what became of them; `examples` are (line number, code, message)."""

    recorded: int = 0
    duplicates: int = 0
    rejected: int = 0
    examples: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    raw: bytes
    fact: Fact


class _Rejects:
    """The side file of rejected lines; there is none where nothing was rejected."""

    def __init__(self, path: Path, result: ImportResult) -> None:
        self._path, self._result = path, result
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
            return self._path.open("wb")
        except OSError as error:
            message = f"cannot write the rejected lines: {error.strerror}"
            raise DataError(message, file=str(self._path)) from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        else:
            # An earlier run's rejects would accuse lines that have been mended since.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


Translation = Callable[[object], Sequence[object]]
"""From a line's JSON to facts in our schema; none where it says nothing of offers or orders."""


def import_facts(
    store: Store,
    lines: Iterable[bytes],
    rejects: Path,
    progress: Task,
    translation: Translation | None = None,
) -> ImportResult:
    """Record the facts of JSON Lines in batches, each on disk before the next is read.

    A run that was cut short may simply be run again: what is recorded counts as a duplicate.
    `progress` advances by the bytes read. Blank lines are passed over. With a `translation` the
    file is another system's: what looks like a pseudonym in it is an id like others.

    Raises:
        StorageUnavailable: the database is away; what went before is recorded.
        DataError: the rejected lines cannot be written; what went before is recorded.
    """
    result = ImportResult()
    side = _Rejects(rejects, result)
    batch: list[_Line] = []
    waiting = 0
    try:
        for number, raw in enumerate(lines, start=1):
            waiting += len(raw)
            if raw.strip():
                try:
                    data = _parsed(raw)
                    records = (data,) if translation is None else translation(data)
                    batch += [_Line(number, raw, from_record(record)) for record in records]
                except FactRejected as error:
                    side.add(number, raw, error.reason, error.message)
            if len(batch) >= _BATCH:
                _record(store, batch, result, side, trusted=translation is None)
                batch = []
                progress.advance(waiting)
                waiting = 0
        _record(store, batch, result, side, trusted=translation is None)
        progress.advance(waiting)
    finally:
        side.close()
    return result


def _parsed(raw: bytes) -> object:
    # Up to 15 digits a float says what was written; such lines take the parser that is faster.
    if _LONG_NUMBER.search(raw) is None:
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # the other one tells what is wrong, and reads a byte order mark
    try:
        # Decimals, not floats: an amount of money means what its digits say.
        return json.loads(raw.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise FactRejected("invalid", "the line is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise FactRejected("invalid", f"the line is not JSON: {error}") from error


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _record(
    store: Store, batch: list[_Line], result: ImportResult, side: _Rejects, *, trusted: bool
) -> None:
    if not batch:
        return
    appended = store.append([line.fact for line in batch], trusted=trusted)
    result.recorded += appended.recorded
    result.duplicates += appended.duplicates
    for rejection in appended.rejected:
        line = batch[rejection.index]
        side.add(line.number, line.raw, rejection.code, rejection.message)
