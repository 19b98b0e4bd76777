"""The Spark engine: baskets in memory as any engine's, or a whole source counted where it is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.training.mining.protocol import Counted, Fullness, Itemsets, least_count
from mersalg.training.mining.spark.session import open_session, reading
from mersalg.training.reading.basket_files import numbered_items

if TYPE_CHECKING:
    from mersalg.training.mining.spark.cluster_counts import Level

_STEPS_BEFORE_GROWING = 3


class SparkEngine:
    """Counts on the cluster that the environment names (`training.mining.spark.session`)."""

    name = "spark"

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items in at least `min_count` orders.

        Raises ConfigError: Pyspark or Java is missing, or the cluster cannot be used.
        """
        min_count = max(min_count, 1)
        counts = baskets.item_counts()
        frequent = np.flatnonzero(counts >= min_count).astype(np.int32)
        levels: list[Level] = []
        names = frequent[np.argsort(counts[frequent], kind="stable")]
        if max_length > 1:
            spark = open_session()
            from mersalg.training.mining.spark import cluster_counts

            with (
                progress.task("Mining itemsets on Spark", total=max_length - 1) as task,
                reading("the baskets"),
            ):
                rows = spark.createDataFrame(_labelled(baskets, names))
                levels = cluster_counts.grow(spark, rows, len(names), min_count, max_length, task)
        return _itemsets(names, counts[names], levels, baskets.n_orders, min_count)


def mine_source(
    source: str,
    *,
    query: str | None = None,
    min_count: int | None = None,
    min_support: Fraction | None = None,
    max_length: int,
    max_basket_size: int | None = None,
    progress: Progress,
) -> Counted:
    """Count items that occur together in orders, as `mersalg.training.mining.search.count_source`.

    Raises ConfigError too where Pyspark or Java is missing, or the cluster cannot be used.
    """
    with progress.task("Starting Spark"):
        spark = open_session()
    # Now that it is known to be installed: these import pyspark.
    from mersalg.training.mining.spark import cluster_counts
    from mersalg.training.mining.spark.lines import lines_of

    lines, name = lines_of(spark, source, query)
    with (
        progress.task("Mining on Spark", total=_STEPS_BEFORE_GROWING + max_length - 1) as task,
        reading(name),
        cluster_counts.kept(cluster_counts.entries_of(lines)) as entries,
    ):
        n_orders, n_entries, n_oversized, fault = cluster_counts.totals_of(entries, max_basket_size)
        task.advance()
        if fault is not None:
            raise DataError(fault, file=name)
        if not n_orders + n_oversized:
            raise DataError("there is no basket", file=name)
        least = least_count(min_count, min_support, n_orders)
        mined = entries
        if max_basket_size is not None and n_oversized:
            mined = cluster_counts.without_oversized(entries, max_basket_size)
        frequent = cluster_counts.frequent_items(mined, least)
        n_items = entries.select("item").distinct().count()
        task.advance()
        names, items = numbered_items(frequent, "item", name)
        counts = frequent["count"].to_numpy()
        # Of equally frequent items the first by name comes first: the same lines, the same work.
        rising = np.lexsort((names, counts))
        labels = frequent.select(["item"]).take(pa.array(rising))
        labels = labels.append_column("label", pa.array(np.arange(len(rising), dtype=np.int32)))
        baskets = cluster_counts.baskets_of(mined, spark.createDataFrame(labels))
        levels = cluster_counts.grow(spark, baskets, len(rising), least, max_length, task)
    # The entries beside sets are sorted as their counts are.
    named = names[rising].astype(np.int32)
    held = [replace(level, counts=level.entries) for level in levels]
    entries = _itemsets(named, frequent["entries"].to_numpy()[rising], held, n_orders, least)
    return Counted(
        itemsets=_itemsets(named, counts[rising], levels, n_orders, least),
        fullness=Fullness(n_entries, entries.counts[:-1]),
        items=items,
        n_items=n_items,
        n_oversized=n_oversized,
        seconds_reading=0.0,
    )


def _labelled(baskets: Baskets, names: Int32s) -> pa.Table:
    """`size` and `rest`, as `cluster_counts.baskets_of` gives them, of baskets in memory."""
    label_of = np.full(baskets.n_items, -1, dtype=np.int32)
    label_of[names] = np.arange(len(names), dtype=np.int32)
    rows = baskets.by_group(label_of, len(names))
    several = np.flatnonzero(rows.lengths > 1)
    kept = rows.take(several)
    rest = pa.ListArray.from_arrays(kept.indptr.astype(np.int32), kept.items)
    return pa.table({"size": baskets.lengths[several], "rest": rest})


def _itemsets(
    names: Int32s, item_counts: Int64s, levels: list[Level], n_orders: int, min_count: int
) -> Itemsets:
    """Return the sets of every length with their counts; `names` are of the labels."""
    rows = [names[:, None]]
    for level in levels:
        first, last = np.divmod(level.keys, max(len(names), 1))
        rows.append(np.column_stack([rows[-1][first], names[last]]))
    counts = [item_counts, *(level.counts for level in levels)]
    return Itemsets.from_rows(rows, counts, n_orders=n_orders, min_count=min_count)
