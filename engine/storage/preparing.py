"""From lines of JSON to facts ready to be written, which several processes can do at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import orjson

from engine.errors import FactRejected
from engine.fact_records import from_record
from engine.storage.batch import Prepared, prepare
from engine.storage.ordinary import LONG_NUMBER, ordinary
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

    facts: list[Prepared]
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
) -> Sequence[Prepared]:
    if translation is None:
        quick = ordinary(raw, pseudonyms)
        if quick is not None:
            return (quick,)
    if not raw.strip():
        return ()
    data = parsed(raw)
    if translation is None:
        return (prepare(from_record(data), pseudonyms, trusted=True),)
    return [prepare(from_record(each), pseudonyms) for each in translation(data)]


def parsed(raw: bytes) -> object:
    """The JSON of a line; raises FactRejected."""
    # Floats that say what was written may take the parser that is faster.
    if LONG_NUMBER.search(raw) is None:
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
