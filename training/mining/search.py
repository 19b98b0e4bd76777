"""One whole search for rules: a source, its itemsets, every rule, its test, then the thresholds.

Sources are read into memory, or counted where they are stored. Without a threshold of the caller,
the least count is one that a training can afford.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mersalg.engine.arrays import Float64s
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.tracking.many import q_values
from mersalg.engine.vocabulary import StringTable
from mersalg.training.mining.local import LocalEngine, fullness_of
from mersalg.training.mining.protocol import (
    Counted,
    Fullness,
    Itemsets,
    MiningEngine,
    get_engine,
    least_count,
)
from mersalg.training.mining.rules import (
    Ranks,
    at_least,
    combined_p_values,
    n_hypotheses,
    p_values,
    rules_from_itemsets,
)

MAX_PAIRS = 30_000
"""Frequent pairs a default threshold allows for mlxtend: about ten seconds of FP-growth."""
MAX_SETS = 400_000
"""Frequent sets of two and more items for the other engines: about a million rules to test."""


def affordable_min_count(
    baskets: Baskets, at_least: int, *, engine: str = "local", max_length: int = 3
) -> int:
    """Return the least count, not below `at_least`, that few enough sets reach for `engine`.

    Sets of 2..`max_length` items are counted exactly and only their counts are kept; for mlxtend
    those of two items, since what it takes goes by their number.
    """
    most_sets = MAX_SETS
    if engine == "mlxtend":
        max_length, most_sets = 2, MAX_PAIRS
    sets_of_count = LocalEngine().sets_of_count(baskets, at_least, max_length)
    reaching = np.cumsum(sets_of_count[::-1])[::-1]
    few_enough = np.flatnonzero(reaching <= most_sets)
    return max(at_least, int(few_enough[0]) if len(few_enough) else len(reaching))


@dataclass(frozen=True, slots=True)
class MinedRules:
    """The rules that were kept, and what they were chosen from."""

    table: RuleTable
    """The rules, canonical order."""
    p: Float64s
    """(n_rules,): Fisher p-value of each rule against independence."""
    q: Float64s
    """(n_rules,): Benjamini-Hochberg q-value of the weakest of the tests in
    `improvement`."""
    every: RuleTable
    """All rules of the itemsets, before any threshold."""
    itemsets: Itemsets
    """What the rules come from."""
    n_tests: int
    """Hypotheses the q-values account for."""


def mine_rules(
    baskets: Baskets,
    engine: MiningEngine,
    *,
    min_count: int,
    max_length: int,
    progress: Progress,
    **thresholds: Any,
) -> MinedRules:
    """Return rules of baskets that reach the thresholds, which are those of `rules_of`."""
    itemsets = engine.itemsets(baskets, min_count, max_length, progress)
    fullness = fullness_of(baskets, itemsets)
    return rules_of(itemsets, fullness, progress=progress, **thresholds)


def rules_of(
    itemsets: Itemsets,
    fullness: Fullness,
    *,
    progress: Progress,
    max_q: float = 0.05,
    all_rules: bool = False,
    min_confidence: Fraction | None = None,
    min_lift: Fraction | None = None,
) -> MinedRules:
    """Rules that reach the thresholds and, unless `all_rules`, are significant.

    The tests are counted before any threshold on a measure, so that a stricter threshold never
    makes a rule look more certain. `fullness` is of the orders behind `itemsets`.
    """
    with progress.task("Testing rules"):
        ranks = Ranks(itemsets)
        every = rules_from_itemsets(itemsets, ranks=ranks)
        n_tests = n_hypotheses(itemsets)
        p = p_values(every)
        q = q_values(combined_p_values(every, p, itemsets, fullness, ranks), n_tests)
        passes = at_least(every, min_confidence, min_lift)
        if not all_rules:
            passes &= (every.lift_lower() > 1.0) & (q < max_q)
    chosen = np.flatnonzero(passes)
    return MinedRules(every.take(chosen), p[chosen], q[chosen], every, itemsets, n_tests)


def count_source(
    source: str,
    *,
    engine: str,
    query: str | None = None,
    min_count: int | None = None,
    min_support: Fraction | None = None,
    max_length: int,
    max_basket_size: int | None = None,
    progress: Progress,
) -> Counted:
    """Count the items that are together in the orders of `source`.

    It is a file (`mersalg.training.reading.basket_files`; Spark reads more,
    `mersalg.training.mining.spark.lines`), or with `query` a database URL, in which `${NAME}` is
    read from the environment. For the least count see `least_count`. Orders of more items than
    `max_basket_size` are left out, and counted.

    Raises
    ------
    ConfigError
        The engine is not installed, or the database cannot be used.
    DataError
        The source cannot be read, or there is no basket.
    """
    if engine == "spark":
        # Spark's own baskets never stand in this process.
        from mersalg.training.mining.spark.engine import mine_source

        return mine_source(
            source,
            query=query,
            min_count=min_count,
            min_support=min_support,
            max_length=max_length,
            max_basket_size=max_basket_size,
            progress=progress,
        )
    started = time.perf_counter()
    with progress.task("Reading baskets"):
        baskets, items = _read(source, query)
        n_orders = baskets.n_orders
        if max_basket_size is not None:
            baskets = baskets.take(np.flatnonzero(baskets.lengths <= max_basket_size))
    seconds = time.perf_counter() - started
    least = least_count(min_count, min_support, baskets.n_orders)
    itemsets = get_engine(engine).itemsets(baskets, least, max_length, progress)
    fullness = fullness_of(baskets, itemsets)
    n_oversized = n_orders - baskets.n_orders
    return Counted(itemsets, fullness, items, baskets.n_items, n_oversized, seconds)


def _read(source: str, query: str | None) -> tuple[Baskets, StringTable]:
    import pyarrow as pa

    from mersalg.training.reading.basket_files import read_baskets, read_baskets_of_query

    # Arrow's own allocator keeps what is freed: a quarter more memory, and longer to get it.
    pa.set_memory_pool(pa.system_memory_pool())
    if query is not None:
        return read_baskets_of_query(source, query)
    if "://" in source:
        # Not named: a URL may hold a password.
        raise DataError("a URL is read with --query, or by --engine spark")
    return read_baskets(Path(source))
