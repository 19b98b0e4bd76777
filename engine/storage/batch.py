"""One batch of facts on its way into the tables: rows, duplicates, conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.events import Fact
from engine.fact_records import digest_and_pack
from engine.fields import is_id
from engine.offers import Decision
from engine.storage.store import AppendResult, Rejection

Row = dict[str, object]


class Batch:
    """Facts, already under pseudonyms, and what became of each.

    Facts with one `event_id` inside the batch are told apart here; against what is stored already
    the store asks the database and tells `keep_new`, `compare` and the `without_` methods.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = facts
        self._index: dict[str, int] = {}
        self._digest: dict[str, bytes] = {}
        self._body: dict[str, bytes] = {}
        self._duplicates: list[int] = []
        self._rejected: dict[int, Rejection] = {}
        for index, fact in enumerate(facts):
            if isinstance(fact, Decision) and not all(map(is_id, _ids_of(fact))):
                message = "an id is empty, too long, or holds characters that are not text"
                self._rejected[index] = Rejection(index, "invalid", message)
                continue
            digest, body = digest_and_pack(fact)
            if fact.event_id not in self._index:
                self._index[fact.event_id] = index
                self._digest[fact.event_id], self._body[fact.event_id] = digest, body
            elif self._digest[fact.event_id] == digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", fact.event_id)
        # One order in every process, so that two batches cannot wait for each other.
        self._new = sorted(self._index)
        self.rows = [self._row(event_id) for event_id in self._new]

    def _fact(self, event_id: str) -> Fact:
        return self._facts[self._index[event_id]]

    def _row(self, event_id: str) -> Row:
        fact = self._fact(event_id)
        return {
            "event_id": event_id,
            "type": "decision" if isinstance(fact, Decision) else fact.type,
            "occurred_at": fact.occurred_at,
            "checkout_id": fact.checkout_id,
            "session_id": fact.session_id,
            "customer_id": fact.customer_id,
            "offer_id": None if isinstance(fact, Decision) else fact.offer_id,
            "transaction_id": None if isinstance(fact, Decision) else fact.transaction_id,
            "digest": self._digest[event_id],
            "body": self._body[event_id].decode(),
        }

    def _reject(self, index: int, field: str, value: str) -> None:
        message = f"{field} {value} is known already with another content"
        self._rejected[index] = Rejection(index, "conflict", message)

    def keep_new(self, taken: set[str]) -> list[str]:
        """Only the ids in `taken` were new; the others, to be compared, are given back."""
        known = [event_id for event_id in self._new if event_id not in taken]
        self._new = [event_id for event_id in self._new if event_id in taken]
        return known

    def compare(self, stored: Mapping[str, bytes]) -> None:
        """Known ids whose stored digest is the same are duplicates, the others conflicts."""
        for event_id, digest in stored.items():
            index = self._index[event_id]
            if self._digest[event_id] == digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", event_id)

    def _new_decisions(self) -> list[Decision]:
        new = (self._fact(event_id) for event_id in self._new)
        return [fact for fact in new if isinstance(fact, Decision)]

    @property
    def decision_rows(self) -> list[Row]:
        rows: list[Row] = [
            {"decision_id": decision.decision_id, "event_id": decision.event_id}
            for decision in self._new_decisions()
        ]
        return sorted(rows, key=lambda row: str(row["decision_id"]))

    @property
    def offer_rows(self) -> list[Row]:
        rows: list[Row] = [
            {"offer_id": offer.offer_id, "event_id": decision.event_id}
            for decision in self._new_decisions()
            for offer in decision.offers
        ]
        return sorted(rows, key=lambda row: str(row["offer_id"]))

    @property
    def named_rows(self) -> list[Row]:
        """Offers that the lines of purchases and refunds name."""
        pairs = {
            (item.offer_id, event_id)
            for event_id in self._new
            if not isinstance(fact := self._fact(event_id), Decision)
            for item in fact.items
            if item.offer_id
        }
        return [{"offer_id": offer, "event_id": event} for offer, event in sorted(pairs)]

    def without_decisions(self, taken: set[str]) -> set[str]:
        """Event ids of the decisions whose `decision_id` was known; they are rejected."""
        clashing = {
            decision.event_id: decision.decision_id
            for decision in self._new_decisions()
            if decision.event_id not in taken
        }
        return self._withdraw(clashing, "decision_id")

    def without_offers(self, taken: set[tuple[str, str]]) -> set[str]:
        """Event ids of the decisions with an `offer_id` that was known; they are rejected.

        `taken` are the (offer_id, event_id) that were new.
        """
        clashing = {
            decision.event_id: offer.offer_id
            for decision in self._new_decisions()
            for offer in decision.offers
            if (offer.offer_id, decision.event_id) not in taken
        }
        return self._withdraw(clashing, "offer_id")

    def _withdraw(self, clashing: Mapping[str, str], field: str) -> set[str]:
        for event_id, value in clashing.items():
            self._reject(self._index[event_id], field, value)
        self._new = [event_id for event_id in self._new if event_id not in clashing]
        return set(clashing)

    @property
    def new_instants(self) -> dict[str, int]:
        """When each of the facts that were new occurred."""
        return {event_id: self._fact(event_id).occurred_at for event_id in self._new}

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
    yield from (decision.event_id, decision.decision_id, decision.checkout_id)
    yield from (decision.model_version, decision.placement)
    for line in decision.lines:
        yield line.item_id
    for offer in decision.offers:
        yield from (offer.offer_id, offer.item_id)
        if offer.replaces is not None:
            yield offer.replaces.item_id
