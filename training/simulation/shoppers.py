"""Simulated buyers: what they came for, and what an offer can persuade them of.

Part of what a buyer came for is in the cart when suggestions are asked for; the rest she has in
mind and buys anyway. What offers add on top is drawn from the visit's own random stream, never
from the service, so the true effect of the offers is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from operator import add
from typing import Any

from mersalg.engine import money
from mersalg.engine.fact_values import to_minor
from mersalg.engine.facts import KINDS, Kind


@dataclass(frozen=True, slots=True)
class KindTruth:
    """Additive counts of one kind over visits whose decision had offers of it.

    `n_eligible` treated visits, of which `n_with` bought an offered item by the conversion rule
    and `n_without` would have without any offer; `extra_minor` is the order value persuasion added.
    """

    n_eligible: int = 0
    n_with: int = 0
    n_without: int = 0
    extra_minor: int = 0

    def __add__(self, other: KindTruth) -> KindTruth:
        return KindTruth(*map(add, astuple(self), astuple(other)))

    @property
    def incremental(self) -> float | None:
        """True effect of the offers on the share of treated checkouts that convert."""
        return (self.n_with - self.n_without) / self.n_eligible if self.n_eligible else None


@dataclass(frozen=True, slots=True)
class Truth:
    """Truth that the simulation knows and a shop never does; `+` joins two parts of a replay."""

    n_visits: int = 0
    n_purchases: int = 0
    n_refunds: int = 0
    n_control: int = 0
    n_events: int = 0
    kinds: Mapping[Kind, KindTruth] = field(
        default_factory=lambda: {kind: KindTruth() for kind in KINDS}
    )

    def __add__(self, other: Truth) -> Truth:
        names = ("n_visits", "n_purchases", "n_refunds", "n_control", "n_events")
        counts = (getattr(self, name) + getattr(other, name) for name in names)
        return Truth(*counts, kinds={each: self.kinds[each] + other.kinds[each] for each in KINDS})

    def to_json(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {
            "visits": self.n_visits,
            "purchases": self.n_purchases,
            "refunds": self.n_refunds,
            "control_visits": self.n_control,
            "events": self.n_events,
            **{
                kind: {
                    "eligible": truth.n_eligible,
                    "converted_with_offers": truth.n_with,
                    "converted_without_offers": truth.n_without,
                    "incremental": truth.incremental,
                    "extra_minor": truth.extra_minor,
                }
                for kind, truth in self.kinds.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Every number that drives the simulated buyers; all shares are in [0, 1]."""

    in_mind: float = 0.35
    """Share of a basket that is not yet in the cart when suggestions are asked for."""
    trade_up_in_mind: float = 0.10
    """Share of buyers whose cart holds a cheaper sibling of what they end up buying anyway."""
    seen: float = 0.80
    """Chance that the buyer sees the offers at all."""
    cross_sell_floor: float = 0.02
    cross_sell_slope: float = 0.15
    """A seen item not in mind is bought with chance floor + slope x score."""
    upsell_at_par: float = 0.10
    upsell_decay: float = 1.5
    """A seen upgrade is taken with chance at_par x exp(-decay x (price ratio - 1))."""
    clicks: float = 0.70
    """Share of taken offers (in mind or persuaded) taken through a click that names the offer."""
    dismisses: float = 0.10
    """Share of seen and not taken offers that are dismissed."""
    abandons: float = 0.08
    """Share of checkouts left without a purchase, offers or not."""
    refunds: float = 0.04
    """Share of purchases of which one line is refunded."""

    def cross_sell_chance(self, score: float) -> float:
        """Return the probability that a seen cross-sell offer is taken."""
        return min(1.0, self.cross_sell_floor + self.cross_sell_slope * max(score, 0.0))

    def upsell_chance(self, price_ratio: float) -> float:
        """Return the probability that a seen upgrade is taken."""
        return min(1.0, self.upsell_at_par * math.exp(-self.upsell_decay * (price_ratio - 1)))

    def sentences(self) -> list[str]:
        """Return the acceptance model in words and numbers, for readers of the rates."""
        return [
            f"{self.in_mind:.0%} of a basket is not yet in the cart but bought anyway; "
            f"{self.trade_up_in_mind:.0%} of buyers trade up by themselves.",
            f"Offers are seen by {self.seen:.0%}; control sees none.",
            f"A seen item nobody had in mind is bought with chance {self.cross_sell_floor:g} + "
            f"{self.cross_sell_slope:g} x score; a seen upgrade with chance "
            f"{self.upsell_at_par:g} x exp(-{self.upsell_decay:g} x (price ratio - 1)).",
            f"{self.clicks:.0%} of taken offers are clicked, {self.dismisses:.0%} of the others "
            f"dismissed; {self.abandons:.0%} of checkouts are abandoned, {self.refunds:.0%} of "
            "purchases have a line refunded.",
        ]


@dataclass(frozen=True, slots=True)
class Visit:
    """One checkout before any offer."""

    checkout_id: str
    customer_id: str | None
    session_id: str
    currency: str
    cart: Mapping[str, int]
    """Item id -> units at the moment suggestions are asked for."""
    intended: Mapping[str, int]
    """Item id -> units bought if no offer is seen; an item of the cart that is not in it gave way
    to a dearer sibling that is."""
    prices: Mapping[str, int | None]
    """Item id -> list price in minor units of every item of `cart` and `intended`."""
    seed: int

    def chance(self, what: str) -> float:
        """Return a uniform draw of this visit, fixed by the seed and what it decides."""
        return random.Random(f"{self.seed}/{self.checkout_id}/{what}").random()  # noqa: S311

    def request(self) -> dict[str, Any]:
        """Return the body of `POST /v1/suggestions`."""
        body: dict[str, Any] = {
            "checkout_id": self.checkout_id,
            "session_id": self.session_id,
            "placement": "checkout",
            "lines": [self._line(item_id, units) for item_id, units in self.cart.items()],
        }
        if self.customer_id is not None:
            body["customer_id"] = self.customer_id
        return body

    def _line(self, item_id: str, units: int) -> dict[str, Any]:
        line: dict[str, Any] = {"item_id": item_id, "quantity": units}
        price = self.prices[item_id]
        if price is not None:
            line["unit_price"] = money.to_text(price, self.currency)
        return line


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
            self._fact(
                "purchase",
                transaction_id=visit.checkout_id,
                currency=visit.currency,
                items=[self._bought_line(item_id) for item_id in self.bought],
            )
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
        visit, behaviour, text = self.visit, self.behaviour, offer.get("unit_price")
        price = None if text is None else to_minor(text, visit.currency)
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
