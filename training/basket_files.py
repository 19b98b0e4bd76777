"""Reads baskets for mining: a basket a line, or a table of orders and items."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.orders import Baskets
from engine.vocabulary import Vocabulary
from training.keys import MISSING, read_keys
from training.sources import SourceTable, read_csv, read_parquet, require_columns

_SPACED = frozenset({".dat", ".basket"})
_TABLE_COLUMNS = ("order_id", "item_id")


def read_baskets(path: Path) -> tuple[Baskets, Vocabulary]:
    """Baskets of a file, and its items sorted by label.

    - `.dat`, `.basket`: one basket a line, items separated by white space.
    - `.csv`: one basket a line, items separated by commas and quoted by the rules of CSV; labels
      keep their exact text, spaces at their ends included. A file whose header holds `order_id`
      and `item_id` is a table of order lines instead.
    - `.parquet`: a table with the columns `order_id` and `item_id`.

    An item repeated in a basket counts once. A line without items is no basket, neither is an
    empty label an item.

    Raises:
        DataError: no such file, another kind of file, one that cannot be read (with its row), or
            one without a basket.
    """
    if not path.is_file():
        raise DataError("no such file", file=str(path))
    kind = path.suffix.lower()
    if kind in _SPACED:
        baskets, items = _from_lines([line.split() for line in _text(path).split("\n")])
    elif kind == ".csv":
        text = _text(path)
        if _is_table(text):
            baskets, items = _from_table(path)
        else:
            baskets, items = _from_lines(_csv_rows(text, path))
    elif kind == ".parquet":
        baskets, items = _from_table(path)
    else:
        raise DataError(
            "baskets are read from .dat, .basket, .csv or .parquet files", file=str(path)
        )
    if not baskets.n_orders:
        raise DataError("there is no basket", file=str(path))
    return baskets, items


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataError("not UTF-8 text", file=str(path), row=row) from error


def _is_table(text: str) -> bool:
    header = next(csv.reader(text.split("\n", 1)[:1]), [])
    return set(_TABLE_COLUMNS) <= {name.strip() for name in header}


def _csv_rows(text: str, path: Path) -> Iterable[list[str]]:
    # Only true line ends end a row: a label may hold other separators Unicode knows.
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield [cell for cell in cells if cell and not cell.isspace()]
    except csv.Error as error:
        message = f"cannot be read as CSV: {error}"
        raise DataError(message, file=str(path), row=reader.line_num) from error


def _from_lines(lines: Iterable[list[str]]) -> tuple[Baskets, Vocabulary]:
    baskets = [line for line in lines if line]
    labels = list(chain.from_iterable(baskets))
    sizes = np.fromiter(map(len, baskets), dtype=np.int64, count=len(baskets))
    items = sorted(set(labels))
    index = {label: position for position, label in enumerate(items)}
    codes = np.fromiter((index[label] for label in labels), dtype=np.int64, count=len(labels))
    return _baskets(np.repeat(np.arange(len(baskets)), sizes), codes, len(baskets), items)


def _from_table(path: Path) -> tuple[Baskets, Vocabulary]:
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path)
    else:
        table, ragged = read_csv(path, separator=",", encoding="utf-8")
        if ragged:
            message = "the row has more or fewer cells than the header"
            raise DataError(message, file=str(path), row=ragged[0].row)
    table = table.rename_columns([name.strip() for name in table.column_names])
    require_columns(table.column_names, _TABLE_COLUMNS, str(path))
    source = SourceTable(
        table=table.select(_TABLE_COLUMNS),
        files=(str(path),),
        file_starts=np.array([0, table.num_rows], dtype=np.int64),
        row_numbers=np.arange(1, table.num_rows + 1, dtype=np.int64),
        ragged=(),
        decimal=".",
    )
    orders, labels = (read_keys(source, (column,)) for column in _TABLE_COLUMNS)
    for column, keys in zip(_TABLE_COLUMNS, (orders, labels), strict=True):
        empty = np.flatnonzero(keys.codes == MISSING)
        if len(empty):
            message = "the cell is empty"
            raise DataError(message, file=str(path), row=int(empty[0]) + 1, column=column)
    items = sorted(labels.texts)
    return _baskets(orders.codes, labels.recode(items), len(orders.texts), items)


def _baskets(
    orders: NDArray[np.int64], codes: NDArray[np.int64], n_orders: int, items: Sequence[str]
) -> tuple[Baskets, Vocabulary]:
    return Baskets.from_pairs(orders, codes, n_orders, len(items)), Vocabulary.from_ids(items)
