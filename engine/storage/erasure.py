"""Forgetting a person: their facts stay and count, but nobody can tell whose they were."""

from __future__ import annotations

import secrets

from msgspec.structs import replace
from sqlalchemy import Connection, or_, select, update

from engine.fact_json import pack, unpack
from engine.storage.rollups import rename_units
from engine.storage.tables import facts


def erase(connection: Connection, pseudonym: str) -> int:
    """Give a customer's facts and sessions ids that lead nowhere; the number of facts."""
    query = select(facts.c.session_id).where(facts.c.customer_id == pseudonym)
    sessions = {session for session in connection.scalars(query.distinct()) if session}
    theirs = or_(facts.c.customer_id == pseudonym, facts.c.session_id.in_(sessions))
    rows = connection.execute(select(facts.c.event_id, facts.c.body).where(theirs)).all()
    strangers = {old: _stranger() for old in (pseudonym, *sorted(sessions))}
    for row in rows:
        fact = unpack(row.body)
        hidden = replace(
            fact,
            customer_id=strangers.get(fact.customer_id or "", fact.customer_id),
            session_id=strangers.get(fact.session_id or "", fact.session_id),
        )
        # The digest stays, so that the same fact delivered again is still a duplicate.
        connection.execute(
            update(facts)
            .where(facts.c.event_id == row.event_id)
            .values(
                customer_id=hidden.customer_id,
                session_id=hidden.session_id,
                body=pack(hidden).decode(),
            )
        )
    rename_units(
        connection,
        {f"{kind}:{old}": f"{kind}:{new}" for old, new in strangers.items() for kind in ("c", "s")},
    )
    return len(rows)


def _stranger() -> str:
    """A pseudonym that no id leads to."""
    return f"p1.{secrets.token_hex(4)}.{secrets.token_hex(16)}"
