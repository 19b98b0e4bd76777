"""One batch of facts on its way into the tables: rows, duplicates, conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.storage.fact_rows import FactRow
from engine.storage.store import AppendResult, Rejection

Row = tuple[Any, ...]
"""Values of a table's columns, in their order."""

COLUMNS = 10
"""Of a `FactRow`, those that are columns of `facts`."""
OCCURRED_AT = 2
"""Place of the instant in a row of `facts`."""


class Batch:
    """Facts, prepared, and what became of each.

    Facts with one `event_id` inside the batch are told apart here; against what is stored already
    the store asks the database and tells `keep_new`, `compare` and the `without_` methods.
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

    def _new_decisions(self) -> list[FactRow]:
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
