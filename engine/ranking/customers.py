"""Known customers of a model: keyed hashes of their ids, and what they bought."""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Int64s
from mersalg.engine.ranking.purchases import Purchases


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
