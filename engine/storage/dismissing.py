"""The query behind "what has this buyer waved away": dismissals and the decisions they answer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CompoundSelect, Text, bindparam, select, union_all

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
