"""Plays visits against a shop's suggestion service and keeps the truth beside what it measures.

The service is anything that answers a suggestion request and takes facts; over HTTP that is
`HttpService`. Buyers in the control arm get no offers and so behave as if the service were not
there, which makes the true incremental effect countable: for every treated visit both its
outcome with the offers and its outcome without them are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mersalg.engine import money
from mersalg.engine.facts import KINDS, Kind
from mersalg.training.shoppers import Behaviour, Visit
from mersalg.training.truth import KindTruth, Truth


class Service(Protocol):
    """The two calls a shop makes; may be used from several threads."""

    def suggest(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of `POST /v1/suggestions`."""
        ...

    def record(self, events: list[dict[str, Any]]) -> None:
        """Hand over facts as `POST /v1/events` takes them; raises where one is rejected."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """One visit played to its end: the answer it got, the facts it sent, what was true of it."""

    visit: Visit
    answer: dict[str, Any]
    events: list[dict[str, Any]]
    truth: Truth


def play(visit: Visit, answer: dict[str, Any], behaviour: Behaviour, now: datetime) -> Outcome:
    """Return what the buyer of `visit` does with `answer`, as facts from just after `now` on."""
    return _Buyer(visit, answer, behaviour, now).play()


class _Buyer:
    def __init__(
        self, visit: Visit, answer: dict[str, Any], behaviour: Behaviour, now: datetime
    ) -> None:
        self.visit, self.answer, self.behaviour = visit, answer, behaviour
        self.moment = now
        self.events: list[dict[str, Any]] = []
        self.bought = dict(visit.intended)
        self.prices = dict(visit.prices)
        self.credited: dict[str, str] = {}  # item -> offer it was clicked through
        self.persuaded: dict[str, Kind] = {}
        self.extra: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def play(self) -> Outcome:
        visit, behaviour = self.visit, self.behaviour
        offers: list[dict[str, Any]] = self.answer["offers"]
        abandons = visit.chance("abandon") < behaviour.abandons
        if offers and visit.chance("seen") < behaviour.seen:
            for offer in offers:
                self._fact("view_promotion", offer_id=offer["offer_id"])
            for offer in offers:
                self._consider(offer)
        refunded = 0
        if not abandons:
            self._purchase()
            refunded = self._refund()
        truth = Truth(
            n_visits=1,
            n_purchases=int(not abandons),
            n_refunds=refunded,
            n_control=int(self.answer["arm"] == "control"),
            n_events=len(self.events),
            kinds={kind: self._truth(kind, offers, abandons) for kind in KINDS},
        )
        return Outcome(visit, self.answer, self.events, truth)

    def _consider(self, offer: dict[str, Any]) -> None:
        """Take it (in mind already, or persuaded), dismiss it, or leave it."""
        visit, behaviour, item_id = self.visit, self.behaviour, offer["item_id"]
        kind: Kind = offer["kind"]
        in_mind = _converts(offer, visit.cart, self.visit.intended)
        if not in_mind and item_id not in self.bought and self._persuades(offer):
            if kind == "upsell":
                base = offer["replaces"]["item_id"]
                self.bought[item_id] = self.bought.pop(base)
                self.credited.pop(base, None)
            else:
                self.bought[item_id] = 1
            self.persuaded[item_id] = kind
            self.extra[kind] += self._gain(offer)
        elif not in_mind:
            if visit.chance(f"dismiss/{item_id}") < behaviour.dismisses:
                self._fact("dismiss_promotion", offer_id=offer["offer_id"])
            return
        if visit.chance(f"click/{item_id}") < behaviour.clicks:
            # Half of the clicks lead to the item's page, half put it straight into the cart.
            direct = visit.chance(f"direct/{item_id}") < 0.5
            self._fact("add_to_cart" if direct else "select_promotion", offer_id=offer["offer_id"])
            self.credited[item_id] = offer["offer_id"]

    def _persuades(self, offer: dict[str, Any]) -> bool:
        visit, behaviour, price = self.visit, self.behaviour, self._offered_price(offer)
        self.prices.setdefault(offer["item_id"], price)
        draw = visit.chance(f"persuade/{offer['kind']}/{offer['item_id']}")
        if offer["kind"] == "cross_sell":
            return draw < behaviour.cross_sell_chance(float(offer["score"]))
        base = offer["replaces"]["item_id"]
        base_price = self.prices.get(base)
        # What the buyer has replaced already, by herself or for another offer, is gone.
        if base not in self.bought or not base_price or not price:
            return False
        return draw < behaviour.upsell_chance(price / base_price)

    def _offered_price(self, offer: dict[str, Any]) -> int | None:
        text = offer.get("unit_price")
        return None if text is None else money.to_minor(text, self.visit.currency)

    def _gain(self, offer: dict[str, Any]) -> int:
        """Order value, in minor units, that taking the offer adds."""
        better = self.prices[offer["item_id"]] or 0
        units = self.bought[offer["item_id"]]
        if offer["kind"] == "cross_sell":
            return better * units
        return (better - (self.prices[offer["replaces"]["item_id"]] or 0)) * units

    def _truth(self, kind: Kind, offers: list[dict[str, Any]], abandons: bool) -> KindTruth:
        of_kind = [offer for offer in offers if offer["kind"] == kind]
        if not of_kind:
            return KindTruth()
        if abandons:
            return KindTruth(n_eligible=1)
        cart = self.visit.cart
        return KindTruth(
            n_eligible=1,
            n_with=int(any(_converts(offer, cart, self.bought) for offer in of_kind)),
            n_without=int(any(_converts(offer, cart, self.visit.intended) for offer in of_kind)),
            extra_minor=self.extra[kind],
        )

    def _purchase(self) -> None:
        self._fact(
            "purchase",
            transaction_id=self.visit.checkout_id,
            currency=self.visit.currency,
            items=[self._bought_line(item_id) for item_id in self.bought],
        )

    def _refund(self) -> int:
        if self.visit.chance("refund") >= self.behaviour.refunds:
            return 0
        items = sorted(self.bought)
        # Persuaded buys come back no more and no less often than others.
        returned = items[int(self.visit.chance("refunded") * len(items))]
        self._fact(
            "refund",
            transaction_id=self.visit.checkout_id,
            currency=self.visit.currency,
            items=[self._bought_line(returned)],
        )
        return 1

    def _bought_line(self, item_id: str) -> dict[str, Any]:
        line: dict[str, Any] = {"item_id": item_id, "quantity": self.bought[item_id]}
        price = self.prices.get(item_id)
        if price is not None:
            line["price"] = money.to_text(price, self.visit.currency)
        if item_id in self.credited:
            line["offer_id"] = self.credited[item_id]
        return line

    def _fact(self, kind: str, **fields: object) -> None:
        self.moment += timedelta(milliseconds=1)
        visit = self.visit
        self.events.append(
            {
                "type": kind,
                "event_id": f"{visit.checkout_id}/{len(self.events) + 1}",
                "occurred_at": self.moment.astimezone(UTC).isoformat(),
                "checkout_id": visit.checkout_id,
                "session_id": visit.session_id,
                **({"customer_id": visit.customer_id} if visit.customer_id else {}),
                **fields,
            }
        )


def _converts(offer: Mapping[str, Any], cart: Mapping[str, int], bought: Mapping[str, int]) -> bool:
    """Return whether an item was bought and not in the cart; for an upsell, instead of its base."""
    item_id = offer["item_id"]
    if item_id not in bought or item_id in cart:
        return False
    if offer["kind"] == "cross_sell":
        return True
    base = offer["replaces"]["item_id"]
    return bought.get(base, 0) < cart[base]
