"""Order lines where they lie: Parquet, CSV, basket files or a database, as one distributed table.

Every source becomes the columns `order`, `item` (in the types they have there) and `fault`: why the
row cannot serve, else null. Nothing is read before it is counted.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StringType, StructField, StructType

from mersalg.engine.config import expand_environment
from mersalg.engine.errors import ConfigError, DataError
from mersalg.training.mining.spark.session import reading
from mersalg.training.reading.database_source import without_password
from mersalg.training.reading.sources import require_columns

COLUMNS = ("order_id", "item_id")
_SPACED = (".dat", ".basket")
_PARQUET = (".parquet", ".pq", ".parq", "")
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_BLANK = r"(?U)^[\s\x1c-\x1f]*$"
"""What Python and Arrow hold for empty: nothing but white space, Unicode's included."""
_SPACE = r"(?U)[\s\x1c-\x1f]+"
_CELL = r',("[^"]*+(?:""[^"]*+)*+"|(?!")[^,]*+)'
"""A comma and the cell behind it; every line is read with a comma before it."""
_WHOLE = rf"(?s)(?:{_CELL})*+"
_ROWS_AT_A_TIME = 20_000
_MAX_CONNECTIONS = 16
_TEXTS = 'CAST("order_id" AS text) AS order_id, CAST("item_id" AS text) AS item_id'


def lines_of(spark: SparkSession, source: str, query: str | None) -> tuple[DataFrame, str]:
    """Return lines yet to be read, and their name for messages.

    They are those of a file, a glob, a folder of Parquet parts, or a database query.

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
        name = name_of(source)
        with reading(name):
            return _of_table(_read_database(spark, source, query), name), name
    if source.startswith(("jdbc:", "postgresql:", "postgresql+", "postgres:")):
        raise ConfigError(f"say which rows of {name_of(source)} to read, with a query")
    kind, path = Path(source).suffix.lower(), _pattern(source)
    with reading(source):
        if kind in _PARQUET:
            return _of_table(spark.read.parquet(path), source), source
        if kind in _SPACED:
            return _spaced(spark, path), source
        if kind == ".csv":
            header = _header(spark, path)
            if set(COLUMNS) <= {name.strip() for name in header}:
                return _of_csv(spark, path, header, source), source
            return _separated(spark, path), source
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
            empty = value.isNull() | value.rlike(_BLANK)
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
    return f.when(found, f.lit(text))


def _spaced(spark: SparkSession, path: str) -> DataFrame:
    """Items separated by white space."""
    lines = spark.read.text(path, lineSep="\n")
    return _baskets(lines, f.split(_without_mark("value"), _SPACE), f.lit(True), "")


def _separated(spark: SparkSession, path: str) -> DataFrame:
    """Items separated by commas, quoted by the rules of CSV.

    A label may hold a comma or a quote, but no line end: a line is read by itself.
    """
    lines = spark.read.text(path)
    line = f.concat(f.lit(","), _without_mark("value"))
    cells = f.regexp_extract_all(line, f.lit(_CELL), f.lit(1))
    items = f.transform(cells, _unquoted)
    fault = "a line is no CSV by itself: a quote is not closed in it, or text follows one"
    return _baskets(lines, items, line.rlike(f"^{_WHOLE}$"), fault)


def _without_mark(column: str) -> Column:
    return f.regexp_replace(f.col(column), "^\ufeff", "")


def _unquoted(cell: Column) -> Column:
    inner = f.regexp_replace(f.substring(cell, f.lit(2), f.length(cell) - 2), '""', '"')
    return f.when(cell.startswith('"'), inner).otherwise(cell)


def _baskets(lines: DataFrame, items: Column, fits: Column, fault: str) -> DataFrame:
    """One row an item; of a line that cannot serve, one row with its fault."""
    is_text = f.is_valid_utf8(f.col("value"))
    why = f.when(~is_text, f.lit("not UTF-8 text")).when(~fits, f.lit(fault))
    numbered = lines.select(
        f.monotonically_increasing_id().alias("order"), why.alias("fault"), items.alias("items")
    )
    some = f.when(f.col("fault").isNotNull(), f.array(f.lit("?"))).otherwise(f.col("items"))
    rows = numbered.select("order", f.explode(some).alias("item"), "fault")
    return rows.filter(~f.col("item").rlike(_BLANK))


def name_of(url: str) -> str:
    """Return a source's name in messages: no password, and no query of a `jdbc:` URL.

    Raises ConfigError: no database URL, or a variable in it is not set.
    """
    if url.startswith("jdbc:"):
        return url.partition("?")[0]
    return without_password(url)


def _read_database(spark: SparkSession, url: str, query: str) -> DataFrame:
    """Return the rows of `query`, which gives the columns `order_id` and `item_id`.

    PostgreSQL is asked by several connections at once, each for its share of the orders: an order
    is always read whole. Another database (`jdbc:...`) is asked by one.

    Raises ConfigError: the URL cannot be used.
    """
    # On lines of its own: the query may end in a comment.
    inner = f"(\n{query.strip().rstrip(';')}\n) AS shop_orders"
    if url.startswith("jdbc:"):
        options = {"fetchsize": str(_ROWS_AT_A_TIME)}
        return spark.read.jdbc(expand_environment(url, "url"), inner, properties=options)
    address, options = _postgres(url)
    n_shares = min(spark.sparkContext.defaultParallelism, _MAX_CONNECTIONS)
    shares = [
        f"mod(hashtext(order_id) & 2147483647, {n_shares}) = {share}" for share in range(n_shares)
    ]
    # An order without id has no hash; it must be seen to be complained of.
    shares[0] += " OR order_id IS NULL"
    table = f"(SELECT {_TEXTS} FROM {inner}) AS shop_lines"  # noqa: S608 (the shop's own query)
    return spark.read.jdbc(address, table, predicates=shares, properties=options)


def _postgres(url: str) -> tuple[str, dict[str, str]]:
    """Return the JDBC URL, and the settings that are not put into it."""
    from sqlalchemy.engine import make_url

    target = make_url(expand_environment(url, "url"))
    if target.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(f"Spark reads {target.get_backend_name()} by a jdbc: URL")
    host = target.host or "localhost"
    address = f"jdbc:postgresql://{f'[{host}]' if ':' in host else host}:{target.port or 5432}"
    address += f"/{target.database or ''}"
    if target.query:
        address += f"?{urlencode(dict(target.query), doseq=True)}"
    options = {"driver": "org.postgresql.Driver", "fetchsize": str(_ROWS_AT_A_TIME)}
    if target.username:
        options["user"] = target.username
    if target.password:
        options["password"] = str(target.password)
    return address, options
