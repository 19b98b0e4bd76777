"""Hand-written checkouts as facts: what was decided, seen, taken, bought, returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self


@dataclass(frozen=True)
class Line:
    """One bought line; `named` puts the id of the item's offer on it."""

    item_id: str
    quantity: int = 1
    discount: str | None = None
    named: bool = False


def through_offer(item_id: str, quantity: int = 1, discount: str | None = None) -> Line:
    """A line that says which offer it came from."""
    return Line(item_id, quantity, discount, named=True)


class History:
    """Facts of one shop, in the JSON schema of `mersalg events import`."""

    def __init__(self, prices: Mapping[str, str], currency: str, start: str) -> None:
        self._prices, self.currency = prices, currency
        self._moment = datetime.fromisoformat(start)
        self.facts: list[dict[str, Any]] = []

    def add(self, kind: str, **fields: object) -> None:
        """One fact, a minute after the one before."""
        self._moment += timedelta(minutes=1)
        given = {name: value for name, value in fields.items() if value is not None}
        self.facts.append(
            {
                "type": kind,
                "event_id": f"e{len(self.facts) + 1}",
                "occurred_at": self._moment.isoformat(),
                **given,
            }
        )

    def items(self, lines: Sequence[str | Line], call_id: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        for line in (Line(entry) if isinstance(entry, str) else entry for entry in lines):
            entry = {
                "item_id": line.item_id,
                "quantity": line.quantity,
                "price": self._prices[line.item_id],
            }
            if line.discount is not None:
                entry["discount"] = line.discount
            if line.named:
                entry["offer_id"] = f"{call_id}/{line.item_id}"
            entries.append(entry)
        return entries

    def checkout(
        self,
        checkout_id: str,
        answer: Mapping[str, Any],
        *,
        cart: Mapping[str, int],
        customer: str | None = None,
        session: str | None = None,
        control: bool = False,
        call: int = 1,
    ) -> Checkout:
        """One call and its answer, recorded; in the control arm its offers are ghosts."""
        call_id = f"{checkout_id}.{call}"
        self.add(
            "decision",
            decision_id=call_id,
            checkout_id=checkout_id,
            customer_id=customer,
            session_id=session,
            arm="control" if control else "treatment",
            model_version=answer["model_version"],
            placement="checkout",
            currency=self.currency,
            lines=[
                {"item_id": item_id, "quantity": quantity, "unit_price": self._prices[item_id]}
                for item_id, quantity in cart.items()
            ],
            offers=[
                {
                    "offer_id": f"{call_id}/{offer['item_id']}",
                    "kind": offer["kind"],
                    "item_id": offer["item_id"],
                    "position": offer["position"],
                    "unit_price": offer["unit_price"],
                    **({"replaces": offer["replaces"]} if offer.get("replaces") else {}),
                }
                for offer in answer["offers"]
            ],
        )
        return Checkout(self, call_id, checkout_id, customer, session)


class Checkout:
    """What one buyer did after one decision; each method adds facts and can be chained."""

    def __init__(
        self,
        history: History,
        call_id: str,
        checkout_id: str,
        customer: str | None,
        session: str | None,
    ) -> None:
        self._history, self._call_id = history, call_id
        self._who = {"checkout_id": checkout_id, "customer_id": customer, "session_id": session}

    def sees(self, *item_ids: str) -> Self:
        return self._promotion("view_promotion", item_ids)

    def clicks(self, *item_ids: str) -> Self:
        return self._promotion("select_promotion", item_ids)

    def adds(self, *item_ids: str) -> Self:
        return self._promotion("add_to_cart", item_ids)

    def dismisses(self, *item_ids: str) -> Self:
        return self._promotion("dismiss_promotion", item_ids)

    def _promotion(self, kind: str, item_ids: tuple[str, ...]) -> Self:
        for item_id in item_ids:
            self._history.add(kind, offer_id=f"{self._call_id}/{item_id}", **self._who)
        return self

    def buys(self, *lines: str | Line) -> Self:
        return self._ordered("purchase", lines)

    def refunds(self, *lines: str | Line) -> Self:
        """A refund of these lines; of everything where none is named."""
        return self._ordered("refund", lines)

    def cancels(self) -> Self:
        return self._ordered("cancel", ())

    def _ordered(self, kind: str, lines: tuple[str | Line, ...]) -> Self:
        items = self._history.items(lines, self._call_id)
        self._history.add(
            kind,
            transaction_id=f"t-{self._who['checkout_id']}",
            currency=self._history.currency,
            items=items or None,
            **self._who,
        )
        return self
