"""Read the facts that a report of a period needs: its own, and all that are tied to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, select, union

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.storage.tables import decisions, facts, named_offers, offers

_FEW_DAYS = 8


@dataclass(frozen=True, slots=True)
class FactScope:
    """Selection of facts; instants in microseconds, half-open, None unbounded.

    A store returns every fact inside the bounds and of their transactions; whenever they occurred,
    all facts of the checkouts these belong to or name an offer of, and all that name an offer of
    those checkouts, with the other checkouts that they are of and all that name an offer of these;
    all that share a transaction or a session with any of them; and the decisions of the checkouts
    of all these orders. It may return more; it never returns less. So nothing of the period is cut
    in two, and the unit of each of its facts is known.
    """

    since: int | None = None
    until: int | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether it is no more than a few days."""
        if self.since is None or self.until is None:
            return False
        return self.until - self.since <= _FEW_DAYS * MICROS_PER_DAY


def event_ids_in(scope: FactScope) -> Select[tuple[str]] | None:
    """Select the ids of the facts in scope, or return None for all."""
    bounds: list[ColumnElement[bool]] = []
    if scope.since is not None:
        bounds.append(facts.c.occurred_at >= scope.since)
    if scope.until is not None:
        bounds.append(facts.c.occurred_at < scope.until)
    return _with_linked(bounds) if bounds else None


def linked_to(seeds: Select[tuple[str]]) -> Select[tuple[str]]:
    """Select the ids of all facts that a report may count differently because of the `seeds`.

    These are the facts of their sessions, of their transactions and of those of their checkouts,
    and what is in scope of these.
    """
    seeded = facts.alias("of_seeds")
    checkouts = select(seeded.c.checkout_id).where(seeded.c.event_id.in_(seeds))
    beside = select(facts.c.event_id).where(facts.c.checkout_id.in_(checkouts))
    whole = union(seeds, beside).cte("whole_seeds")
    visits = select(seeded.c.session_id).where(
        seeded.c.event_id.in_(select(whole.c.event_id)), seeded.c.session_id.is_not(None)
    )
    # The others of their transactions follow below, as those of a period do.
    near = union(
        select(whole.c.event_id), select(facts.c.event_id).where(facts.c.session_id.in_(visits))
    ).cte("seeded")
    return _with_linked([facts.c.event_id.in_(select(near.c.event_id))])


def of_checkouts(checkout_ids: Select[tuple[str]]) -> Select[tuple[str]]:
    """Select the ids of the facts in scope of some checkouts, as `event_ids_in` of a period."""
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
    of_order, of_offer = facts.alias("of_order"), facts.alias("of_offer")
    tied = (
        select(of_order.c.checkout_id.label("own"), of_offer.c.checkout_id.label("named"))
        .join(named_offers, named_offers.c.event_id == of_order.c.event_id)
        .join(offers, offers.c.offer_id == named_offers.c.offer_id)
        .join(of_offer, of_offer.c.event_id == offers.c.event_id)
        .where(of_order.c.event_id.in_(select(near.c.event_id)))
        .where(of_order.c.checkout_id.is_distinct_from(of_offer.c.checkout_id))
    ).cte("tied")
    # Named once: preparing a statement, SQLite copies a `cte`, and all that it rests on, for every
    # use of it.
    of_tied = (
        select(facts.c.event_id)
        .join(tied, facts.c.checkout_id.in_((tied.c.own, tied.c.named)))
        .cte("of_tied")
    )
    offered_there = (
        select(offers.c.offer_id)
        .where(offers.c.event_id.in_(select(of_tied.c.event_id)))
        .cte("offered_there")
    )
    whole = union(
        select(near.c.event_id),
        select(of_tied.c.event_id),
        *(
            select(each.c.event_id).where(each.c.offer_id.in_(select(offered_there.c.offer_id)))
            for each in (facts, named_offers)
        ),
    ).cte("whole")
    # With all that share a transaction or a session; unions, not an "or", for which PostgreSQL
    # would look at every fact.
    theirs = facts.alias("theirs")
    shared = (
        select(theirs.c.transaction_id, theirs.c.session_id)
        .where(theirs.c.event_id.in_(select(whole.c.event_id)))
        .cte("shared")
    )
    related = union(
        select(whole.c.event_id),
        *(
            select(facts.c.event_id).where(facts.c[name].in_(select(ids).where(ids.is_not(None))))
            for name, ids in shared.c.items()
        ),
    ).cte("related")
    # A purchase counts for nothing in a checkout where only bots decided, and another one of its
    # transaction then does: so the decisions of the checkouts of all of them are there, too.
    ordered = facts.alias("ordered")
    in_checkouts = (
        select(ordered.c.checkout_id)
        .where(ordered.c.event_id.in_(select(related.c.event_id)))
        .where(ordered.c.transaction_id.is_not(None), ordered.c.checkout_id.is_not(None))
    )
    decided = (
        select(decisions.c.event_id)
        .join(facts, facts.c.event_id == decisions.c.event_id)
        .where(facts.c.checkout_id.in_(in_checkouts))
    )
    return select(union(select(related.c.event_id), decided).cte("in_scope").c.event_id)
