"""Counting on the cluster: items, then pairs of frequent items, then what grows from frequent sets.

Frequent items are numbered by rising frequency, and of every basket only those are kept, ascending.
A basket of s items then becomes s - 1 rows: an item, and the items behind it. Rows of the same item
go to the same place, where its pairs are counted without a further exchange, so that a huge basket
is spread over the cluster. Longer sets grow level by level from those rows: an occurrence of a
frequent set is extended only by items whose sets with its parts are frequent too (Agrawal and
Srikant's pruning, 1994). What the driver receives, and sends back, are frequent sets only.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, GroupedData, SparkSession
from pyspark.sql import functions as f

from mersalg.engine.arrays import Int64s
from mersalg.engine.progress import Task


@dataclass(frozen=True, slots=True)
class Level:
    """The frequent sets of one length k >= 2, each known by its position among them."""

    keys: Int64s
    """(n,): ascending: the position of the first k - 1 items in the level before (an item is
    its own), times the number of frequent items, plus the last item."""
    counts: Int64s
    """(n,): orders."""
    entries: Int64s
    """(n,): entries of those orders together; zeros where nobody asks for them."""


@contextmanager
def kept(frame: DataFrame) -> Generator[DataFrame, None, None]:
    """`frame`, computed once."""
    held = frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield held
    finally:
        held.unpersist()


def entries_of(lines: DataFrame) -> DataFrame:
    """Distinct (order, item, fault); all lines of an order are in one partition."""
    return lines.repartition("order").dropDuplicates()


def totals_of(entries: DataFrame, max_basket_size: int | None) -> tuple[int, int, int, str | None]:
    """Count orders, their distinct items and the orders left out for their size; name a fault.

    The fault is why the source cannot serve, None where it can.
    """
    orders = entries.groupBy("order").agg(f.count("*").alias("size"), f.min("fault").alias("fault"))
    fits = f.lit(True) if max_basket_size is None else f.col("size") <= max_basket_size
    row = orders.agg(
        f.count_if(fits),
        f.coalesce(f.sum(f.when(fits, f.col("size"))), f.lit(0)),
        f.count_if(~fits),
        f.min("fault"),
    ).first()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2]), row[3]


def without_oversized(entries: DataFrame, max_basket_size: int) -> DataFrame:
    """Return the entries of orders of at most `max_basket_size` items."""
    sizes = entries.groupBy("order").agg(f.count("*").alias("size"))
    return entries.join(sizes.filter(f.col("size") > max_basket_size), "order", "left_anti")


def frequent_items(entries: DataFrame, min_count: int) -> pa.Table:
    """`item`, `count`, and `entries` of its orders, of those in at least `min_count` orders."""
    # All lines of an order are in one partition, so neither its size nor the join moves anything.
    sizes = entries.groupBy("order").agg(f.count("*").alias("size"))
    items = entries.join(sizes, "order").groupBy("item")
    counted = items.agg(f.count("*").alias("count"), f.sum("size").alias("entries"))
    return counted.filter(f.col("count") >= min_count).toArrow()


def baskets_of(entries: DataFrame, labels: DataFrame) -> DataFrame:
    """`size` of every order with two or more frequent items, and their labels, ascending."""
    labelled = entries.join(f.broadcast(labels), "item", "left").groupBy("order")
    baskets = labelled.agg(
        f.count("*").alias("size"), f.sort_array(f.collect_list("label")).alias("rest")
    )
    return baskets.select("size", "rest").filter(f.size("rest") > 1)


def grow(
    spark: SparkSession,
    baskets: DataFrame,
    n_items: int,
    min_count: int,
    max_length: int,
    task: Task,
) -> list[Level]:
    """Return the levels of length 2..`max_length`, labels for items.

    `n_items`: frequent items; labels are 0..n_items - 1.
    """
    levels: list[Level] = []
    nothing = np.zeros(0, dtype=np.int64)
    none = Level(nothing, nothing, nothing)
    if n_items < 2:
        return [none] * (max_length - 1)
    with kept(_first_rows(baskets)) as rows:
        pairs: DataFrame | None = None
        frequent: DataFrame | None = None
        for length in range(2, max_length + 1):
            names = [name for name in rows.columns if name != "rest"]
            extended = rows.select(*names, f.explode("rest").alias("item"))
            if pairs is not None and frequent is not None:
                extended = _promising(extended, frequent, pairs, n_items)
            # Rows of one item lie together as they are; those of longer sets are added up first.
            by = ["set", "item"] if length == 2 else [_key("set", "item", n_items).alias("key")]
            longer_come = length < max_length
            level = _counted(extended.groupBy(*by), n_items, min_count, with_entries=longer_come)
            levels.append(level)
            task.advance()
            if not longer_come or not len(level.keys):
                break
            positions = np.arange(len(level.keys), dtype=np.int64)
            sets = pa.table({"key": level.keys, "position": positions})
            frequent = spark.createDataFrame(sets)
            pairs = pairs or frequent
            rows = _next_rows(rows, frequent, n_items)
    return levels + [none] * (max_length - 1 - len(levels))


def _first_rows(baskets: DataFrame) -> DataFrame:
    """One row an item of a basket: the item as `set`, and the `rest` behind it."""
    rows = baskets.select("size", "rest", f.posexplode("rest").alias("place", "item"))
    ended = rows.filter(f.col("place") + 1 < f.size("rest"))
    tail = f.slice("rest", f.col("place") + 2, f.size("rest"))
    return ended.select(
        f.col("item").cast("long").alias("set"), "size", tail.alias("rest")
    ).repartition("set")


def _next_rows(rows: DataFrame, frequent: DataFrame, n_items: int) -> DataFrame:
    """Return the occurrences of the sets one longer, with what is behind their `last` item."""
    each = rows.select("set", "size", "rest", f.posexplode("rest").alias("place", "item"))
    each = each.filter(f.col("place") + 1 < f.size("rest"))
    each = each.withColumn("key", _key("set", "item", n_items))
    # Joined before it is cut: a long rest is copied for frequent sets only.
    joined = each.join(f.broadcast(frequent), "key")
    return joined.select(
        f.col("set").alias("parent"),
        f.col("position").alias("set"),
        f.col("item").alias("last"),
        "size",
        f.slice("rest", f.col("place") + 2, f.size("rest")).alias("rest"),
    )


def _promising(found: DataFrame, frequent: DataFrame, pairs: DataFrame, n_items: int) -> DataFrame:
    """Those whose item is frequent beside the set without its last item, and beside that one."""
    beside_parent = frequent.select(f.col("key").alias("sibling"))
    beside_last = pairs.select(f.col("key").alias("ending"))
    found = found.join(
        f.broadcast(beside_parent), _key("parent", "item", n_items) == f.col("sibling"), "left_semi"
    )
    return found.join(
        f.broadcast(beside_last), _key("last", "item", n_items) == f.col("ending"), "left_semi"
    )


def _key(first: str, item: str, n_items: int) -> Column:
    return f.col(first).cast("long") * f.lit(n_items).cast("long") + f.col(item)


def _counted(groups: GroupedData, n_items: int, min_count: int, *, with_entries: bool) -> Level:
    entries = f.sum("size") if with_entries else f.lit(0).cast("long")
    counted = groups.agg(f.count("*").alias("count"), entries.alias("entries"))
    counted = counted.filter(f.col("count") >= min_count)
    if "key" not in counted.columns:
        counted = counted.withColumn("key", _key("set", "item", n_items))
    table = counted.select("key", "count", "entries").toArrow().sort_by("key")
    return Level(*(table[name].to_numpy().astype(np.int64) for name in table.column_names))
