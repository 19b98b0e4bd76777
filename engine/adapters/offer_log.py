"""Offer logs of other systems, whose views and completions do not say which sending they mean.

A view or a completion belongs to a sending of the same offer to the same customer that was open
then. Where several were, the completion is ambiguous and is credited to one: the last that had
been viewed, else the last that was sent. A completion without a view is nobody's doing: it is
recorded as a purchase and credited to no offer.
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

from engine import clock
from engine.adapters.log_map import STEPS, LogMap, Step
from engine.adapters.reading import Record, amount_of
from engine.errors import DataError, FactRejected
from engine.fact_fields import is_id

Row = Mapping[str, str]


@dataclass(slots=True)
class LogCounts:
    """Rows by what became of them.

    `duplicates` repeat another row in every column and are left out; `other` are of events the map
    does not name. `unmatched` views and completions found no open sending. Of the completions
    `ambiguous` fit several, and `unviewed` had not been seen before.
    """

    rows: int = 0
    duplicates: int = 0
    other: int = 0
    rejected: int = 0
    received: int = 0
    viewed: int = 0
    completed: int = 0
    purchased: int = 0
    ambiguous: int = 0
    unviewed: int = 0
    unmatched_views: int = 0
    unmatched_completions: int = 0

    def json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be read, by its number; the first row after the header is 1."""

    number: int
    row: Row
    message: str


class _Happening(NamedTuple):
    """One row understood; sorts by time, and at one time offers come before what is done."""

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


@dataclass(slots=True)
class Translation:
    """Facts of a log in our schema, in order of time, and how they came about."""

    facts: list[Record] = field(default_factory=list[Record])
    counts: LogCounts = field(default_factory=LogCounts)
    refused: list[Refused] = field(default_factory=list[Refused])


