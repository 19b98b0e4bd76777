"""Itemsets of a file or a database by any engine: read into memory, or counted where they lie."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.vocabulary import StringTable
from mersalg.training.mining.protocol import Itemsets, get_engine, min_count_of_support
from mersalg.training.mining.search import default_min_count
from mersalg.training.mining.significance import Fullness, FullnessOfBaskets


@dataclass(frozen=True, slots=True)
class Counted:
    """What a source holds.

    Attributes
    ----------
    itemsets
        Frequent sets, items as positions in `items`.
    fullness
        Of the orders behind them.
    items
        Labels, ascending; where the orders were not read into memory, the frequent ones.
    n_items
        All items, frequent or not.
    n_oversized
        Orders left out for their size.
    seconds_reading
        Time until the baskets stood in memory; 0 where they never did.
    """

    itemsets: Itemsets
    fullness: Fullness
    items: StringTable
    n_items: int
    n_oversized: int
    seconds_reading: float


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
    """Count what stands together in the orders of `source`.

    Parameters
    ----------
    source
        A file (`mersalg.training.reading.basket_files`; Spark reads more,
        `mersalg.training.mining.spark.lines`), or with `query` a database URL, in which `${NAME}`
        is read from the environment.
    min_count
        Else the least count of `min_support`, else `default_min_count`.
    max_basket_size
        Orders of more items are left out, and counted.

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

        mined = mine_source(
            source,
            query=query,
            min_count=min_count,
            min_support=min_support,
            max_length=max_length,
            max_basket_size=max_basket_size,
            progress=progress,
        )
        return Counted(mined.itemsets, mined, mined.items, mined.n_items, mined.n_oversized, 0.0)
    started = time.perf_counter()
    with progress.task("Reading baskets"):
        baskets, items = _read(source, query)
        mined_baskets, n_oversized = _not_larger(baskets, max_basket_size)
    seconds = time.perf_counter() - started
    if min_count is None and min_support is not None:
        min_count = min_count_of_support(min_support, mined_baskets.n_orders)
    least = min_count or default_min_count(mined_baskets.n_orders)
    itemsets = get_engine(engine).itemsets(mined_baskets, least, max_length, progress)
    fullness = FullnessOfBaskets(mined_baskets)
    return Counted(itemsets, fullness, items, mined_baskets.n_items, n_oversized, seconds)


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


def _not_larger(baskets: Baskets, max_basket_size: int | None) -> tuple[Baskets, int]:
    """Return the baskets of at most so many items, and the number of larger ones."""
    if max_basket_size is None:
        return baskets, 0
    kept = np.flatnonzero(np.diff(baskets.indptr) <= max_basket_size)
    return baskets.take(kept), baskets.n_orders - len(kept)
