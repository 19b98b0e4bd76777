"""A shop's facts in order: each once, without bots, its unit known, with the orders they make.

The same set of facts gives the same history, in any order and however often they come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import (
    ACCEPT_TYPES,
    NOT_STATED,
    ORDER_TYPES,
    OWN_OFFER_PREFIX,
    Decision,
    Event,
    Fact,
    Offer,
)
from mersalg.engine.tracking.order_lines import includes_tax, mismatched
from mersalg.engine.tracking.visitors import Visitors

CLOCK_TOLERANCE = 300_000_000
"""Microseconds by which the clocks of those who send facts may differ."""


@dataclass(frozen=True, slots=True)
class PlacedOffer:
    """An offer inside its decision; `unit` is the one that the decision was made for."""

    offer: Offer
    decision: Decision
    unit: str

    @property
    def recency(self) -> tuple[int, str, str, int, str]:
        """Sort key of offers of one item; the last is credited."""
        offer, decision = self.offer, self.decision
        key = (offer.kind, offer.position, offer.offer_id)
        return (decision.occurred_at, decision.decision_id, *key)


@dataclass(frozen=True, slots=True)
class Order:
    """One transaction: the purchase of its highest revision, who bought, and what it ended."""

    purchase: Event
    """At the instant of the lowest revision: an order that is edited was placed before."""
    transaction_id: str
    checkout_id: str | None
    """That of the purchase, else that of the first offer that a line names."""
    line_checkouts: Sequence[str | None]
    """That of each line: of the offer that it names, else `checkout_id`."""
    unit: str
    currency: str | None
    with_tax: bool
    """Whether prices of its lines include tax."""

    @property
    def checkouts(self) -> list[str]:
        """The checkouts that it ended, each once."""
        ended = dict.fromkeys((self.checkout_id, *self.line_checkouts))
        return [checkout_id for checkout_id in ended if checkout_id is not None]

    @property
    def placed_at(self) -> int:
        """Time of the purchase, in microseconds."""
        return self.purchase.occurred_at


CAUSES = (
    *("duplicates", "superseded", "reused_transactions", "late", "early", "unmatched"),
    *("other_promotions", "refund_mismatch"),
    *("orders_without_checkout", "bots_excluded", "bots_by_rate", "dated_on_arrival"),
    *("unvouched", "checkouts"),
)
"""Why facts count for nothing, or are in doubt.

