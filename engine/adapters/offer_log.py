"""Offer logs of other systems, whose views and completions do not say which sending they mean.

A view or a completion belongs to a sending of the same offer to the same customer that was open
then. Where several were, the completion is ambiguous and is credited to one: the last that had
been viewed, else the last that was sent, of those without a completion if there are any. A
completion without a view is nobody's doing: it is recorded as a purchase and credited to no offer.

A log of outcomes has one row for each offer: it was shown, and accepted or not.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast

from mersalg.engine import clock
from mersalg.engine.adapters.loose_json import Record, amount_of
from mersalg.engine.errors import DataError, FactRejected
from mersalg.engine.fact_values import is_id
from mersalg.engine.facts import OFFER_LOG
from mersalg.engine.source_sections import STEPS, LogMap, Outcome, Step

Row = Mapping[str, str]


@dataclass(slots=True)
class LogCounts:
    """Rows by what became of them.

    `duplicates` have the id of another row and are left out; `repeated` equal another row in every
    column and count, for nothing says that they are copies. `other` are of events the map does not
    name. `without_customer` and `without_time` name none. `unmatched` views and completions found
    no open sending. Of the completions `ambiguous` fit several, and `unviewed` had not been seen
    before.
    """

    rows: int = 0
    duplicates: int = 0
    repeated: int = 0
    other: int = 0
    rejected: int = 0
    without_customer: int = 0
    without_time: int = 0
    accepted: int = 0
    declined: int = 0
    received: int = 0
    viewed: int = 0
    completed: int = 0
    purchased: int = 0
    ambiguous: int = 0
    unviewed: int = 0
    unmatched_views: int = 0
    unmatched_completions: int = 0

    def json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be read, by its number; the first row after the header is 1."""

    number: int
    row: Row
    message: str


class _Happening(NamedTuple):
    """One row understood; sorts by time, and at one time offers come before what is done.

    `customer` is empty where the row names none.
    """

    at: int
    order: int
    customer: str
    offer: str
    text: str
    step: Step
    open_for: int
    amount: Decimal | None
    segment: str | None


@dataclass(slots=True)
class _Sending:
    key: str
    at: int
    until: int
    viewed_at: int | None = None
    is_completed: bool = False


@dataclass(slots=True)
class Translation:
    """Facts of a log in our schema, in order of time, and how they came about.

    `words` counts the words of the column of outcomes, or those of events that the map does not
    name, with what each was read as.
    """

    facts: list[Record] = field(default_factory=list[Record])
    counts: LogCounts = field(default_factory=LogCounts)
    refused: list[Refused] = field(default_factory=list[Refused])
    words: Counter[tuple[str, Outcome | None]] = field(
        default_factory=Counter[tuple[str, Outcome | None]]
    )


def read_rows(path: Path, log_map: LogMap) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header, or of JSON Lines (`.jsonl`), as texts.

    Raise DataError where the file cannot be read, or lacks a column that the map names.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix in (".jsonl", ".ndjson"):
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield _texts(json.loads(line), number)
                return
            reader = csv.DictReader(file, restval="")
            there = reader.fieldnames or ()
            missing = [name for name in log_map.named_columns if name not in there]
            if missing:
                raise DataError(
                    f"there is no column {', '.join(missing)}; there are {', '.join(there)}",
                    file=str(path),
                )
            for row in reader:
                yield {name: value for name, value in row.items() if isinstance(value, str)}
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file=str(path)) from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"cannot be read as a table: {error}", file=str(path)) from error


def _texts(data: object, number: int) -> Row:
    if not isinstance(data, dict):
        raise ValueError(f"line {number} is not an object")
    record = cast("dict[str, Any]", data)
    return {name: "" if value is None else str(value) for name, value in record.items()}


def translate(rows: Iterable[Row], log_map: LogMap) -> Translation:
    """Return all facts of a log; the same rows give the same facts.

    Rows may come in any order, except those without a time: these are dated just after the row
    before them. Raise DataError for an outcome that is neither accepted nor declined.
    """
    done = Translation()
    reading = _Rows(log_map, done)
    happenings: list[_Happening] = []
    for number, row in enumerate(rows, start=1):
        done.counts.rows += 1
        try:
            happenings += reading.read(number, row)
        except FactRejected as error:
            done.counts.rejected += 1
            done.refused.append(Refused(number, row, error.message))
    if log_map.columns.outcome is None:
        _match(sorted(happenings), log_map, done)
    else:
        for happening in sorted(happenings):
            _record_outcome(happening, log_map, done)
    return done


