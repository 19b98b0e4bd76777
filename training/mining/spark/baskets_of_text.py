"""A basket a line: text split on the cluster, by the rules of `basket_files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

BLANK = r"(?U)^[\s\x1c-\x1f]*$"
"""What Python and Arrow hold for empty: nothing but white space, Unicode's included."""
_SPACE = r"(?U)[\s\x1c-\x1f]+"
_CELL = r',("[^"]*+(?:""[^"]*+)*+"|(?!")[^,]*+)'
"""A comma and the cell behind it; every line is read with a comma before it."""
_WHOLE = rf"(?s)(?:{_CELL})*+"


def spaced(spark: SparkSession, path: str) -> DataFrame:
    """Items separated by white space."""
    from pyspark.sql import functions as f

    lines = spark.read.text(path, lineSep="\n")
    return _baskets(lines, f.split(_without_mark("value"), _SPACE), f.lit(True), "")


def separated(spark: SparkSession, path: str) -> DataFrame:
    """Items separated by commas, quoted by the rules of CSV.

    A label may hold a comma or a quote, but no line end: a line is read by itself.
    """
    from pyspark.sql import functions as f

    lines = spark.read.text(path)
    line = f.concat(f.lit(","), _without_mark("value"))
    cells = f.regexp_extract_all(line, f.lit(_CELL), f.lit(1))
    items = f.transform(cells, _unquoted)
    fault = "a line is no CSV by itself: a quote is not closed in it, or text follows one"
    return _baskets(lines, items, line.rlike(f"^{_WHOLE}$"), fault)


def _without_mark(column: str) -> Column:
    from pyspark.sql import functions as f

    return f.regexp_replace(f.col(column), "^\ufeff", "")


def _unquoted(cell: Column) -> Column:
    from pyspark.sql import functions as f

    inner = f.regexp_replace(f.substring(cell, f.lit(2), f.length(cell) - 2), '""', '"')
    return f.when(cell.startswith('"'), inner).otherwise(cell)


def _baskets(lines: DataFrame, items: Column, fits: Column, fault: str) -> DataFrame:
    """One row an item; of a line that cannot serve, one row with its fault."""
    from pyspark.sql import functions as f

    is_text = f.is_valid_utf8(f.col("value"))
    why = f.when(~is_text, f.lit("not UTF-8 text")).when(~fits, f.lit(fault))
    numbered = lines.select(
        f.monotonically_increasing_id().alias("order"), why.alias("fault"), items.alias("items")
    )
    some = f.when(f.col("fault").isNotNull(), f.array(f.lit("?"))).otherwise(f.col("items"))
    rows = numbered.select("order", f.explode(some).alias("item"), "fault")
    return rows.filter(~f.col("item").rlike(BLANK))
