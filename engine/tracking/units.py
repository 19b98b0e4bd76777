"""The unit of a fact: who is counted, from all that facts say of sessions and checkouts.

Bots are included, for facts far from a session may decide which facts are those of bots.
"""

from __future__ import annotations

from collections.abc import Sequence

from mersalg.engine.experiment import unit_of
from mersalg.engine.facts import Decision, Event, Fact


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
