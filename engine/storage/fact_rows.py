"""A fact as a row of the table `facts`, with the ids that have to be unique."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.fact_fields import is_id
from engine.fact_json import digest_and_pack
from engine.facts import Decision, Fact
from engine.storage.pseudonyms import Pseudonyms

_NO_IDS = "an id is empty, too long, or holds characters that are not text"


class FactRow(NamedTuple):
    """A fact ready to be written; the fields before `decision_id` are the columns of `facts`.

    Attributes
    ----------
    offer_ids
        Of the offers a decision made.
    named
        Of the offers that the lines of an order name.
    problem
        Why the fact cannot be taken, None where it can.
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


def row_of(fact: Fact, pseudonyms: Pseudonyms, *, trusted: bool = False) -> FactRow:
    """Return the row of a fact, its customer and session under pseudonyms."""
    return _row(pseudonyms.applied(fact, trusted=trusted))


def _row(fact: Fact) -> FactRow:
    if isinstance(fact, Decision):
        return _decision_row(fact)
    digest, body = digest_and_pack(fact)
    return FactRow(
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
        None,
        (),
        tuple(sorted({item.offer_id for item in fact.items if item.offer_id}))
        if fact.items
        else (),
    )


def _decision_row(decision: Decision) -> FactRow:
    problem, digest, body = None, b"", b""
    if all(map(is_id, _ids_of(decision))):
        digest, body = digest_and_pack(decision)
    else:
        problem = _NO_IDS
    return FactRow(
        decision.event_id,
        "decision",
        decision.occurred_at,
        decision.checkout_id,
        decision.session_id,
        decision.customer_id,
        None,
        None,
        digest,
        body.decode(),
        decision.decision_id,
        tuple([offer.offer_id for offer in decision.offers]),
        (),
        problem,
    )


def _ids_of(decision: Decision) -> Iterator[str | None]:
    """Yield what was not checked: decisions are made from a catalogue, all other facts are read."""
    yield from (decision.event_id, decision.decision_id, decision.checkout_id)
    yield from (decision.model_version, decision.placement)
    for line in decision.lines:
        yield line.item_id
    for offer in decision.offers:
        yield from (offer.offer_id, offer.item_id)
        if offer.replaces is not None:
            yield offer.replaces.item_id
