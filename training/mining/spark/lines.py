"""Order lines where they lie: Parquet, CSV, basket files or a database, as one distributed table.

Every source becomes the columns `order`, `item` (in the types they have there) and `fault`: why the
row cannot serve, else null. Nothing is read before it is counted.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mersalg.engine.errors import ConfigError, DataError
from mersalg.training.mining.spark import baskets_of_text, database
from mersalg.training.mining.spark.baskets_of_text import BLANK
from mersalg.training.mining.spark.session import reading
from mersalg.training.reading.sources import require_columns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

COLUMNS = ("order_id", "item_id")
_SPACED = (".dat", ".basket")
_PARQUET = (".parquet", ".pq", ".parq", "")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines yet to be read; `name` for messages."""

    frame: DataFrame
    name: str


def lines_of(spark: SparkSession, source: str, query: str | None = None) -> Lines:
    """Return the lines of a file, a glob, a folder of Parquet parts, or a database query.

    - `.parquet`, or a name without suffix (a folder): the columns `order_id` and `item_id`.
    - `.csv`: a table with those columns, else a basket a line, items separated by commas.
    - `.dat`, `.basket`: a basket a line, items separated by white space.
    - with `query`, `source` is a database URL: PostgreSQL's, or any that starts with `jdbc:`.

    Paths may be those of any file system Spark knows (`hdfs://`, `s3a://`).

    Raises
    ------
    ConfigError
        A database URL without a query, or one that cannot be used.
    DataError
        No such file, another kind of file, or a column is missing.
    """
    if query is not None:
        name = database.name_of(source)
        with reading(name):
            return Lines(_of_table(database.read(spark, source, query), name), name)
    if source.startswith(("jdbc:", "postgresql:", "postgresql+", "postgres:")):
        raise ConfigError(f"say which rows of {database.name_of(source)} to read, with a query")
    kind, path = Path(source).suffix.lower(), _pattern(source)
    with reading(source):
        if kind in _PARQUET:
            return Lines(_of_table(spark.read.parquet(path), source), source)
        if kind in _SPACED:
            return Lines(baskets_of_text.spaced(spark, path), source)
        if kind == ".csv":
            header = _header(spark, path)
            if set(COLUMNS) <= {name.strip() for name in header}:
                return Lines(_of_csv(spark, path, header, source), source)
            return Lines(baskets_of_text.separated(spark, path), source)
    raise DataError("baskets are read from .dat, .basket, .csv or .parquet files", file=source)


def _pattern(source: str) -> str:
    """Return a source with the glob signs of a local file's name escaped."""
    if not Path(source).is_file():
        return source
    return "".join(f"\\{sign}" if sign in "*?[]{}\\" else sign for sign in source)


def _header(spark: SparkSession, path: str) -> list[str]:
    first = spark.read.text(path).first()
    text = "" if first is None else str(first[0]).removeprefix("\ufeff")
    return next(csv.reader([text]), [])


def _of_csv(spark: SparkSession, path: str, header: Sequence[str], name: str) -> DataFrame:
    from pyspark.sql import functions as f
    from pyspark.sql.types import StringType, StructField, StructType

    if len(set(header)) < len(header):
        raise DataError("a column occurs more than once", file=name)
    corrupt = "_row_that_does_not_fit"
    frame = spark.read.csv(
        path,
        schema=StructType([StructField(each, StringType()) for each in (*header, corrupt)]),
        header=True,
        enforceSchema=False,
        multiLine=True,
        escape='"',
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=corrupt,
        maxCharsPerColumn=-1,
    )
    frame = frame.toDF(*(each.strip() for each in header), corrupt)
    misfit = _fault(f.col(corrupt).isNotNull(), "a row has more or fewer cells than the header")
    # Spark's reader replaces what it cannot decode.
    garbled = [
        _fault(f.col(column).contains(_REPLACED), f"not UTF-8 text (column {column})")
        for column in COLUMNS
    ]
    return _of_table(frame, name, [misfit, *garbled])


def _of_table(frame: DataFrame, name: str, faults: Sequence[Column] = ()) -> DataFrame:
    from pyspark.sql import functions as f

    stripped = [column.strip() for column in frame.columns]
    require_columns(stripped, COLUMNS, name)
    frame = frame.toDF(*stripped)
    types, faults = dict(frame.dtypes), list(faults)
    values: list[Column] = []
    for column in COLUMNS:
        value, kind = f.col(column), types[column]
        if kind.startswith(("array", "map", "struct", "variant")):
            raise DataError(f"each cell holds a {kind}, not one value", file=name, column=column)
        if kind in ("binary", "string") or kind.startswith(("char", "varchar")):
            faults.append(_fault(~f.is_valid_utf8(value), f"not UTF-8 text (column {column})"))
            value = value.cast("string")
            empty = value.isNull() | value.rlike(BLANK)
        else:
            empty = value.isNull()
            if kind in ("float", "double"):
                empty |= f.isnan(value)
        faults.append(_fault(empty, f"a cell is empty (column {column})"))
        values.append(value)
    order, item = values
    return frame.select(
        order.alias("order"), item.alias("item"), f.coalesce(*faults).alias("fault")
    )


def _fault(found: Column, text: str) -> Column:
    from pyspark.sql import functions as f

    return f.when(found, f.lit(text))
