"""Facts that may count for nothing: those of bots, and decisions that anybody could have made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mersalg.engine.facts import ORDER_TYPES, Decision, Event, Fact, is_vouched

_HOUR = 3_600_000_000  # microseconds


class Checkouts:
    """The checkouts that were decided for, and which of them are vouched.

    Parameters
    ----------
    facts : sequence of Fact
        In order of time.

    Attributes
    ----------
    begun : list of int
        Instant of the first decision of each.
    unvouched : list of int
        The same of those without a vouched decision.
    of_strangers : dict
        event_id -> decision, of those that are not vouched.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        decisions = [fact for fact in facts if isinstance(fact, Decision)]
        # From the last to the first: the first decision of a checkout stays.
        begun = {decision.checkout_id: decision.occurred_at for decision in reversed(decisions)}
        vouched = {decision.checkout_id for decision in decisions if is_vouched(decision)}
        self.begun = list(begun.values())
        self.unvouched = [at for checkout_id, at in begun.items() if checkout_id not in vouched]
        self.of_strangers = {
            decision.event_id: decision for decision in decisions if not is_vouched(decision)
        }


class Bots:
    """Facts of bots: those that say so, and those that followed in checkouts of bots alone.

    Attributes
    ----------
    facts : set of str
        Event ids.
    offers : set of str
        Ids of offers made to bots alone.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        decisions = [fact for fact in facts if isinstance(fact, Decision)]
        events = [fact for fact in facts if isinstance(fact, Event)]
        self._people = {
            offer.offer_id
            for decision in decisions
            if not decision.is_bot
            for offer in decision.offers
        }
        bots = [decision for decision in decisions if decision.is_bot]
        self.offers = {offer.offer_id for bot in bots for offer in bot.offers} - self._people
        self._checkouts = {bot.checkout_id for bot in bots}
        self._checkouts -= {decision.checkout_id for decision in decisions if not decision.is_bot}
        self.facts = {fact.event_id for fact in facts if fact.is_bot}
        if bots:
            self.facts |= {event.event_id for event in events if self._followed(event)}
        bought = [event for event in events if event.type == "purchase"]
        theirs = {sale.transaction_id for sale in bought if sale.event_id in self.facts}
        theirs -= {sale.transaction_id for sale in bought if sale.event_id not in self.facts}
        self.facts |= {
            event.event_id
            for event in events
            if event.type in ORDER_TYPES and event.transaction_id in theirs
        }

    def _followed(self, event: Event) -> bool:
        if event.checkout_id is not None and event.type in ORDER_TYPES:
            return event.checkout_id in self._checkouts
        named = {event.offer_id, *(item.offer_id for item in event.items)}
        return not named.isdisjoint(self.offers) and named.isdisjoint(self._people)


def hasty_decisions(facts: Iterable[Fact], maximum: int) -> frozenset[str]:
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
