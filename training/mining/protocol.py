"""Interface of mining engines: baskets in, frequent itemsets with integer counts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Protocol

import numpy as np

from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.errors import ConfigError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.vocabulary import StringTable


@dataclass(frozen=True, slots=True)
class Itemsets:
    """Itemsets that stand in at least `min_count` orders, with their counts.

    The sets are closed downward: every subset of a listed set is listed, so that the counts of a
    rule's antecedent and consequent are always at hand.
    """

    items: tuple[Int32s, ...]
    """Entry k - 1 holds the sets of length k: int32 (n_k, k), each row ascending, rows in
    lexicographic order."""
    counts: tuple[Int64s, ...]
    """Entry k - 1 holds their orders: int64 (n_k,)."""
    n_orders: int
    """Orders mined."""
    min_count: int
    """The least count listed."""

    @classmethod
    def from_rows(
        cls, rows: Sequence[Int32s], counts: Sequence[Int64s], *, n_orders: int, min_count: int
    ) -> Itemsets:
        """From sets in any order, items of a row in any order; shapes as the attributes'."""
        inside = [np.sort(level, axis=1).astype(np.int32) for level in rows]
        orders = [np.lexsort(level.T[::-1]) for level in inside]
        return cls(
            tuple(level[order] for level, order in zip(inside, orders, strict=True)),
            tuple(n[order].astype(np.int64) for n, order in zip(counts, orders, strict=True)),
            n_orders,
            min_count,
        )

    @property
    def max_length(self) -> int:
        """The greatest length looked for; its level may be empty."""
        return len(self.items)

    def __len__(self) -> int:
        return sum(len(level) for level in self.counts)

    def of_length(self, length: int) -> tuple[Int32s, Int64s]:
        """Return the sets of `length` items and their counts, shapes (n, length) and (n,)."""
        if 1 <= length <= len(self.items):
            return self.items[length - 1], self.counts[length - 1]
        return np.zeros((0, length), dtype=np.int32), np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Fullness:
    """Sizes of orders, which the tests of rules need beyond the counts of itemsets."""

    n_entries: int
    """Distinct items of every order, added up."""
    entries: tuple[Int64s, ...]
    """Entry k - 1 holds the entries of the orders with each set of length k, int64 (n_k,), for k
    below the greatest length; zeros where no longer set is listed."""


class MiningEngine(Protocol):
    """Every engine agrees with every other to the integer."""

    name: str

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items that stand in at least `min_count` (>= 1) orders."""
        ...


# Engines by name, loaded when asked for: each brings a library of its own.
_ENGINES = {
    "local": ("mersalg.training.mining.local", "LocalEngine"),
    "mlxtend": ("mersalg.training.mining.mlxtend", "MlxtendEngine"),
    "spark": ("mersalg.training.mining.spark.engine", "SparkEngine"),
}


def get_engine(name: str) -> MiningEngine:
    """Raise ConfigError where no engine has that name."""
    if name not in _ENGINES:
        raise ConfigError(f"no mining engine {name!r}; there is: {', '.join(_ENGINES)}")
    module, attribute = _ENGINES[name]
    engine: MiningEngine = getattr(import_module(module), attribute)()
    return engine


def min_count_of_support(min_support: Fraction, n_orders: int) -> int:
    """Return the smallest count c >= 1 with c >= `min_support` * `n_orders`, exactly.

    In floating point `ceil(0.07 * 100)` is 8; here it is 7.
    """
    return max(1, -(-min_support.numerator * n_orders // min_support.denominator))


def default_min_count(n_orders: int) -> int:
    """Orders an itemset must stand in where nobody says: 0.03% of the orders, at least 5."""
    return max(5, -(-3 * n_orders // 10_000))


def least_count(min_count: int | None, min_support: Fraction | None, n_orders: int) -> int:
    """Return the count an itemset must reach: stated, or of a share of the orders, or the default.

    It is at least 1.
    """
    if min_count is None and min_support is not None:
        min_count = min_count_of_support(min_support, n_orders)
    return max(min_count or default_min_count(n_orders), 1)


@dataclass(frozen=True, slots=True)
class Counted:
    """Totals of a source."""

    itemsets: Itemsets
    """Frequent sets, items as positions in `items`."""
    fullness: Fullness
    """Of the orders behind them."""
    items: StringTable
    """Labels, ascending; where the orders were not read into memory, the frequent ones."""
    n_items: int
    """All items, frequent or not."""
    n_oversized: int
    """Orders left out for their size."""
    seconds_reading: float
    """Time until the baskets stood in memory; 0 where they never did."""