`superseded`: purchases of which a higher revision is known.
`reused_transactions`: purchases left out as duplicates that may be other orders, for they name
another customer than the one that counts, or came more than a day later.
`early`: events and purchases dated more than `CLOCK_TOLERANCE` before the offer that they name, or
before the first decision of their checkout.
`other_promotions`: events and purchases that name a promotion of the shop's own: its id is not one
that the service gives to offers, and no decision knows it.
`refund_mismatch`: refunds of items, units or money that their order did not have.
`orders_without_checkout`: purchases that name no checkout themselves; they have no part in effects.
`dated_on_arrival`: events of pages that stated an impossible instant, and count at their arrival.
`bots_by_rate`: decisions of sessions in hours with more of them than people make; they are among
`bots_excluded`.
`unvouched`: checkouts without a vouched decision, of all `checkouts` that were decided for; each at
its first decision.
"""


@dataclass(frozen=True, slots=True)
class History:
    """All facts, indexed."""

    decisions: Sequence[Decision]
    """By (occurred_at, decision_id)."""
    offers: Mapping[str, PlacedOffer]
    """offer_id -> offer, in the order of decisions."""
    units: Mapping[str, str]
    """decision_id -> unit."""
    checkouts: Mapping[str, Sequence[Decision]]
    """checkout_id -> its decisions, in order."""
    orders: Sequence[Order]
    """By (placed_at, event_id of the purchase)."""
    orders_of: Mapping[str, Sequence[Order]]
    """checkout_id -> the orders that ended it, in order."""
    viewed_at: Mapping[str, int]
    accepted_at: Mapping[str, int]
    """`viewed_at`, `accepted_at`: offer_id -> the first such instant."""
    returns: Mapping[str, Sequence[Event]]
    """transaction_id -> refunds and cancellations by (occurred_at, event_id)."""
    uncounted: Mapping[str, Sequence[int]]
    """Each of `CAUSES` -> the instants of the facts that count for nothing by it."""
    prices_include_tax: bool
    """Whether prices of carts do, and of purchases that do not say."""
    newest: int | None
    """Time of the last fact; None without any."""

    def buyers(self, order: Order) -> frozenset[str]:
        """Return the units that bought by `order`: the purchase's and those of its checkouts.

        They differ only where a session shared by several customers cannot be assigned to one, or
        lines name offers made to others.
        """
        decided = [
            self.units[decision.decision_id]
            for checkout_id in order.checkouts
            for decision in self.checkouts.get(checkout_id, ())
        ]
        return frozenset((order.unit, *decided))


def build_history(
    facts: Iterable[Fact],
    bot_decisions_per_hour: int = 0,
    *,
    prices_include_tax: bool = True,
    only_vouched: bool = False,
) -> History:
    """Index `facts` of one shop, given in any order and any number of times.

    A session with more than `bot_decisions_per_hour` within any 60 minutes is a bot for these
    minutes, as if its decisions in them said so; 0 trusts every session. `prices_include_tax` is
    what purchases mean that do not say it. With `only_vouched` decisions that are not vouched count
    for nothing, and other facts of storefront keys tie no checkout or session to a customer.
    """
    return _Reading(facts, bot_decisions_per_hour, prices_include_tax, only_vouched).history()


class _Reading:
    def __init__(
        self,
        facts: Iterable[Fact],
        bot_decisions_per_hour: int,
        prices_include_tax: bool,
        only_vouched: bool,
    ) -> None:
        self._prices_include_tax = prices_include_tax
        distinct = _distinct(facts)
        self._newest = distinct[-1].occurred_at if distinct else None
        visitors = Visitors(distinct, bot_decisions_per_hour, only_vouched=only_vouched)
        self._uncounted = defaultdict[str, list[int]](list, visitors.uncounted)
        self._uncounted_offers, self._units = visitors.offers, visitors.units
        self._read_decisions([fact for fact in visitors.facts if isinstance(fact, Decision)])
        events = [fact for fact in visitors.facts if isinstance(fact, Event)]
        redated = [event for event in events if event.stated_at not in (None, NOT_STATED)]
        self._count("dated_on_arrival", redated)
        self._read_orders([event for event in events if event.type in ORDER_TYPES])
        self._read_promotions([event for event in events if event.type not in ORDER_TYPES])

    def _count(self, cause: str, facts: Iterable[Fact]) -> None:
        self._uncounted[cause] += [fact.occurred_at for fact in facts]

    def _read_decisions(self, decisions: Sequence[Decision]) -> None:
        decisions = sorted(decisions, key=lambda each: (each.occurred_at, each.decision_id))
        self._decisions: dict[str, Decision] = {}
        self._units_of: dict[str, str] = {}
        self._offers: dict[str, PlacedOffer] = {}
        self._checkouts: defaultdict[str, list[Decision]] = defaultdict(list)
        for decision in decisions:
            if decision.decision_id in self._decisions:
                self._count("duplicates", [decision])
                continue
            unit = self._units.of(decision, decision.checkout_id)
            self._decisions[decision.decision_id] = decision
            self._units_of[decision.decision_id] = unit
            self._checkouts[decision.checkout_id].append(decision)
            for offer in decision.offers:
                self._offers.setdefault(offer.offer_id, PlacedOffer(offer, decision, unit))

    def _read_orders(self, events: Sequence[Event]) -> None:
        self._orders: dict[str, Order] = {}
        self._orders_of: defaultdict[str, list[Order]] = defaultdict(list)
        self._returns: defaultdict[str, dict[object, Event]] = defaultdict(dict)
        revisions: defaultdict[str, dict[int, Event]] = defaultdict(dict)
        for event in events:
            transaction = event.transaction_id or event.event_id
            if event.type != "purchase":
                key = (event.refund_id, None if event.refund_id else event.event_id)
                if self._returns[transaction].setdefault(key, event) is not event:
                    self._count("duplicates", [event])
                continue
            first = revisions[transaction].setdefault(event.revision, event)
            if first is not event:
                self._count("duplicates", [event])
                if _is_another_order(event, first):
                    self._count("reused_transactions", [event])
        for purchase in sorted(map(self._latest, revisions.values()), key=_by_time):
            transaction = purchase.transaction_id or purchase.event_id
            order = self._order(purchase, transaction)
            self._orders[transaction] = order
            for checkout_id in order.checkouts:
                self._orders_of[checkout_id].append(order)
        for transaction, returns in self._returns.items():
            order = self._orders.get(transaction)
            if order is None:
                self._count("unmatched", returns.values())
            else:
                wrong = mismatched(order.purchase, returns.values(), with_tax=order.with_tax)
                self._count("refund_mismatch", wrong)

    def _latest(self, revisions: Mapping[int, Event]) -> Event:
        """Return the highest revision of a purchase, at the instant of the lowest."""
        *lower, latest = (revisions[number] for number in sorted(revisions))
        self._count("superseded", lower)
        return replace(latest, occurred_at=lower[0].occurred_at) if lower else latest

    def _order(self, purchase: Event, transaction: str) -> Order:
        offers = [self._offers.get(line.offer_id or "") for line in purchase.items]
        self._note_unknown(purchase, [line.offer_id for line in purchase.items])
        if purchase.checkout_id is None:
            self._count("orders_without_checkout", [purchase])
        named = [None if offer is None else offer.decision.checkout_id for offer in offers]
        checkout = purchase.checkout_id or next(filter(None, named), None)
        of_lines = [of_offer or checkout for of_offer in named]
        decided = self._checkouts.get(checkout or "", ())
        answered = [*decided[:1], *(offer.decision for offer in offers if offer is not None)]
        if any(_is_early(purchase, decision) for decision in answered):
            self._count("early", [purchase])
        unit = self._units.of(purchase, checkout)
        if purchase.customer_id is None and purchase.session_id is None:
            if decided:
                unit = self._units_of[decided[0].decision_id]
            elif checkout is None:
                unit = f"t:{transaction}"
        currencies = (purchase.currency, *(decision.currency for decision in decided))
        currency = next((code for code in currencies if code is not None), None)
        with_tax = includes_tax(purchase, shop=self._prices_include_tax)
        return Order(purchase, transaction, checkout, of_lines, unit, currency, with_tax)

    def _note_unknown(self, event: Event, offer_ids: Iterable[str | None]) -> None:
        """Count an event once as `unmatched` and once by `other_promotions` at most."""
        # A difference of sets would go through all offers for each event.
        unknown = {
            offer_id
            for offer_id in filter(None, offer_ids)
            if offer_id not in self._offers and offer_id not in self._uncounted_offers
        }
        own = {offer_id for offer_id in unknown if offer_id.startswith(OWN_OFFER_PREFIX)}
        if own:
            self._count("unmatched", [event])
        if unknown - own:
            self._count("other_promotions", [event])

    def _read_promotions(self, events: Sequence[Event]) -> None:
        self._viewed: dict[str, int] = {}
        self._accepted: dict[str, int] = {}
        for event in events:
            offer_id = event.offer_id or ""
            placed = self._offers.get(offer_id)
            if placed is None:
                self._note_unknown(event, [offer_id])
                continue
            orders = self._orders_of.get(placed.decision.checkout_id, ())
            if orders and event.occurred_at > orders[0].placed_at:
                self._count("late", [event])
            if _is_early(event, placed.decision):
                self._count("early", [event])
            if event.type == "view_promotion":
                self._viewed.setdefault(offer_id, event.occurred_at)
            elif event.type in ACCEPT_TYPES:
                self._accepted.setdefault(offer_id, event.occurred_at)

    def history(self) -> History:
        return History(
            decisions=list(self._decisions.values()),
            offers=self._offers,
            units=self._units_of,
            checkouts=self._checkouts,
            orders=list(self._orders.values()),
            orders_of=self._orders_of,
            viewed_at=self._viewed,
            accepted_at=self._accepted,
            returns={name: [*events.values()] for name, events in self._returns.items()},
            uncounted={cause: self._uncounted[cause] for cause in CAUSES},
            prices_include_tax=self._prices_include_tax,
            newest=self._newest,
        )


def _is_early(event: Event, decision: Decision) -> bool:
    return event.occurred_at < decision.occurred_at - CLOCK_TOLERANCE


def _is_another_order(purchase: Event, first: Event) -> bool:
    """Return whether a purchase of a known transaction seems to be no copy of the first."""
    customers = {purchase.customer_id, first.customer_id} - {None}
    return len(customers) > 1 or purchase.occurred_at - first.occurred_at > MICROS_PER_DAY


def _distinct(facts: Iterable[Fact]) -> list[Fact]:
    """Return each event_id once, by (occurred_at, event_id)."""
    distinct: dict[str, Fact] = {}
    for fact in facts:
        first = distinct.setdefault(fact.event_id, fact)
        # A store never holds two bodies of one id; a plain list may, and must not depend on order.
        if first is not fact and first != fact:
            distinct[fact.event_id] = min(
                first, fact, key=lambda each: (each.occurred_at, repr(each))
            )
    return sorted(distinct.values(), key=_by_time)


def _by_time(fact: Fact) -> tuple[int, str]:
    return fact.occurred_at, fact.event_id
