"""One batch of facts on its way into the tables: rows, duplicates, conflicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

    Facts of the batch that share an `event_id` are compared here. Against what is stored already
    the writer asks the database and calls `leave_out_known`, `reject_decisions` and
    `reject_offers`, in this order; `rows` and the other rows hold what is left to be written.
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
        self._set_rows()

    def _set_rows(self) -> None:
        decisions = [fact for fact in self._new if fact.decision_id is not None]
        self.rows: list[Row] = [fact[:COLUMNS] for fact in self._new]
        self.decision_rows: list[Row] = sorted(
            (fact.decision_id, fact.event_id) for fact in decisions
        )
        """(decision_id, event_id)"""
        self.offer_rows: list[Row] = sorted(
            (each, fact.event_id) for fact in decisions for each in dict.fromkeys(fact.offer_ids)
        )
        """(offer_id, event_id)"""
        self.named_rows: list[Row] = sorted(
            (each, fact.event_id) for fact in self._new for each in fact.named
        )
        """(offer_id, event_id) of the offers that lines of purchases and refunds name."""

    def _reject(self, index: int, field: str, value: str) -> None:
        message = f"{field} {value} is known already with another content"
        self._rejected[index] = Rejection(index, "conflict", message)

    def leave_out_known(self, stored: Mapping[str, bytes]) -> None:
        """Leave out facts that are stored, whose digests are given by `event_id`.

        One with the same digest is a duplicate, one with another digest a conflict.
        """
        if not stored:
            return
        for event_id, digest in stored.items():
            index = self._index[event_id]
            if self._facts[index].digest == digest:
                self._duplicates.append(index)
            else:
                self._reject(index, "event_id", event_id)
        self._new = [fact for fact in self._new if fact.event_id not in stored]
        self._set_rows()

    def reject_decisions(self, known: Collection[str]) -> set[str]:
        """Reject decisions whose `decision_id` is known, or used by another one of the batch.

        Returns
        -------
        set of str
            Their event ids.
        """
        return self._reject_clashing(self.decision_rows, known, "decision_id")

    def reject_offers(self, known: Collection[str]) -> set[str]:
        """Reject decisions with an `offer_id` that is known, or used by another one of the batch.

        Returns
        -------
        set of str
            Their event ids.
        """
        return self._reject_clashing(self.offer_rows, known, "offer_id")

    def _reject_clashing(self, rows: Sequence[Row], known: Collection[str], field: str) -> set[str]:
        owners: dict[str, str] = {}
        clashing = {
            event_id: key
            for key, event_id in rows
            if key in known or owners.setdefault(key, event_id) != event_id
        }
        if clashing:
            for event_id, key in clashing.items():
                self._reject(self._index[event_id], field, key)
            self._new = [fact for fact in self._new if fact.event_id not in clashing]
            self._set_rows()
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
