"""Facts as rows: one fact, and a batch of them, which finds its duplicates and conflicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from mersalg.engine.fact_bodies import digest_and_pack
from mersalg.engine.fact_values import STOREFRONT_PREFIX, is_id
from mersalg.engine.facts import Event, Fact
from mersalg.engine.storage.pseudonyms import Pseudonyms

Row = tuple[Any, ...]
"""Values of a table's columns, in their order."""

COLUMNS = 10
"""Of a `FactRow`, those that are columns of `facts`."""
OCCURRED_AT = 2
"""Place of the instant in a row of `facts`."""

_columns, _event_id = itemgetter(slice(COLUMNS)), itemgetter(0)
_NO_IDS = "an id is empty, too long, or holds characters that are not text"
_NOT_APART = f"event_id begins with {STOREFRONT_PREFIX}, as only those of storefront keys do"


class FactRow(NamedTuple):
    """A fact ready to be written; the fields before `decision_id` are the columns of `facts`."""

    event_id: str
    type: str
    occurred_at: int
    checkout_id: str | None
    session_id: str | None
    customer_id: str | None
    offer_id: str | None
    transaction_id: str | None
    digest: bytes
    body: str
    decision_id: str | None = None
    offer_ids: tuple[str, ...] = ()
    """Of the offers a decision made."""
    named: tuple[str, ...] = ()
    """Of the offers that the lines of an order name."""
    problem: str | None = None
    """Why the fact cannot be taken, None where it can."""


def row_of(fact: Fact, pseudonyms: Pseudonyms, *, trusted: bool = False) -> FactRow:
    """Return the row of a fact, its customer and session under pseudonyms."""
    problem = _problem_of(fact)
    fact = pseudonyms.applied(fact, trusted=trusted)
    offer_id = transaction_id = decision_id = None
    offer_ids = named = ()
    if isinstance(fact, Event):
        kind, offer_id, transaction_id = fact.type, fact.offer_id, fact.transaction_id
        if fact.items:
            named = tuple(sorted({each.offer_id for each in fact.items if each.offer_id}))
    else:
        kind, decision_id = "decision", fact.decision_id
        offer_ids = tuple([offer.offer_id for offer in fact.offers])
    digest, body = (b"", b"") if problem else digest_and_pack(fact)
    return FactRow(
        fact.event_id,
        kind,
        fact.occurred_at,
        fact.checkout_id,
        fact.session_id,
        fact.customer_id,
        offer_id,
        transaction_id,
        digest,
        body.decode(),
        decision_id,
        offer_ids,
        named,
        problem,
    )


