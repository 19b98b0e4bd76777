"""Carts, known customers, what they bought, and what a batch of carts may know of that."""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mersalg.engine.arrays import Float32s, Int32s, Int64s, Ragged
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native.kernels import bought_before

MAX_ORDERS = 250
"""Orders of one customer that are looked at, the last ones."""
NEVER = 999.0
"""Days since a purchase that never was."""


@dataclass(frozen=True, slots=True)
class Purchases:
    """Orders by customer, oldest first."""

    ordered_at: Ragged[np.int64]
    """Ragged of int64, n_customers rows of n_orders in all; microseconds UTC."""
    items: Ragged[np.int32]
    """Ragged of int32, n_orders rows, distinct and ascending inside an order."""

    @classmethod
    def none(cls) -> Purchases:
        """Return no customers."""
        nothing = np.zeros(1, dtype=np.int64)
        return cls(Ragged(nothing, nothing[:0]), Ragged(nothing, np.zeros(0, dtype=np.int32)))

    @property
    def n_customers(self) -> int:
        """Number of customers."""
        return len(self.ordered_at)


def hash_of(customer_id: str, key: bytes) -> int:
    """64 bits of HMAC-SHA256: who holds a model without its key can name nobody in it."""
    # A copy of the state that holds the key: hashing the key for each id takes thrice as long.
    own = _begun(key).copy()
    own.update(customer_id.encode())
    return int.from_bytes(own.digest()[:8], "big")


@lru_cache(4)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, b"customer:", hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Customers:
    """Rows of `purchases` by hash."""

    hashes: NDArray[np.uint64]
    """uint64 (n_customers,): ascending."""
    rows: Int64s
    """int64 (n_customers,): the row of `purchases` that belongs to each."""
    purchases: Purchases

    @classmethod
    def of(cls, customer_ids: Iterable[str], purchases: Purchases, key: bytes) -> Customers:
        """`customer_ids` are in the order of the rows of `purchases`."""
        hashes = np.array([hash_of(text, key) for text in customer_ids], dtype=np.uint64)
        rows = np.argsort(hashes, kind="stable")
        return cls(hashes[rows], rows.astype(np.int64), purchases)

    def without(self, hashes: NDArray[np.uint64]) -> Customers:
        """Nobody of `hashes` is found any more; what they bought is tied to no one."""
        if not len(hashes):
            return self
        remains = ~np.isin(self.hashes, hashes)
        return Customers(self.hashes[remains], self.rows[remains], self.purchases)

    def row_of(self, customer_id: str, key: bytes) -> int:
        """-1 for a customer nobody has heard of."""
        wanted = hash_of(customer_id, key)
        index = bisect_left(self.hashes.data, wanted)
        if index == len(self.hashes) or self.hashes.item(index) != wanted:
            return -1
        return self.rows.item(index)

    @property
    def known_until(self) -> int:
        """Microseconds of the last order that is known."""
        return int(self.purchases.ordered_at.values.max(initial=0))


Carts = Ragged[np.int32]
"""A batch of carts: the items of each, distinct and ascending."""


class Past(Struct, frozen=True, gc=False):
    """Past purchases of the customers of a batch of carts, entry by entry."""

    cart: Int64s
    """int64 (n,), as of all: whose customer bought it, ascending."""
    item: Int32s
    age: Float32s
    """Days before the checkout."""
    order: Int64s
    """Ascending inside a cart; entries of one order share it."""

    @classmethod
    def unknown(cls) -> Past:
        """Return the past of a customer of whom nothing is known."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing.astype(np.int32), nothing.astype(np.float32), nothing)

    @classmethod
    def read(
        cls,
        purchases: Purchases,
        customers: Int64s,
        now: Int64s,
        until: Int64s,
    ) -> Past:
        """Orders before `until` of each cart's customer, as seen from `now`.

        `customers`, int64 (n_carts,), are rows of `purchases`, -1 where nobody is known; `now` and
        `until` are int64 (n_carts,), microseconds UTC, `until` at most `now`.
        """
        known = np.flatnonzero(customers >= 0)
        asked = zip(*(each[known].tolist() for each in (customers, now, until)), strict=True)
        pasts = [cls.unknown(), *(cls.of_customer(purchases, *each) for each in asked)]
        lengths = [len(past.item) for past in pasts[1:]]
        item, age, order = (
            np.concatenate([getattr(past, name) for past in pasts])
            for name in ("item", "age", "order")
        )
        return cls(np.repeat(known, lengths), item, age, order)

    @classmethod
    def of_customer(
        cls, purchases: Purchases, customer: int, now: int, until: int | None = None
    ) -> Past:
        """Return the past of one cart, as `read` of a known customer; until `now` by default."""
        ordered_at, items = purchases.ordered_at, purchases.items
        starts = (ordered_at.indptr, ordered_at.values, items.indptr)
        until = now if until is None else until
        first, age, order = bought_before(
            *starts, len(items.values), customer, now, until, MAX_ORDERS, MICROS_PER_DAY
        )
        bought = items.values[first : first + len(age)]
        return cls(np.zeros(len(age), dtype=np.int64), bought, age, order)

    @classmethod
    def of_orders(cls, orders: Sequence[tuple[float, Int32s]]) -> Past:
        """One cart's: (days before the checkout, distinct items) of each order."""
        lengths = [len(items) for _, items in orders]
        ages = np.array([age for age, _ in orders], dtype=np.float32)
        return cls(
            np.zeros(sum(lengths), dtype=np.int64),
            np.concatenate([np.zeros(0, dtype=np.int32), *(items for _, items in orders)]),
            np.repeat(ages, lengths),
            np.repeat(np.arange(len(orders)), lengths),
        )

    def joined(self, later: Past) -> Past:
        """One cart's past with what was bought since; both are of a single cart."""
        shift = int(self.order[-1]) + 1 if len(self.order) else 0
        return Past(
            np.concatenate([self.cart, later.cart]),
            np.concatenate([self.item, later.item]),
            np.concatenate([self.age, later.age]),
            np.concatenate([self.order, later.order + shift]),
        )
