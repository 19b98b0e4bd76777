"""What a buyer bought before: what the model remembers, and what the shop reported since."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from engine.model import Model
from engine.ranking.purchases import MOST_ORDERS, Past
from serving.database_time import DatabaseTime

Bought = tuple[int, tuple[str, ...]]
"""When, in microseconds UTC, and the ids of the items."""

_DAY = 86_400_000_000.0
_FRESH_SECONDS = 30.0
_MOST_CUSTOMERS = 20_000
_THREADS = 4


def row_of(model: Model, customer_id: str | None) -> int | None:
    """Where the model remembers the customer; None where it does not."""
    if customer_id is None or model.customers is None:
        return None
    row = model.customers.row_of(customer_id, model.customer_key)
    return None if row < 0 else row


def past_of(model: Model, row: int | None, bought: Sequence[Bought], now: int) -> Past:
    """One cart's past: what the model remembers in `row`, and what was bought since.

    Nothing where neither is known, or the model ranks by rules.
    """
    past = Past.unknown()
    if model.ranking is None:
        return past
    if row is not None and model.customers is not None:
        moment = np.array([now], dtype=np.int64)
        past = Past.read(model.customers.purchases, np.array([row]), moment, moment)
    if not bought:
        return past
    index = model.catalogue.items.index_of
    orders: list[tuple[float, np.ndarray]] = []
    for occurred_at, item_ids in bought[-MOST_ORDERS:]:
        items = {item for item in map(index, item_ids) if item is not None}
        age = max(now - occurred_at, 0) / _DAY
        orders.append((age, np.array(sorted(items), dtype=np.int32)))
    return past.joined(Past.of_orders(orders))


class CustomerPasts:
    """Purchases since the model was trained: a small memory, and the database behind it.

    Args:
        look_up: asks the database for a customer's purchases after a moment; blocks.
    """

    def __init__(self, look_up: Callable[[str, int], list[Bought]]) -> None:
        self._look_up = look_up
        self._known: OrderedDict[tuple[str, int], tuple[float, list[Bought]]] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-customers")

    async def since(
        self, model: Model | None, customer_id: str | None, patience: DatabaseTime
    ) -> Sequence[Bought]:
        """What `customer_id` bought since `model` was trained, oldest first; what is remembered of
        it, perhaps nothing, where the database does not answer in time."""
        if model is None or model.ranking is None or customer_id is None:
            return ()
        moment = model.customers.known_until if model.customers is not None else 0
        remembered = self._known.get((customer_id, moment))
        if remembered is not None and time.monotonic() - remembered[0] < _FRESH_SECONDS:
            return remembered[1]
        found = await patience.ask(self._threads, lambda: self._look_up(customer_id, moment))
        if found is None:
            return remembered[1] if remembered is not None else ()
        self._known[customer_id, moment] = (time.monotonic(), found)
        self._known.move_to_end((customer_id, moment))
        if len(self._known) > _MOST_CUSTOMERS:
            self._known.popitem(last=False)
        return found

    def forget(self, customer_ids: Iterable[str]) -> None:
        """Ask anew for customers who just bought something."""
        gone = set(customer_ids)
        if gone:
            for known in [each for each in self._known if each[0] in gone]:
                del self._known[known]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
