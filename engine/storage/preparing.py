"""From lines of JSON to facts ready to be written, which several processes can do at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, cast

import orjson

from engine import clock
from engine.errors import FactRejected
from engine.events import PROMOTION_TYPES, record_digest
from engine.fact_records import from_record
from engine.fields import LONGEST_ID
from engine.storage.batch import Prepared, prepare
from engine.storage.pseudonyms import Pseudonyms

_LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}")
_PROMOTION = frozenset(
    ("type", "event_id", "occurred_at", "offer_id", "checkout_id", "session_id", "customer_id")
)

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
        facts: those that can be written, as plain tuples, which travel faster between processes.
        numbers: the line of each.
        size, lines: of the piece, blank lines included.
    """

    facts: list[tuple[object, ...]]
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
        piece.facts.extend(map(tuple, facts))
        piece.numbers.extend([number] * len(facts))
    return piece


def _facts_of(
    raw: bytes, pseudonyms: Pseudonyms, translation: Translation | None
) -> Sequence[Prepared]:
    if translation is None:
        quick = _promotion(raw, pseudonyms)
        if quick is not None:
            return (quick,)
    if not raw.strip():
        return ()
    data = parsed(raw)
    if translation is None:
        return (prepare(pseudonyms.applied(from_record(data), trusted=True)),)
    return [prepare(pseudonyms.applied(from_record(each))) for each in translation(data)]


def _promotion(raw: bytes, pseudonyms: Pseudonyms) -> Prepared | None:
    """What `prepare` gives of an ordinary promotion event, at a third of the price.

    They are most of what a shop records. None for whatever is the least out of the ordinary.
    """
    if b"_promotion" not in raw and b"add_to_cart" not in raw:
        return None
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if type(data) is not dict:
        return None
    given = cast("dict[str, object]", data)
    if not given.keys() <= _PROMOTION or not all(type(each) is str for each in given.values()):
        return None
    record = cast("dict[str, str]", data)
    every = "".join(record.values())
    if not every.isascii() or "\x00" in every or record.get("type") not in PROMOTION_TYPES:
        return None
    if not all(0 < len(value) <= LONGEST_ID for value in record.values()):
        return None
    try:
        event_id, offer_id = record["event_id"], record["offer_id"]
        instant = clock.parse_instant(record["occurred_at"])
        written = clock.to_iso(instant)
    except (KeyError, ValueError, OverflowError):
        return None
    kind, checkout = record["type"], record.get("checkout_id")
    session, customer = record.get("session_id"), record.get("customer_id")
    if session is not None:
        session = pseudonyms.of("session", session, trusted=True)
    if customer is not None:
        customer = pseudonyms.of("customer", customer, trusted=True)
    # Keys in the order in which every fact is written.
    told = {"type": kind, "event_id": event_id, "occurred_at": written, "offer_id": offer_id}
    if checkout is not None:
        told["checkout_id"] = checkout
    if session is not None:
        told["session_id"] = session
    if customer is not None:
        told["customer_id"] = customer
    return Prepared(
        *(event_id, kind, instant, checkout, session, customer, offer_id, None),
        record_digest(told),
        orjson.dumps(told).decode(),
    )


def parsed(raw: bytes) -> object:
    """The JSON of a line; raises FactRejected."""
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
