"""Which facts a report of a period needs, as one query."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import CTE, ColumnElement, Select, select, union

from engine.storage.store import FactScope
from engine.storage.tables import facts, named_offers, offers


def event_ids_in(scope: FactScope) -> Select[tuple[str]] | None:
    """Ids of the facts in scope, or None for all; see `FactScope` for what belongs to it."""
    bounds: list[ColumnElement[bool]] = []
    if scope.since is not None:
        bounds.append(facts.c.occurred_at >= scope.since)
    if scope.until is not None:
        bounds.append(facts.c.occurred_at < scope.until)
    return _with_linked(bounds) if bounds else None


def linked_to(seeds: Select[tuple[str]]) -> Select[tuple[str]]:
    """Ids of all facts that what the `seeds` say may change the meaning of.

    Facts of their sessions and transactions, and what is in scope of these.
    """
    near = _with_sharing(seeds, "seeded")
    return _with_linked([facts.c.event_id.in_(select(near.c.event_id))])


def of_checkouts(checkout_ids: Select[tuple[str]]) -> Select[tuple[str]]:
    """Ids of the facts that tell all about some checkouts, as `event_ids_in` does of a period."""
    return _with_linked([facts.c.checkout_id.in_(checkout_ids)])


def _with_linked(bounds: Sequence[ColumnElement[bool]]) -> Select[tuple[str]]:
    # A table used twice in one statement is computed once where it is named: hence the `cte`s.
    columns = (facts.c.event_id, facts.c.checkout_id, facts.c.offer_id)
    transactions = (
        select(facts.c.transaction_id)
        .where(*bounds, facts.c.transaction_id.is_not(None))
        .cte("transactions")
    )
    inside = union(
        select(*columns).where(*bounds),
        select(*columns).where(facts.c.transaction_id.in_(select(transactions.c.transaction_id))),
    ).cte("inside")
    named_inside = union(
        select(inside.c.offer_id).where(inside.c.offer_id.is_not(None)),
        select(named_offers.c.offer_id).join(inside, inside.c.event_id == named_offers.c.event_id),
    ).cte("named_inside")
    checkouts = union(
        select(inside.c.checkout_id).where(inside.c.checkout_id.is_not(None)),
        select(facts.c.checkout_id)
        .join(offers, offers.c.event_id == facts.c.event_id)
        .where(offers.c.offer_id.in_(select(named_inside.c.offer_id))),
    ).cte("checkouts")
    of_checkouts = (
        select(facts.c.event_id)
        .where(facts.c.checkout_id.in_(select(checkouts.c.checkout_id)))
        .cte("of_checkouts")
    )
    offered = (
        select(offers.c.offer_id)
        .where(offers.c.event_id.in_(select(of_checkouts.c.event_id)))
        .cte("offered")
    )
    near = union(
        select(inside.c.event_id),
        select(of_checkouts.c.event_id),
        select(facts.c.event_id).where(facts.c.offer_id.in_(select(offered.c.offer_id))),
        select(named_offers.c.event_id).where(
            named_offers.c.offer_id.in_(select(offered.c.offer_id))
        ),
    ).cte("near")
    return select(_with_sharing(select(near.c.event_id), "related").c.event_id)


def _with_sharing(ids: Select[tuple[str]], name: str) -> CTE:
    """`ids`, and those of all facts that share a transaction or a session with them."""
    theirs = facts.alias(f"{name}_by")
    sharing = select(theirs.c.transaction_id, theirs.c.session_id).where(theirs.c.event_id.in_(ids))
    shared = sharing.cte(f"{name}_shared")
    pairs = (
        (facts.c.transaction_id, shared.c.transaction_id),
        (facts.c.session_id, shared.c.session_id),
    )
    # A union, not an "or", for which PostgreSQL would look at every fact.
    return union(
        ids,
        *(
            select(facts.c.event_id).where(column.in_(select(known).where(known.is_not(None))))
            for column, known in pairs
        ),
    ).cte(name)
