"""Events that match no other fact: they are listed by their day, and leave roll-ups as they are.

A view, click or dismissal is a stray while its offer is not known, and its checkout and session
have no decision and no order. A report counts it as unmatched, or among the shop's own promotions,
and nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, union

from mersalg.engine.facts import OWN_OFFER_PREFIX, PROMOTION_TYPES
from mersalg.engine.storage.connection import insert_into
from mersalg.engine.storage.tables import facts, fresh_facts, offers, stray_events

_AT_ONCE = 2_000
_IS_PROMOTION = facts.c.type.in_(sorted(PROMOTION_TYPES))
_COUNTED_OTHERWISE = ('%"is_bot":true%', '%"stated_at":"%')
"""Patterns of the bodies of events that reports also count for another reason."""


def list_among(
    connection: Connection, ids: Sequence[str], day_of: Callable[[int], str]
) -> dict[str, str]:
    """List the strays among some facts, and return the local day of each."""
    query = select(
        facts.c.event_id,
        facts.c.occurred_at,
        facts.c.offer_id,
        facts.c.checkout_id,
        facts.c.session_id,
    ).where(facts.c.event_id.in_(ids), _IS_PROMOTION)
    for pattern in _COUNTED_OTHERWISE:
        query = query.where(facts.c.body.not_like(pattern))
    rows = connection.execute(query).all()

    def known(column: ColumnElement[str], name: str, *also: ColumnElement[bool]) -> set[str]:
        wanted = {getattr(row, name) for row in rows} - {None}
        return {*connection.scalars(select(column).where(column.in_(wanted), *also).distinct())}

    offered = known(offers.c.offer_id, "offer_id")
    decided = known(facts.c.checkout_id, "checkout_id", ~_IS_PROMOTION)
    active = known(facts.c.session_id, "session_id", ~_IS_PROMOTION)
    strays = {
        row.event_id: (day_of(row.occurred_at), row.offer_id.startswith(OWN_OFFER_PREFIX))
        for row in rows
        if row.offer_id not in offered
        and row.checkout_id not in decided
        and row.session_id not in active
    }
    if strays:
        connection.execute(
            insert_into(connection, stray_events).on_conflict_do_nothing(),
            [
                {"event_id": event_id, "day": day, "is_own": is_own}
                for event_id, (day, is_own) in strays.items()
            ],
        )
    return {event_id: day for event_id, (day, _) in strays.items()}


def list_days(
    connection: Connection, among: ColumnElement[bool], day_of: Callable[[int], str]
) -> set[str] | None:
    """List some facts as strays and return their local days; None where not all of them are."""
    others = select(facts.c.event_id).where(among, ~_IS_PROMOTION).limit(1)
    if connection.scalar(others) is not None:
        return None
    ids = connection.scalars(select(facts.c.event_id).where(among)).all()
    strays: dict[str, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        strays |= list_among(connection, ids[start : start + _AT_ONCE], day_of)
    return {*strays.values()} if len(strays) == len(ids) else None


def match(connection: Connection, seeds: Select[tuple[str]]) -> None:
    """Strike strays off the list that some new facts match."""
    if connection.scalar(select(stray_events.c.event_id).limit(1)) is None:
        return
    new = facts.alias("new")
    matching = [facts.c.offer_id.in_(select(offers.c.offer_id).where(offers.c.event_id.in_(seeds)))]
    matching += [
        facts.c[name].in_(
            select(new.c[name]).where(new.c.event_id.in_(seeds), new.c[name].is_not(None))
        )
        for name in ("checkout_id", "session_id")
    ]
    matched = union(*(select(facts.c.event_id).where(each) for each in matching)).subquery()
    connection.execute(
        delete(stray_events).where(stray_events.c.event_id.in_(select(matched.c.event_id)))
    )


def left_out(connection: Connection, day: str) -> set[str]:
    """Return the facts that the roll-up of a day leaves out: its strays, and those not yet sorted.

    To be asked after the facts are read, which otherwise could hold a stray that is listed later.
    """
    listed = select(stray_events.c.event_id).where(stray_events.c.day == day)
    return {*connection.scalars(listed.union_all(select(fresh_facts.c.event_id)))}


def count(connection: Connection, first: str | None, last: str | None) -> dict[str, int]:
    """Return how many strays of a period of local days each cause has, bounds inclusive."""
    query = select(stray_events.c.is_own, func.count()).group_by(stray_events.c.is_own)
    query = query if first is None else query.where(stray_events.c.day >= first)
    query = query if last is None else query.where(stray_events.c.day <= last)
    return {
        "unmatched" if is_own else "other_promotions": n for is_own, n in connection.execute(query)
    }
