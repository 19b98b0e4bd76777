"""Bringing stored pseudonyms under a new secret, without the ids they stand for."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, select, update

from engine.fact_json import digest_and_pack, unpack
from engine.storage import connection as database
from engine.storage.claiming import claim_after_rotation
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.rollups import renew_units
from engine.storage.tables import facts

BATCH = 2_000


def rotate(engine: Engine, pseudonyms: Pseudonyms, looked_at: Callable[[int], None]) -> int:
    """Renew all that is stored, in steps; see `SqlStore.rotate`."""
    total = 0
    with database.writing(engine) as connection:
        # First, so that no process with the earlier secrets alone starts meanwhile.
        claim_after_rotation(connection, pseudonyms)
    after: str | None = ""
    while after is not None:
        with database.writing(engine) as connection:
            after, renewed = renew_some(connection, pseudonyms, after)
        total += renewed
        looked_at(renewed)
    with database.writing(engine) as connection:
        renew_units(connection, pseudonyms.renewed)
    return total


def renew_some(
    connection: Connection, pseudonyms: Pseudonyms, after: str
) -> tuple[str | None, int]:
    """Renew what the next facts by `event_id`, a batch of them, hold of earlier secrets.

    Returns the last `event_id` looked at, None where there was no further one, and how many facts
    were renewed. What is renewed already stays as it is.
    """
    query = (
        select(facts.c.event_id, facts.c.customer_id, facts.c.session_id)
        .where(facts.c.event_id > after)
        .order_by(facts.c.event_id)
        .limit(BATCH)
    )
    looked_at = connection.execute(query).all()
    if not looked_at:
        return None, 0
    earlier = tuple(f"p1.{mark}." for mark in pseudonyms.earlier_fingerprints)
    wanted = [
        row.event_id
        for row in looked_at
        if (row.customer_id or "").startswith(earlier) or (row.session_id or "").startswith(earlier)
    ]
    rows = connection.execute(
        select(facts.c.event_id, facts.c.digest, facts.c.body).where(facts.c.event_id.in_(wanted))
    ).all()
    for row in rows:
        fact = unpack(row.body)
        renewed = replace(
            fact,
            customer_id=fact.customer_id and pseudonyms.renewed(fact.customer_id),
            session_id=fact.session_id and pseudonyms.renewed(fact.session_id),
        )
        digest, body = digest_and_pack(renewed)
        # An erased person's digest is of a pseudonym that is gone; it can only stay.
        untouched = bytes(row.digest) == digest_and_pack(fact)[0]
        connection.execute(
            update(facts)
            .where(facts.c.event_id == row.event_id)
            .values(
                customer_id=renewed.customer_id,
                session_id=renewed.session_id,
                digest=digest if untouched else row.digest,
                body=body.decode(),
            )
        )
    return looked_at[-1].event_id, len(rows)
