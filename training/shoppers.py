"""Simulated buyers: what they came for, and what an offer can persuade them of.

Part of what a buyer came for is in the cart when suggestions are asked for; the rest she has in
mind and buys anyway. What offers add on top is drawn from the visit's own random stream, never
from the service, so the true effect of the offers is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mersalg.engine import money


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
    """One checkout before any offer.

    Attributes
    ----------
    cart
        Item id -> units at the moment suggestions are asked for.
    intended
        Item id -> units bought if no offer is seen; an item of the cart that is not in it gave way
        to a dearer sibling that is.
    prices
        Item id -> list price in minor units of every item of `cart` and `intended`.
    """

    checkout_id: str
    customer_id: str | None
    session_id: str
    currency: str
    cart: Mapping[str, int]
    intended: Mapping[str, int]
    prices: Mapping[str, int | None]
    seed: int

    def chance(self, what: str) -> float:
        """Return a uniform draw of this visit, fixed by the seed and what it decides."""
        return random.Random(f"{self.seed}/{self.checkout_id}/{what}").random()  # noqa: S311

    def request(self, limits: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return the body of `POST /v1/suggestions`."""
        body: dict[str, Any] = {
            "checkout_id": self.checkout_id,
            "session_id": self.session_id,
            "placement": "checkout",
            "lines": [self._line(item_id, units) for item_id, units in self.cart.items()],
        }
        if self.customer_id is not None:
            body["customer_id"] = self.customer_id
        if limits:
            body["limits"] = dict(limits)
        return body

    def _line(self, item_id: str, units: int) -> dict[str, Any]:
        line: dict[str, Any] = {"item_id": item_id, "quantity": units}
        price = self.prices[item_id]
        if price is not None:
            line["unit_price"] = money.to_text(price, self.currency)
        return line
