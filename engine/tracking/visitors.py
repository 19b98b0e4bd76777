"""Who is counted, and as whom: no bots, on request no strangers, and the unit of every other fact.

Facts far from a session may decide who is behind it, so all of them are looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from mersalg.engine.experiment import unit_of
from mersalg.engine.facts import ORDER_TYPES, Decision, Event, Fact, is_vouched

_HOUR = 3_600_000_000  # microseconds


class Visitors:
    """Split facts into those that count and those of bots or strangers.

    A stranger is behind a decision that no server vouches for, which counts for nothing where
    `only_vouched` ones do. Facts are given in order of time, each once; for bots see
    `mersalg.engine.tracking.history.build_history`.

    `facts` are those that count, `offers` the ids of the offers of which none counts, `units` those
    of all facts, of bots too; `uncounted` are the instants of facts by the causes of this module.
    """

    def __init__(
        self, facts: Sequence[Fact], bot_decisions_per_hour: int, *, only_vouched: bool
    ) -> None:
        decisions = [fact for fact in facts if isinstance(fact, Decision)]
        # From the last to the first: the first decision of a checkout stays.
        begun = {decision.checkout_id: decision.occurred_at for decision in reversed(decisions)}
        vouched = {decision.checkout_id for decision in decisions if is_vouched(decision)}
        strangers = {
            decision.event_id: decision
            for decision in decisions
            if only_vouched and not is_vouched(decision)
        }
        facts = [fact for fact in facts if fact.event_id not in strangers]
        hasty = _hasty_decisions(facts, bot_decisions_per_hour)
        if hasty:
            facts = [
                replace(fact, is_bot=True) if fact.event_id in hasty else fact for fact in facts
            ]
        bots, of_bots = _bots(facts)
        self.facts = [fact for fact in facts if fact.event_id not in bots]
        self.offers = of_bots.union(
            offer.offer_id for each in strangers.values() for offer in each.offers
        )
        self.units = Units([fact for fact in facts if is_vouched(fact) or not only_vouched])
        self.uncounted = {
            "checkouts": list(begun.values()),
            "unvouched": [at for checkout_id, at in begun.items() if checkout_id not in vouched],
            "bots_by_rate": [fact.occurred_at for fact in facts if fact.event_id in hasty],
            "bots_excluded": [fact.occurred_at for fact in facts if fact.event_id in bots],
        }


def _bots(facts: Sequence[Fact]) -> tuple[set[str], set[str]]:
    """Return the event ids of facts of bots, and the ids of offers made to bots alone.

    They are those that say so, and those that followed in checkouts of bots alone.
    """
    decisions = [fact for fact in facts if isinstance(fact, Decision)]
    events = [fact for fact in facts if isinstance(fact, Event)]
    bots = [decision for decision in decisions if decision.is_bot]
    people = [decision for decision in decisions if not decision.is_bot]
    to_people = {offer.offer_id for decision in people for offer in decision.offers}
    to_bots = {offer.offer_id for bot in bots for offer in bot.offers} - to_people
    checkouts = {bot.checkout_id for bot in bots} - {each.checkout_id for each in people}
    of_bots = {fact.event_id for fact in facts if fact.is_bot}
    for event in events if bots else ():
        if event.checkout_id is not None and event.type in ORDER_TYPES:
            followed = event.checkout_id in checkouts
        else:
            named = {event.offer_id, *(item.offer_id for item in event.items)}
            followed = not named.isdisjoint(to_bots) and named.isdisjoint(to_people)
        if followed:
            of_bots.add(event.event_id)
    bought = [event for event in events if event.type == "purchase"]
    orders = {sale.transaction_id for sale in bought if sale.event_id in of_bots}
    orders -= {sale.transaction_id for sale in bought if sale.event_id not in of_bots}
    of_bots |= {
        event.event_id
        for event in events
        if event.type in ORDER_TYPES and event.transaction_id in orders
    }
    return of_bots, to_bots


def _hasty_decisions(facts: Iterable[Fact], maximum: int) -> frozenset[str]:
    """Return event ids of the decisions of sessions in an hour that has more than `maximum`.

    A decision without a session counts with those of its checkout. Other hours of the session are
    not a bot's: many customers may share a till.
    """
    if not maximum:
        return frozenset()
    asked: defaultdict[tuple[str, str], list[Decision]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Decision) and not fact.is_bot:
            session = fact.session_id
            asked["checkout" if session is None else "session", session or fact.checkout_id].append(
                fact
            )
    return frozenset(
        decision.event_id
        for theirs in asked.values()
        for begin, last in enumerate(theirs[maximum:])
        if last.occurred_at - theirs[begin].occurred_at < _HOUR
        for decision in theirs[begin : begin + maximum + 1]
    )


class Units:
    """The unit that each fact belongs to.

    It is the customer that the fact names; else the one customer that facts name together with its
    checkout, or an offer of it; else the one that they name together with its session; else the
    session; else the checkout. Where they name several, the next of these decides.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        checkout_of = {
            offer.offer_id: fact.checkout_id
            for fact in facts
            if isinstance(fact, Decision)
            for offer in fact.offers
        }
        self._of_checkout: dict[str | None, str | None] = {}
        self._of_session: dict[str | None, str | None] = {}
        for fact in facts:
            if fact.customer_id is None:
                continue
            _tie(self._of_session, fact.session_id, fact.customer_id)
            _tie(self._of_checkout, fact.checkout_id, fact.customer_id)
            if isinstance(fact, Event):
                for offer_id in (fact.offer_id, *(line.offer_id for line in fact.items)):
                    named = checkout_of.get(offer_id or "")
                    _tie(self._of_checkout, named, fact.customer_id)

    def of(self, fact: Fact, checkout_id: str | None) -> str:
        """Return the unit of a fact of a checkout."""
        customer = (
            fact.customer_id
            or self._of_checkout.get(checkout_id)
            or self._of_session.get(fact.session_id)
        )
        return unit_of(customer, fact.session_id, checkout_id)


def _tie(owners: dict[str | None, str | None], name: str | None, customer_id: str) -> None:
    """Note the customer of a session or checkout; one that is tied to several has none."""
    if name is not None and owners.setdefault(name, customer_id) != customer_id:
        owners[name] = None
