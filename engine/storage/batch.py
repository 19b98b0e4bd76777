"""One batch of facts on its way into the tables: rows, duplicates, conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engine.events import Fact
from engine.fact_records import digest_and_pack, digest_and_put_together
from engine.fields import is_id
from engine.fragments import Fragments
from engine.offers import Decision
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.store import AppendResult, Rejection

Row = tuple[Any, ...]
"""Values of a table's columns, in their order."""

COLUMNS = 10
"""Of a `Prepared`, those that are columns of `facts`."""
OCCURRED_AT = 2
"""Place of the instant in a row of `facts`."""


_NO_IDS = "an id is empty, too long, or holds characters that are not text"


class Prepared(NamedTuple):
    """A fact ready to be written: its row, and the ids that must stand once.

    Attributes:
        offer_ids: of the offers a decision made; `named` those the lines of an order name.
        problem: why it cannot be taken, None where it can.
    """

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
    named: tuple[str, ...] = ()
    problem: str | None = None


def prepare(fact: Fact, pseudonyms: Pseudonyms, *, trusted: bool = False) -> Prepared:
    """A fact as it will be written, under pseudonyms."""
    if isinstance(fact, Decision) and fact.fragments is not None:
        return _prepared_of(fact, fact.fragments, pseudonyms, trusted=trusted)
    return _prepared(pseudonyms.applied(fact, trusted=trusted))


def _prepared_of(
    decision: Decision, fragments: Fragments, pseudonyms: Pseudonyms, *, trusted: bool
) -> Prepared:
    """Of a decision whose lines and offers were written before."""
    session, customer = decision.session_id, decision.customer_id
    if session is not None:
        session = pseudonyms.of("session", session, trusted=trusted)
    if customer is not None:
        customer = pseudonyms.of("customer", customer, trusted=trusted)
    digest, body = digest_and_put_together(decision, fragments, session, customer)
    whole = fragments.ids_hold and all(map(is_id, _own_ids_of(decision)))
    return Prepared(
        *(decision.event_id, "decision", decision.occurred_at, decision.checkout_id),
        *(session, customer, None, None, digest, body.decode(), decision.decision_id),
        tuple([offer.offer_id for offer in decision.offers]),
        (),
        None if whole else _NO_IDS,
    )


def _prepared(fact: Fact) -> Prepared:
    digest, body = digest_and_pack(fact)
    if isinstance(fact, Decision):
        whole = all(map(is_id, _ids_of(fact)))
        return Prepared(
            fact.event_id,
            "decision",
            fact.occurred_at,
            fact.checkout_id,
            fact.session_id,
            fact.customer_id,
            None,
            None,
            digest,
            body.decode(),
            fact.decision_id,
            tuple(offer.offer_id for offer in fact.offers),
            (),
            None if whole else _NO_IDS,
        )
    return Prepared(
        fact.event_id,
        fact.type,
        fact.occurred_at,
        fact.checkout_id,
        fact.session_id,
        fact.customer_id,
        fact.offer_id,
        fact.transaction_id,
        digest,
        body.decode(),
        named=tuple(sorted({item.offer_id for item in fact.items if item.offer_id})),
    )


class Batch:
    """Facts, prepared, and what became of each.

    Facts with one `event_id` inside the batch are told apart here; against what is stored already
    the store asks the database and tells `keep_new`, `compare` and the `without_` methods.
    """

    def __init__(self, facts: Sequence[Prepared]) -> None:
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
        self._new = [facts[index] for _, index in sorted(self._index.items())]
        self.rows = [fact[:COLUMNS] for fact in self._new]

    def _reject(self, index: int, field: str, value: str) -> None:
        message = f"{field} {value} is known already with another content"
        self._rejected[index] = Rejection(index, "conflict", message)

    @property
    def is_plain(self) -> bool:
        """Whether each fact may be taken and comes once, as far as is known without asking."""
        return not self._rejected and not self._duplicates

    def keep_new(self, taken: set[str]) -> list[str]:
        """Only the ids in `taken` were new; the others, to be compared, are given back."""
        known = [fact.event_id for fact in self._new if fact.event_id not in taken]
        self._new = [fact for fact in self._new if fact.event_id in taken]
        return known

    def compare(self, stored: Mapping[str, bytes]) -> None:
        """Known ids whose stored digest is the same are duplicates, the others conflicts."""
        for event_id, digest in stored.items():
            index = self._index[event_id]
            if self._facts[index].digest == digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", event_id)

    def _new_decisions(self) -> list[Prepared]:
        return [fact for fact in self._new if fact.decision_id is not None]

    @property
    def decision_rows(self) -> list[Row]:
        """(decision_id, event_id)"""
        return sorted((fact.decision_id or "", fact.event_id) for fact in self._new_decisions())

    @property
    def offer_rows(self) -> list[Row]:
        """(offer_id, event_id)"""
        decisions = self._new_decisions()
        return sorted((each, fact.event_id) for fact in decisions for each in fact.offer_ids)

    @property
    def named_rows(self) -> list[Row]:
        """(offer_id, event_id) of the offers that lines of purchases and refunds name."""
        return sorted((each, fact.event_id) for fact in self._new for each in fact.named)

    def without_decisions(self, taken: set[str]) -> set[str]:
        """Event ids of the decisions whose `decision_id` was known; they are rejected."""
        clashing = {
            decision.event_id: decision.decision_id or ""
            for decision in self._new_decisions()
            if decision.event_id not in taken
        }
        return self._withdraw(clashing, "decision_id")

    def without_offers(self, taken: set[tuple[str, str]]) -> set[str]:
        """Event ids of the decisions with an `offer_id` that was known; they are rejected.

        `taken` are the (offer_id, event_id) that were new.
        """
        clashing = {
            decision.event_id: offer_id
            for decision in self._new_decisions()
            for offer_id in decision.offer_ids
            if (offer_id, decision.event_id) not in taken
        }
        return self._withdraw(clashing, "offer_id")

    def _withdraw(self, clashing: Mapping[str, str], field: str) -> set[str]:
        for event_id, value in clashing.items():
            self._reject(self._index[event_id], field, value)
        self._new = [fact for fact in self._new if fact.event_id not in clashing]
        return set(clashing)

    @property
    def new_instants(self) -> dict[str, int]:
        """When each of the facts that were new occurred."""
        return {fact.event_id: fact.occurred_at for fact in self._new}

    def result(self) -> AppendResult:
        """What became of the batch; a copy of a rejected fact is rejected like it."""
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


def _ids_of(decision: Decision) -> Iterator[str | None]:
    """A decision is made here, from a catalogue nobody checked; all other facts were read."""
    yield from _own_ids_of(decision)
    for line in decision.lines:
        yield line.item_id
    for offer in decision.offers:
        yield from (offer.offer_id, offer.item_id)
        if offer.replaces is not None:
            yield offer.replaces.item_id


def _own_ids_of(decision: Decision) -> tuple[str | None, ...]:
    return (
        *(decision.event_id, decision.decision_id, decision.checkout_id),
        *(decision.model_version, decision.placement),
    )
