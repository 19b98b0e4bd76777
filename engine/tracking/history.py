"""A shop's facts put in order: decisions and their offers, orders, views, returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.facts import Decision, Event, Offer, Quantity


@dataclass(frozen=True, slots=True)
class PlacedOffer:
    """An offer inside its decision; `unit` is who was decided for."""

    offer: Offer
    decision: Decision
    unit: str

    @property
    def recency(self) -> tuple[int, str, str, int, str]:
        """Sorts offers of one item; the last is credited."""
        offer, decision = self.offer, self.decision
        key = (offer.kind, offer.position, offer.offer_id)
        return (decision.occurred_at, decision.decision_id, *key)


@dataclass(frozen=True, slots=True)
class Order:
    """One transaction: its first purchase, who bought, and the checkout it ended."""

    purchase: Event
    transaction_id: str
    checkout_id: str | None
    unit: str
    currency: str | None
    quantities: Mapping[str, Quantity]
    """Units of each item over all lines."""

    @property
    def placed_at(self) -> int:
        return self.purchase.occurred_at


@dataclass(frozen=True, slots=True)
class Troubles:
    """Facts that count for nothing, each with the instant they occurred at."""

    duplicates: tuple[int, ...]
    late: tuple[int, ...]
    unmatched: tuple[int, ...]
    bots: tuple[int, ...]
    hasty: tuple[int, ...]
    """Decisions of sessions that asked faster than people do; they are among `bots`."""


@dataclass(frozen=True, slots=True)
class History:
    """Everything indexed.

    Attributes:
        decisions: by (occurred_at, decision_id).
        offers: offer_id -> offer, in the order of decisions.
        units: decision_id -> unit.
        checkouts: checkout_id -> its decisions, in order.
        orders: by (placed_at, event_id of the purchase).
        orders_of: checkout_id -> its orders, in order.
        viewed_at, accepted_at: offer_id -> the first such instant.
        returns: transaction_id -> refunds and cancellations by (occurred_at, event_id).
    """

    decisions: Sequence[Decision]
    offers: Mapping[str, PlacedOffer]
    units: Mapping[str, str]
    checkouts: Mapping[str, Sequence[Decision]]
    orders: Sequence[Order]
    orders_of: Mapping[str, Sequence[Order]]
    viewed_at: Mapping[str, int]
    accepted_at: Mapping[str, int]
    returns: Mapping[str, Sequence[Event]]
    troubles: Troubles

    def buyers(self, order: Order) -> frozenset[str]:
        """Units that bought by `order`: the purchase's own and those its checkout was decided for.

        They differ only where a session shared by several customers could not be stitched.
        """
        decided = self.checkouts.get(order.checkout_id or "", ())
        return frozenset((order.unit, *(self.units[each.decision_id] for each in decided)))