class _Rows:
    """Reads the rows of a file, in its order."""

    def __init__(self, log_map: LogMap, done: Translation) -> None:
        self._map, self._done = log_map, done
        self._at = log_map.time.start_micros - 1
        self._copies: Counter[str] = Counter()
        self._by_id: dict[str, tuple[int, str]] = {}

    def read(self, number: int, row: Row) -> list[_Happening]:
        """Return what a row says, if anything; raise FactRejected where it cannot be read."""
        whole = repr(sorted(row.items()))
        if self._is_copy(number, row, whole):
            return []
        counts, digest = self._done.counts, _key(whole)
        self._copies[digest] += 1
        counts.repeated += self._copies[digest] > 1
        step = self._step(number, row)
        if step is None:
            counts.other += 1
            return []
        return [self._understood(row, step, f"{whole}/{self._copies[digest]}")]

    def _is_copy(self, number: int, row: Row, whole: str) -> bool:
        name = row.get(self._map.columns.id or "")
        if not name:
            return False
        content = _key(whole)
        first, earlier = self._by_id.setdefault(name, (number, content))
        if content != earlier:
            column = self._map.columns.id
            message = f"{column}: {name[:50]!r} is that of row {first}, which says otherwise"
            raise FactRejected("conflict", message)
        self._done.counts.duplicates += first != number
        return first != number

    def _step(self, number: int, row: Row) -> Step | None:
        log_map, done = self._map, self._done
        column = log_map.columns.outcome
        if column is None:
            word = row.get(log_map.columns.event or "", "")
            step = log_map.steps.get(word)
            if step is None:
                done.words[word, None] += 1
            return step
        word = row.get(column, "")
        outcome = log_map.outcome_of(word)
        if outcome is None:
            raise DataError(
                f"{word[:50]!r} is neither accepted nor declined; nothing was recorded. Name it in"
                " the map, in outcomes.accepted or outcomes.declined",
                row=number,
                column=column,
            )
        done.words[word, outcome] += 1
        return "completed" if outcome == "accepted" else "received"

    def _understood(self, row: Row, step: Step, text: str) -> _Happening:
        log_map, columns = self._map, self._map.columns
        customer = row.get(columns.customer or "", "")
        offer = row.get(columns.offer, "")
        if customer and not is_id(customer):
            raise FactRejected("invalid", f"{columns.customer}: {customer[:50]!r} is no id")
        if step != "purchased" and not is_id(offer):
            raise FactRejected("invalid", f"{columns.offer}: {offer[:50]!r} is no id")
        amount = None if columns.amount is None else amount_of(row, columns.amount)
        if amount is not None and amount < 0:
            raise FactRejected("invalid", f"{columns.amount}: {amount} is below 0")
        duration = None if columns.duration is None else row.get(columns.duration)
        open_for = log_map.open_for(offer, duration) if step == "received" else 0
        time = row.get(columns.time or "", "")
        self._at = log_map.instant(time) if time else self._at + 1
        self._done.counts.without_time += not time
        self._done.counts.without_customer += not customer
        segment = (row.get(columns.segment) or None) if columns.segment is not None else None
        order = STEPS.index(step)
        return _Happening(self._at, order, customer, offer, text, step, open_for, amount, segment)


def _record_outcome(each: _Happening, log_map: LogMap, done: Translation) -> None:
    """Add the facts of an offer that was shown, and accepted or not."""
    key = _key("outcome", each.text)
    sending = _Sending(key, each.at, each.at)
    done.facts += [_decision(key, each, log_map), _view(_key("shown", each.text), each, sending)]
    if each.step == "completed":
        done.counts.accepted += 1
        name = _key("accepted", each.text)
        done.facts.append(_completion(name, each, sending, log_map, credited=True))
    else:
        done.counts.declined += 1


