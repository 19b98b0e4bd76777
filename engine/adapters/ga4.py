"""Google Analytics 4's e-commerce events: Measurement Protocol bodies, and pushes to a data layer.

`offer_id`, else `promotion_id`, is the `offer_id` of a suggestion, on the event or on its items.
An item without an `item_id` is known by its `item_name`. A page may add `checkout_id`, `session_id`
and `customer_id` to the parameters of any event; without them the session is that of `client_id`
and `ga_session_id`, and the customer is `user_id`. A purchase may have a `revision`.

In GA4 `price` is what is paid for one unit and `discount` what was taken off one; here a line has
the price before its discount, and the discount of all its units. The `tax` of a purchase is that of
the whole order: it is spread over the lines by what they cost. Whether prices include it is as
`[shop] prices_include_tax` says, unless the parameters have a `prices_include_tax` of their own. A
`discount` of the order is spread likewise, unless its items have discounts.
The `value` of a refund is not read: without items it is of the whole order.
Source: the measurement reference of GA4, events `view_promotion`, `select_promotion`,
`add_to_cart`, `purchase` and `refund`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from mersalg.engine import clock
from mersalg.engine.adapters.loose_json import (
    Fields,
    Record,
    amount_of,
    derived_id,
    flag_of,
    goods_of_order,
    instant_of,
    record_of,
    records_of,
    text_of,
    without_none,
)
from mersalg.engine.errors import FactRejected, shown

_PROMOTIONS = frozenset({"view_promotion", "select_promotion", "add_to_cart"})
_ORDERS = frozenset({"purchase", "refund"})
_OFFER = ("offer_id", "promotion_id")


def translate(payload: object, received_at: int) -> list[Record]:
    """Return events in our schema; those that say nothing of offers or orders are left out.

    A payload is `{"client_id", "events": [{"name", "params"}]}`, one `{"name", "params"}`, or a
    push `{"event", "ecommerce"}`; others raise FactRejected. One without a time is of `received_at`
    (microseconds).
    """
    body = record_of(payload, "the payload")
    events = records_of(body, "events") if "events" in body else [body]
    records: list[Record] = []
    for event in events:
        name = text_of(event, "name", "event")
        if name is None:
            raise FactRejected("invalid", "an event needs a name")
        params = event.get("params", event.get("ecommerce", {}))
        if name in _PROMOTIONS | _ORDERS:
            read = _Event(name, record_of(params, "params"), event, body, received_at)
            records.extend(read.orders() if name in _ORDERS else read.promotions())
    return records


class _Event:
    def __init__(
        self, name: str, params: Fields, event: Fields, body: Fields, received_at: int
    ) -> None:
        self._name, self._params, self._body = name, params, body
        stamp = text_of(event, "timestamp_micros") or text_of(body, "timestamp_micros")
        client, session = text_of(body, "client_id"), text_of(params, "ga_session_id")
        own = text_of(params, "session_id")
        if own is None and client is not None:
            own = f"{client}.{session}" if session is not None else client
        self._common: Record = {
            **instant_of(None if stamp is None else clock.to_iso(_micros(stamp)), received_at),
            "checkout_id": text_of(params, "checkout_id"),
            "session_id": own,
            "customer_id": text_of(params, "customer_id") or text_of(body, "user_id"),
        }
        # Without a time of its own an event that was sent twice looks like one that happened twice.
        self._identity = [name, params, client, stamp]

    def promotions(self) -> Iterator[Record]:
        items = records_of(self._params, "items")
        named = {text_of(each, *_OFFER): None for each in (self._params, *items)}
        own = text_of(self._params, "event_id")
        for offer_id in named:
            if offer_id is not None:
                event_id = f"{own}/{offer_id}" if own else None
                yield without_none(
                    type=self._name,
                    event_id=event_id or derived_id("ga4", [*self._identity, offer_id]),
                    offer_id=offer_id,
                    **self._common,
                )

    def orders(self) -> Iterator[Record]:
        transaction = text_of(self._params, "transaction_id")
        if transaction is None:
            raise FactRejected("invalid", f"{self._name} needs a transaction_id")
        own, revision = text_of(self._params, "event_id"), self._params.get("revision")
        if own is None:
            # One purchase a transaction; of refunds there may be several.
            own = (
                f"ga4/purchase/{transaction}{f'/{revision}' if revision else ''}"
                if self._name == "purchase"
                else derived_id("ga4", self._identity)
            )
        currency = text_of(self._params, "currency")
        items = [_line(item) for item in records_of(self._params, "items")]
        of_order = {name: amount_of(self._params, name) for name in ("discount", "tax")}
        if self._name != "purchase" or any("discount" in line for line in items):
            # Beside discounts of lines, that of the order is their sum.
            of_order["discount"] = None
        if self._name != "purchase":
            of_order["tax"] = None
        yield without_none(
            type=self._name,
            event_id=own,
            transaction_id=transaction,
            refund_id=text_of(self._params, "refund_id"),
            currency=currency,
            items=goods_of_order(items, currency, **of_order),
            revision=revision,
            prices_include_tax=flag_of(self._params, "prices_include_tax"),
            **self._common,
        )


def _line(item: Fields) -> Record:
    quantity = amount_of(item, "quantity")
    quantity = Decimal(1) if quantity is None else quantity
    paid, off = amount_of(item, "price"), amount_of(item, "discount") or Decimal(0)
    return without_none(
        item_id=text_of(item, "item_id", "item_name"),
        quantity=str(quantity),
        price=None if paid is None else str(paid + off),
        discount=str(off * quantity) if off else None,
        offer_id=text_of(item, *_OFFER),
    )


def _micros(stamp: str) -> int:
    if not stamp.isdecimal():
        raise FactRejected(
            "invalid", f"timestamp_micros: {shown(stamp)} is no number of microseconds"
        )
    try:
        return clock.to_micros(datetime.fromtimestamp(int(stamp) / 1e6, UTC))
    except (OverflowError, ValueError, OSError) as error:
        raise FactRejected("invalid", f"timestamp_micros: {shown(stamp)} is no moment") from error
