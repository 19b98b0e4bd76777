"""Checkouts of a shop that does not exist, whose every effect is known: a test of the measurement.

Buyers return; some buy the complement anyway, some only where they see it offered; some trade up
by themselves; purchases are sent back. Each checkout gets a decision with one complement and one
better version, shown or, in the control arm, withheld.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mersalg.engine import money
from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.training.simulation.shoppers import Behaviour, Truth, Visit, play

CURRENCY = "NOK"
_BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)
# Base item, its better version, their complement, with prices in minor units.
_GOODS = (
    ("lamp", 29_900, "lamp-dimmable", 39_900, "bulb", 4_900),
    ("kettle", 39_900, "kettle-steel", 54_900, "tea-egg", 9_900),
    ("rucksack-20", 59_900, "rucksack-30", 79_900, "rain-cover", 14_900),
    ("headset", 89_900, "headset-wireless", 129_900, "headset-case", 19_900),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Planted truth; shares in [0, 1]."""

    checkouts: int = 20_000
    seed: int = 1
    holdout: float = 0.1
    """Control share."""
    salt: str = "mersalg-simulate"
    anyway: float = 0.11
    """Buyers who buy the complement whether or not it is offered."""
    persuaded: float = 0.08
    """Of the others who see the offer, those who buy it for that."""
    trade_up: float = 0.05
    """Buyers who take the better version by themselves."""
    upgraded: float = 0.05
    """Of the others who see the better version, those who take it for that."""
    seen: float = 0.8
    """Checkouts in which the offers are looked at."""
    returned: float = 0.05
    """Purchases of which a line is sent back."""
    visits: float = 2.5
    """Checkouts a customer makes, on average."""
    days: int = 60

    @property
    def behaviour(self) -> Behaviour:
        """Return the acceptance model of the shop's buyers."""
        return Behaviour(
            seen=self.seen,
            cross_sell_floor=self.persuaded,
            cross_sell_slope=0.0,
            upsell_at_par=self.upgraded,
            upsell_decay=0.0,
            refunds=self.returned,
        )


@dataclass(slots=True)
class Invented:
    """Plays a plan; `truth` grows as the facts are taken. The same plan gives the same facts."""

    plan: Plan
    truth: Truth = field(default_factory=Truth)

    def facts(self) -> Iterator[list[dict[str, Any]]]:
        """Facts of each checkout in the schema of events, decision first; checkouts in order."""
        plan, behaviour = self.plan, self.plan.behaviour
        customers = max(1, round(plan.checkouts / plan.visits))
        apart = timedelta(days=plan.days) / max(plan.checkouts, 1)
        for number in range(plan.checkouts):
            draw = random.Random(f"{plan.seed}/{number}")  # noqa: S311
            visit = self._visit(number, f"c{draw.randrange(customers)}", draw)
            decided_at = _BEGIN + number * apart
            decision = self._decision(visit, decided_at)
            shown = decision["offers"] if decision["arm"] == "treatment" else []
            answer = {
                "arm": decision["arm"],
                "offers": [{**offer, "score": 0.0} for offer in shown],
            }
            outcome = play(visit, answer, behaviour, decided_at)
            self.truth += outcome.truth
            yield [decision, *outcome.events]

    def _visit(self, number: int, customer: str, draw: random.Random) -> Visit:
        base, base_price, better, better_price, complement, price = draw.choice(_GOODS)
        bought = better if draw.random() < self.plan.trade_up else base
        intended = {bought: 1}
        if draw.random() < self.plan.anyway:
            intended[complement] = 1
        return Visit(
            checkout_id=f"sim-{self.plan.seed}-{number}",
            customer_id=f"sim-{self.plan.seed}-{customer}",
            session_id=f"sim-{self.plan.seed}-s{number}",
            currency=CURRENCY,
            cart={base: 1},
            intended=intended,
            prices={base: base_price, better: better_price, complement: price},
            seed=self.plan.seed,
        )

    def _decision(self, visit: Visit, decided_at: datetime) -> dict[str, Any]:
        plan = self.plan
        unit = unit_of(visit.customer_id, visit.session_id, visit.checkout_id)
        (base,) = visit.cart
        better, complement = next((each[2], each[4]) for each in _GOODS if each[0] == base)
        return {
            "type": "decision",
            "event_id": f"{visit.checkout_id}/0",
            "decision_id": f"{visit.checkout_id}/0",
            "occurred_at": decided_at.isoformat(),
            "checkout_id": visit.checkout_id,
            "session_id": visit.session_id,
            "customer_id": visit.customer_id,
            "arm": assign_arm(unit, salt=f"{plan.salt}-{plan.seed}", holdout=plan.holdout),
            "control_share": plan.holdout,
            "model_version": "simulated",
            "placement": "checkout",
            "currency": CURRENCY,
            "lines": [{"item_id": base, "quantity": 1, "unit_price": _text(visit.prices[base])}],
            "offers": [
                {
                    "offer_id": f"{visit.checkout_id}/cross_sell",
                    "kind": "cross_sell",
                    "item_id": complement,
                    "position": 1,
                    "unit_price": _text(visit.prices[complement]),
                },
                {
                    "offer_id": f"{visit.checkout_id}/upsell",
                    "kind": "upsell",
                    "item_id": better,
                    "position": 1,
                    "unit_price": _text(visit.prices[better]),
                    "replaces": {"item_id": base, "quantity": 1},
                },
            ],
        }


def _text(minor: int | None) -> str:
    assert minor is not None
    return money.to_text(minor, CURRENCY)
