"""From lines of JSON to facts ready to be written, which several processes can do at once."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.errors import FactRejected
from engine.fact_json import parse_fact, unpack
from engine.fact_schema import decode_any
from engine.storage.fact_rows import FactRow, row_of
from engine.storage.pseudonyms import Pseudonyms

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