def read_rows(path: Path, log_map: LogMap) -> Iterator[Row]:
    """Rows of a CSV file with a header, or of JSON Lines (`.jsonl`), as texts.

    Raises:
        DataError: the file cannot be read, or lacks a column the map names.
    """
    wanted = [log_map.event, log_map.customer, log_map.offer, log_map.time]
    wanted += [
        name for name in (log_map.amount, log_map.duration, log_map.segment) if name is not None
    ]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix in (".jsonl", ".ndjson"):
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield _texts(json.loads(line), number)
                return
            reader = csv.DictReader(file, restval="")
            missing = [name for name in wanted if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"there is no column {', '.join(missing)}; there are"
                    f" {', '.join(reader.fieldnames or ())}",
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
    """All facts of a log; rows may come in any order, and the same rows give the same facts."""
    done = Translation()
    seen: set[tuple[tuple[str, str], ...]] = set()
    happenings: list[_Happening] = []
    for number, row in enumerate(rows, start=1):
        done.counts.rows += 1
        whole = tuple(sorted(row.items()))
        if whole in seen:
            done.counts.duplicates += 1
            continue
        seen.add(whole)
        step = log_map.steps.get(row.get(log_map.event, ""))
        if step is None:
            done.counts.other += 1
            continue
        try:
            happenings.append(_understood(row, step, log_map))
        except FactRejected as error:
            done.counts.rejected += 1
            done.refused.append(Refused(number, row, error.message))
    _match(sorted(happenings), log_map, done)
    return done


def _understood(row: Row, step: Step, log_map: LogMap) -> _Happening:
    customer, offer = row.get(log_map.customer, ""), row.get(log_map.offer, "")
    if not is_id(customer):
        raise FactRejected("invalid", f"{log_map.customer}: {customer[:50]!r} is no id")
    if step != "purchased" and not is_id(offer):
        raise FactRejected("invalid", f"{log_map.offer}: {offer[:50]!r} is no id")
    amount = None if log_map.amount is None else amount_of(row, log_map.amount)
    if amount is not None and amount < 0:
        raise FactRejected("invalid", f"{log_map.amount}: {amount} is below 0")
    duration = None if log_map.duration is None else row.get(log_map.duration)
    return _Happening(
        log_map.instant(row.get(log_map.time, "")),
        STEPS.index(step),
        customer,
        offer,
        repr(sorted(row.items())),
        step,
        log_map.open_for(offer, duration) if step == "received" else 0,
        amount,
        (row.get(log_map.segment) or None) if log_map.segment is not None else None,
    )


def _match(happenings: Iterable[_Happening], log_map: LogMap, done: Translation) -> None:
    sendings: defaultdict[tuple[str, str], list[_Sending]] = defaultdict(list)
    numbers: Counter[tuple[str, str, str, int]] = Counter()
    for each in happenings:
        name = (each.step, each.customer, each.offer, each.at)
        numbers[name] += 1
        key = _key(*map(str, name), str(numbers[name]))
        theirs = sendings[each.customer, each.offer]
        opened = [sending for sending in theirs if each.at <= sending.until]
        if each.step == "received":
            done.counts.received += 1
            theirs.append(_Sending(key, each.at, each.at + each.open_for))
            done.facts.append(_decision(key, each, log_map))
        elif each.step == "viewed":
            done.counts.viewed += 1
            if not opened:
                done.counts.unmatched_views += 1
                continue
            # Of several the first not yet seen: each is looked at once.
            unseen = [sending for sending in opened if sending.viewed_at is None]
            sending = (unseen or opened[-1:])[0]
            sending.viewed_at = each.at if sending.viewed_at is None else sending.viewed_at
            done.facts.append(_view(key, each, sending))
        elif each.step == "completed":
            done.counts.completed += 1
            done.counts.ambiguous += len(opened) > 1
            if not opened:
                done.counts.unmatched_completions += 1
                continue
            viewed = [sending for sending in opened if sending.viewed_at is not None]
            done.counts.unviewed += not viewed
            sending = (viewed or opened)[-1]
            done.facts.append(_completion(key, each, sending, log_map, credited=bool(viewed)))
        else:
            done.counts.purchased += 1
            done.facts.append(_purchase(key, each, log_map))


def _key(*parts: str) -> str:
    """The same at every import, and unlike any id of another log's row."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()


def _decision(key: str, each: _Happening, log_map: LogMap) -> Record:
    offer: Record = {"offer_id": f"{key}/0", "kind": log_map.kind, "item_id": each.offer}
    if log_map.kind == "upsell":
        offer["replaces"] = {"item_id": "unknown", "quantity": 1}
    return {
        "type": "decision",
        "event_id": key,
        "decision_id": key,
        "occurred_at": clock.to_iso(each.at),
        "checkout_id": key,
        "customer_id": each.customer,
        # Nobody was left out on purpose: there is no control arm in such a log.
        "arm": "treatment",
        "control_share": 0,
        "placement": "offer log",
        "segment": each.segment,
        "currency": log_map.currency,
        "offers": [offer],
    }


def _view(key: str, each: _Happening, sending: _Sending) -> Record:
    return {
        "type": "view_promotion",
        "event_id": key,
        "occurred_at": clock.to_iso(each.at),
        "offer_id": f"{sending.key}/0",
        "customer_id": each.customer,
    }


def _completion(
    key: str, each: _Happening, sending: _Sending, log_map: LogMap, *, credited: bool
) -> Record:
    item: Record = {"item_id": each.offer, "quantity": 1}
    if credited:
        item["offer_id"] = f"{sending.key}/0"
    if each.amount is not None and log_map.currency is not None:
        item["price"] = str(each.amount)
    return {
        "type": "purchase",
        "event_id": key,
        "transaction_id": key,
        "occurred_at": clock.to_iso(each.at),
        "checkout_id": sending.key,
        "customer_id": each.customer,
        "currency": log_map.currency,
        "items": [item],
    }


def _purchase(key: str, each: _Happening, log_map: LogMap) -> Record:
    item: Record = {"item_id": each.offer if is_id(each.offer) else "purchase", "quantity": 1}
    if each.amount is not None and log_map.currency is not None:
        item["price"] = str(each.amount)
    return {
        "type": "purchase",
        "event_id": key,
        "transaction_id": key,
        "occurred_at": clock.to_iso(each.at),
        "customer_id": each.customer,
        "currency": log_map.currency,
        "items": [item],
    }