def _match(happenings: Iterable[_Happening], log_map: LogMap, done: Translation) -> None:
    sendings: defaultdict[tuple[str, str], list[_Sending]] = defaultdict(list)
    numbers: Counter[tuple[str, str, str, int]] = Counter()
    for happening in happenings:
        name = (happening.step, happening.customer, happening.offer, happening.at)
        numbers[name] += 1
        key = _key(*map(str, name), str(numbers[name]))
        # Of offers to nobody in particular nothing says which of them a view means.
        theirs = sendings[happening.customer, happening.offer] if happening.customer else []
        opened = [sending for sending in theirs if happening.at <= sending.until]
        if happening.step == "received":
            done.counts.received += 1
            theirs.append(_Sending(key, happening.at, happening.at + happening.open_for))
            done.facts.append(_decision(key, happening, log_map))
        elif happening.step == "viewed":
            done.counts.viewed += 1
            if not opened:
                done.counts.unmatched_views += 1
                continue
            # Of several the first not yet seen: each is looked at once.
            unseen = [sending for sending in opened if sending.viewed_at is None]
            sending = (unseen or opened[-1:])[0]
            sending.viewed_at = happening.at if sending.viewed_at is None else sending.viewed_at
            done.facts.append(_view(key, happening, sending))
        elif happening.step == "completed":
            done.counts.completed += 1
            done.counts.ambiguous += len(opened) > 1
            if not opened:
                done.counts.unmatched_completions += 1
                continue
            viewed = [sending for sending in opened if sending.viewed_at is not None]
            done.counts.unviewed += not viewed
            fitting = viewed or opened
            sending = next(
                (sending for sending in reversed(fitting) if not sending.is_completed), fitting[-1]
            )
            sending.is_completed = True
            done.facts.append(_completion(key, happening, sending, log_map, credited=bool(viewed)))
        else:
            done.counts.purchased += 1
            item_id = happening.offer if is_id(happening.offer) else "purchase"
            done.facts.append(_purchase(key, happening, log_map, {"item_id": item_id}))


def _key(*parts: str) -> str:
    """Return an id that is the same at every import, and unlike that of another log's row."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()


def _decision(key: str, each: _Happening, log_map: LogMap) -> Record:
    offer: Record = {"offer_id": f"{key}/0", "kind": log_map.offers.kind, "item_id": each.offer}
    cart: list[Record] = []
    if log_map.offers.kind == "upsell":
        # What was in the cart is not known; who takes the better item leaves one thing for it.
        cart.append({"item_id": "unknown", "quantity": 1})
        offer["replaces"] = cart[0]
    return {
        "type": "decision",
        "event_id": key,
        "decision_id": key,
        "occurred_at": clock.to_iso(each.at),
        "checkout_id": key,
        "customer_id": each.customer or None,
        # Nobody was left out on purpose: there is no control arm in such a log.
        "arm": "treatment",
        "control_share": 0,
        "placement": OFFER_LOG,
        "segment": each.segment,
        "currency": log_map.offers.currency,
        "lines": cart,
        "offers": [offer],
    }


def _view(key: str, each: _Happening, sending: _Sending) -> Record:
    return {
        "type": "view_promotion",
        "event_id": key,
        "occurred_at": clock.to_iso(each.at),
        "offer_id": f"{sending.key}/0",
        "customer_id": each.customer or None,
    }


def _completion(
    key: str, each: _Happening, sending: _Sending, log_map: LogMap, *, credited: bool
) -> Record:
    credit = {"offer_id": f"{sending.key}/0"} if credited else {}
    return {
        **_purchase(key, each, log_map, {"item_id": each.offer, **credit}),
        "checkout_id": sending.key,
    }


def _purchase(key: str, each: _Happening, log_map: LogMap, item: Record) -> Record:
    item = {**item, "quantity": 1}
    if each.amount is not None and log_map.offers.currency is not None:
        item["price"] = str(each.amount)
    return {
        "type": "purchase",
        "event_id": key,
        "transaction_id": key,
        "occurred_at": clock.to_iso(each.at),
        "customer_id": each.customer or None,
        "currency": log_map.offers.currency,
        "items": [item],
    }
