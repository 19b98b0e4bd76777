"""Rows of facts made ready for the tables by other processes, of which mostly all are new.

Whoever writes a large file has one process for the database and others for all else: what a
`Batch` would work out there, row by row, is worked out here beforehand. Where a fact turns out to
be known, the rows become facts of a `Batch` again, which tells duplicates from conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from engine.clock import MICROS_PER_DAY
from engine.storage.batch import COLUMNS, OCCURRED_AT, Row
from engine.storage.fact_rows import FactRow


class Rows(NamedTuple):
    """Facts as rows of the tables, each table's in the order of its key.

    Attributes:
        facts: rows of `facts`.
        numbers: the line each came from, in the order of `facts` within one piece.
        decisions, offers, named: (key, event_id).
        days: of UTC since 1970 on which they occurred.
    """

    facts: list[Row]
    numbers: list[int]
    decisions: list[Row]
    offers: list[Row]
    named: list[Row]
    days: list[int]

    def prepared(self) -> list[FactRow]:
        """The facts again, in the order of `facts`."""
        decision = {event_id: decision_id for decision_id, event_id in self.decisions}
        offers, named = _by_event(self.offers), _by_event(self.named)
        return [
            FactRow._make(
                (*row, decision.get(row[0]), offers.get(row[0], ()), named.get(row[0], ()), None)
            )
            for row in self.facts
        ]


def _by_event(pairs: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, event_id in pairs:
        found[event_id] = (*found.get(event_id, ()), key)
    return found


def rows_of(facts: Sequence[FactRow], numbers: Sequence[int]) -> Rows | None:
    """None where the facts clash among themselves, or one cannot be taken."""
    order = sorted(range(len(facts)), key=lambda place: facts[place].event_id)
    chosen = [facts[place] for place in order]
    decisions = [fact for fact in chosen if fact.decision_id is not None]
    rows = Rows(
        [fact[:COLUMNS] for fact in chosen],
        [numbers[place] for place in order],
        sorted((fact.decision_id, fact.event_id) for fact in decisions),
        sorted((offer, fact.event_id) for fact in decisions for offer in fact.offer_ids),
        sorted((offer, fact.event_id) for fact in chosen for offer in fact.named),
        sorted({fact[OCCURRED_AT] // MICROS_PER_DAY for fact in chosen}),
    )
    keyed = (rows.facts, rows.decisions, rows.offers)
    unique = all(len({row[0] for row in table}) == len(table) for table in keyed)
    return rows if unique and all(fact.problem is None for fact in chosen) else None


def merged(pieces: Sequence[Rows]) -> Rows:
    """Of all pieces, to be loaded together; keys that several hold stand there as often."""
    return Rows(
        _in_order([piece.facts for piece in pieces]),
        [number for piece in pieces for number in piece.numbers],
        _in_order([piece.decisions for piece in pieces]),
        _in_order([piece.offers for piece in pieces]),
        _in_order([piece.named for piece in pieces]),
        sorted({day for piece in pieces for day in piece.days}),
    )


def _in_order(tables: Sequence[list[Row]]) -> list[Row]:
    # Sorting what is made of a few sorted parts only merges them.
    return sorted((row for table in tables for row in table), key=itemgetter(0))