def _problem_of(fact: Fact) -> str | None:
    """Return why a fact cannot be taken, None where it can.

    Ids of decisions were not checked: they are made from a catalogue, all other facts are read.
    """
    if isinstance(fact, Event):
        is_apart = fact.scope in (None, "server") and fact.event_id.startswith(STOREFRONT_PREFIX)
        return _NOT_APART if is_apart else None
    ids = [fact.event_id, fact.decision_id, fact.checkout_id, fact.model_version, fact.placement]
    ids += [line.item_id for line in fact.lines]
    for offer in fact.offers:
        ids += (offer.offer_id, offer.item_id)
    return None if all(map(is_id, ids)) else _NO_IDS


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fact that was not recorded: its index in the batch, a stable code and a sentence."""

    index: int
    code: str
    message: str


class AppendResult(Struct, frozen=True, gc=False):
    """`recorded` + `duplicates` + `len(rejected)` is the size of the batch.

    `duplicate_indices` are the places of the duplicates in the batch, in order as `rejected` is.
    """

    recorded: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()
    duplicate_indices: tuple[int, ...] = ()

    def split(self, sizes: Sequence[int]) -> Iterator[AppendResult]:
        """Yield the results of the calls of these sizes that a batch was made of, in order."""
        duplicates, rejected = deque(self.duplicate_indices), deque(self.rejected)
        start = 0
        for size in sizes:
            own: list[int] = []
            while duplicates and duplicates[0] < start + size:
                own.append(duplicates.popleft() - start)
            refused: list[Rejection] = []
            while rejected and rejected[0].index < start + size:
                refused.append(replace(rejected[0], index=rejected.popleft().index - start))
            n_new = size - len(own) - len(refused)
            yield AppendResult(n_new, len(own), tuple(refused), tuple(own))
            start += size


class Batch:
    """Facts, prepared, and what became of each.

    Facts of the batch that share an `event_id` are compared here. Against what is stored already
    the writer asks the database and calls `leave_out_known` and then `reject_clashing`; `rows` and
    the other rows hold what is left to be written.
    """

    def __init__(self, facts: Sequence[FactRow]) -> None:
        self._facts = facts
        self._index: dict[str, int] = {}
        self._duplicates: list[int] = []
        self._rejected: dict[int, Rejection] = {}
        for index, fact in enumerate(facts):
            if fact.problem is not None:
                self._rejected[index] = Rejection(index, "invalid", fact.problem)
                continue
            first = self._index.setdefault(fact.event_id, index)
            if first == index:
                continue
            if facts[first].digest == fact.digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", fact.event_id)
        # One order in every process, so that two batches cannot wait for each other.
        self._set_rows(sorted(map(facts.__getitem__, self._index.values()), key=_event_id))

    def _set_rows(self, new: Sequence[FactRow]) -> None:
        self._new = new
        linked = [fact for fact in new if fact.named or fact.decision_id is not None]
        decisions = [fact for fact in linked if fact.decision_id is not None]
        self.rows: list[Row] = [*map(_columns, new)]
        self.decision_rows: list[Row] = sorted(
            (fact.decision_id, fact.event_id) for fact in decisions
        )
        """(decision_id, event_id)"""
        self.offer_rows: list[Row] = sorted(
            (each, fact.event_id) for fact in decisions for each in dict.fromkeys(fact.offer_ids)
        )
        """(offer_id, event_id)"""
        self.named_rows: list[Row] = sorted(
            (each, fact.event_id) for fact in linked for each in fact.named
        )
        """(offer_id, event_id) of the offers that lines of purchases and refunds name."""

    def _reject(self, index: int, field: str, value: str) -> None:
        message = f"{field} {value} is known already with another content"
        self._rejected[index] = Rejection(index, "conflict", message)

    def leave_out_known(self, stored: Mapping[str, bytes]) -> None:
        """Leave out facts that are stored, whose digests are given by `event_id`.

        One with the same digest is a duplicate, one with another digest a conflict.
        """
        for event_id, digest in stored.items():
            index = self._index[event_id]
            if self._facts[index].digest == digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", event_id)
        self._leave_out(stored)

    def _leave_out(self, event_ids: Collection[str]) -> None:
        if event_ids:
            self._set_rows([fact for fact in self._new if fact.event_id not in event_ids])

    @staticmethod
    def first_of(rows: Sequence[Row]) -> dict[str, str]:
        """Return (key, event_id) of the first row of each key, in the order of the rows."""
        return dict(reversed(dict(reversed(rows)).items()))

    def reject_clashing(self, field: str, rows: Sequence[Row], known: Collection[str]) -> set[str]:
        """Reject decisions of which a key is known or another's too; return their event ids.

        `rows` are the `decision_rows` or the `offer_rows`, `field` is what their keys are called.
        """
        owners = self.first_of(rows)
        clashing = {
            event_id: key for key, event_id in rows if key in known or owners[key] != event_id
        }
        for event_id, key in clashing.items():
            self._reject(self._index[event_id], field, key)
        self._leave_out(clashing)
        return set(clashing)

    def result(self) -> AppendResult:
        """Return what became of the batch; a copy of a rejected fact is rejected like it."""
        rejected = dict(self._rejected)
        duplicates: list[int] = []
        for index in sorted(self._duplicates):
            first = rejected.get(self._index[self._facts[index].event_id])
            if first is not None and first.index != index:
                rejected[index] = Rejection(index, first.code, first.message)
            else:
                duplicates.append(index)
        ordered = tuple(rejected[index] for index in sorted(rejected))
        recorded = len(self._facts) - len(duplicates) - len(ordered)
        return AppendResult(recorded, len(duplicates), ordered, tuple(duplicates))
