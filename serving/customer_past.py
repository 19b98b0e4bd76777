"""What a buyer bought before: what the model remembers, and what the shop reported since."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from engine.clock import MICROS_PER_DAY
from engine.model import Model
from engine.ranking.purchases import MOST_ORDERS, Past
from engine.storage.asking import Bought
from serving.database_time import DatabaseTime
from serving.lookups import Lookups

_FRESH_SECONDS = 30.0
_MOST_CUSTOMERS = 5_000


def row_of(model: Model, customer_id: str | None) -> int | None:
    """Where the model remembers the customer; None where it does not."""
    if customer_id is None or model.customers is None:
        return None
    row = model.customers.row_of(customer_id, model.customer_key)
    return None if row < 0 else row


def past_of(model: Model, row: int | None, bought: Sequence[Bought], now: int) -> Past:
    """One cart's past: what the model remembers in `row`, and what was bought since.

    Nothing where neither is known.
    """
    past = Past.unknown()
    if row is not None and model.customers is not None:
        past = Past.of_customer(model.customers.purchases, row, now)
    if not bought:
        return past
    index = model.catalogue.items.index_of
    orders: list[tuple[float, np.ndarray]] = []
    for occurred_at, item_ids in bought[-MOST_ORDERS:]:
        items = {item for item in map(index, item_ids) if item is not None}
        age = max(now - occurred_at, 0) / MICROS_PER_DAY
        orders.append((age, np.array(sorted(items), dtype=np.int32)))
    return past.joined(Past.of_orders(orders))


class CustomerPasts:
    """Purchases since the model was trained: a small memory, and the database behind it.

    Args:
        look_up: asks the database for a customer's purchases after a moment; blocks.
        who_bought: which of several customers have any after that moment; blocks.
    """

    def __init__(
        self,
        look_up: Callable[[str, int], list[Bought]],
        who_bought: Callable[[Sequence[str], int], Collection[str]],
    ) -> None:
        self._look_up, self._who_bought = look_up, who_bought
        self._known: OrderedDict[str, tuple[float, int, Sequence[Bought]]] = OrderedDict()
        self._moments: WeakKeyDictionary[Model, int] = WeakKeyDictionary()
        self._lookups: Lookups[tuple[str, int], Sequence[Bought]] = Lookups(
            "mersalg-customers", self._ask
        )

    async def since(
        self, model: Model | None, customer_id: str | None, patience: DatabaseTime
    ) -> Sequence[Bought]:
        """What `customer_id` bought since `model` was trained, oldest first; what is remembered of
        it, perhaps nothing, where the database does not answer in time."""
        if model is None or customer_id is None:
            return ()
        moment = self._known_until(model)
        at, until, bought = self._known.get(customer_id, (float("-inf"), moment, ()))
        if until != moment:
            at, bought = float("-inf"), ()
        if time.monotonic() - at < _FRESH_SECONDS:
            return bought
        found = await patience.ask(self._lookups, (customer_id, moment))
        if found is None:
            return bought
        self._known[customer_id] = (time.monotonic(), moment, found)
        self._known.move_to_end(customer_id)
        if len(self._known) > _MOST_CUSTOMERS:
            self._known.popitem(last=False)
        return found

    def forget(self, customer_ids: Iterable[str]) -> None:
        """Ask anew for customers who just bought something."""
        for customer_id in customer_ids:
            self._known.pop(customer_id, None)

    def close(self) -> None:
        self._lookups.close()

    def _known_until(self, model: Model) -> int:
        """The last moment the model has heard of; looked for once, among all its orders."""
        moment = self._moments.get(model)
        if moment is None:
            moment = model.customers.known_until if model.customers is not None else 0
            self._moments[model] = moment
        return moment

    def _ask(self, asked: Sequence[tuple[str, int]]) -> list[Sequence[Bought]]:
        bought = {
            (customer, moment)
            for moment in {moment for _, moment in asked}
            for customer in self._who_bought([who for who, at in asked if at == moment], moment)
        }
        # Most have bought nothing since, which one question tells of all of them.
        return [self._look_up(*each) if each in bought else () for each in asked]
