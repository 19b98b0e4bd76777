"""What a buyer has waved away: dismissals and the decisions they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import CompoundSelect, Connection, Text, bindparam, select, union_all

from engine.fact_json import unpack
from engine.facts import Decision
from engine.storage.tables import facts, offers

BUYER = ("checkout_id", "session_id", "customer_id")
"""The columns that name a buyer, and the parameters of `DISMISSALS`; NULL names nobody."""


def _dismissals() -> CompoundSelect[Any, Any, Any]:
    dismissal, decision = facts.alias("dismissal"), facts.alias("decision")
    # Bound, so that no plan goes through everybody's dismissals first.
    kind = bindparam("kind", "dismiss_promotion", type_=Text)
    joined = (
        select(dismissal.c.occurred_at, dismissal.c.offer_id, decision.c.body)
        .select_from(offers)
        .join(dismissal, dismissal.c.offer_id == offers.c.offer_id)
        .join(decision, decision.c.event_id == offers.c.event_id)
        .where(dismissal.c.type == kind)
    )
    return union_all(
        *(
            joined.where(fact.c[column] == bindparam(column, type_=Text))
            for column in BUYER
            for fact in (dismissal, decision)
        )
    )


DISMISSALS = _dismissals()
"""(occurred_at of the dismissal, offer_id, body of the decision) of one buyer's dismissals.

A dismissal is the buyer's where it, or the decision it answers, names them. Each way is a query of
its own, led by an index on the column; a dismissal found twice comes twice.
"""


def dismissed_by(connection: Connection, buyer: Mapping[str, str | None], after: int) -> list[str]:
    """Items of the offers that a buyer, by the columns of `BUYER`, dismissed after a moment."""
    rows = connection.execute(DISMISSALS, dict(buyer)).all()
    bodies: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.occurred_at):
        if row.occurred_at > after:
            bodies.setdefault(row.offer_id, row.body)
    items = (
        offer.item_id
        for dismissed, body in bodies.items()
        for offer in cast(Decision, unpack(body)).offers
        if offer.offer_id == dismissed
    )
    return list(dict.fromkeys(items))
