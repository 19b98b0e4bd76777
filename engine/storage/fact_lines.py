"""Lines of a file of facts as rows, a piece of the file at a time.

Other processes read, check and hash the lines of a large file while this one writes.
"""

from __future__ import annotations

import gc
import os
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import msgspec

from mersalg.engine.decoding import convert_fact, decode_any, decode_fact
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_json import fact_of, names_nobody
from mersalg.engine.fact_schema import FactBody
from mersalg.engine.processes import Workers
from mersalg.engine.storage.fact_rows import FactRow, row_of
from mersalg.engine.storage.pseudonyms import Pseudonyms

_PIECE = 5_000

Translation = Callable[[object], Sequence[object]]
"""From a line's JSON to facts in our schema; none where it says nothing of offers or orders."""


class Refused(NamedTuple):
    """A line that is no fact."""

    number: int
    code: str
    message: str


class Piece(NamedTuple):
    """Lines that were read together: `facts` that can be written, and the line of each.

    `size` and `lines` count blank lines too, `unknown` are fields of events that are not known, and
    `n_nobody` counts facts whose customer is a word for none.
    """

    facts: list[FactRow]
    numbers: list[int]
    refused: list[Refused]
    size: int
    lines: int
    unknown: set[str]
    n_nobody: int


Read = tuple[list[bytes], Piece, int]
"""Lines, what they hold, and the number of the first."""

Pieces = Iterator[Read]


@contextmanager
def pieces(
    source: Iterable[bytes],
    first: int,
    pseudonyms: Pseudonyms,
    translation: Translation | None,
    *,
    large: bool,
) -> Generator[Pieces, None, None]:
    """Open a context with the pieces of a file whose first line has the number `first`.

    `translation` turns the JSON of another system's line into facts, None for a file of facts. Of a
    `large` file other processes prepare the lines.
    """
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
    submitted = (
        (lines, number, workers.submit(_prepare, lines, number)) for lines, number in numbered
    )
    waiting = deque(islice(submitted, 4 * (os.cpu_count() or 1) + 8))
    decode = msgspec.msgpack.Decoder(Piece).decode
    while waiting:
        lines, number, future = waiting.popleft()
        waiting.extend(islice(submitted, 1))
        yield lines, decode(future.result()), number


def _numbered(source: Iterable[bytes], first: int) -> Iterator[tuple[list[bytes], int]]:
    lines = iter(source)
    while piece := list(islice(lines, _PIECE)):
        yield piece, first
        first += len(piece)


_own: dict[str, Pseudonyms] = {}


def _start(secret: bytes) -> None:
    """Begin a worker process."""
    gc.disable()  # as in the process that writes: rows form no cycles
    _own["pseudonyms"] = Pseudonyms(secret)


def _prepare(lines: list[bytes], first: int) -> bytes:
    """Return a piece encoded, which takes a fifth of the time that pickling its rows does."""
    return msgspec.msgpack.encode(prepare_lines(lines, first, _own["pseudonyms"]))


def prepare_lines(
    lines: Sequence[bytes],
    first: int,
    pseudonyms: Pseudonyms,
    translation: Translation | None = None,
) -> Piece:
    """Return the rows of lines whose first has the number `first`; see `pieces`."""
    rows: list[FactRow] = []
    numbers: list[int] = []
    refused: list[Refused] = []
    unknown, n_nobody = set[str](), 0
    for number, raw in enumerate(lines, start=first):
        raw = raw.removeprefix(BOM_UTF8)
        if not raw or raw.isspace():
            continue
        try:
            if translation is None:
                bodies: Sequence[FactBody] = (decode_fact(raw, unknown),)
            else:
                bodies = [convert_fact(each) for each in translation(decode_any(raw))]
            stated = [(body, fact_of(body)) for body in bodies]
        except FactRejected as error:
            refused.append(Refused(number, error.reason, error.message))
            continue
        for body, fact in stated:
            rows.append(row_of(fact, pseudonyms, trusted=translation is None))
            numbers.append(number)
            n_nobody += names_nobody(body, fact)
    return Piece(rows, numbers, refused, sum(map(len, lines)), len(lines), unknown, n_nobody)
