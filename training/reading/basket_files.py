"""Reads baskets for mining: a basket a line, or a table of orders and items."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.errors import DataError
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.vocabulary import StringTable
from mersalg.training.reading.csv_files import read_csv, refuse_swallowed_rows
from mersalg.training.reading.keys import MISSING, Keys, read_keys, string_table
from mersalg.training.reading.sources import require_columns, single

_LOOKED_AT = 1_000
"""Lines from the beginning by which a file is known."""
_FLAGS = frozenset("true false t f yes no y n ja nei 0 1 0.0 1.0 ? x".split())
_HEADER = re.compile(
    r"((line|stock|product|item|order|member|customer|transaction|invoice|basket) ?)*"
    r"(items?|products?|produkt(er)?|varer?|articles?|artikler|artikkel|sku|baskets?|handlekurv"
    r"|transactions?|orders?|ordre|invoices?|customers?|kunde|members?|date|dato|time|quantity|antall"
    r"|price|pris|description|code|tid|id|no|nr|number|name|count|status)"
    r"( ?\(s\))?( ?(id|no|nr|number|code|name|description|\d+))?"
)
_LINES = "write one basket a line, or a table with the columns order_id and item_id"
_SPACED = frozenset({".dat", ".basket"})
_TABLE_COLUMNS = ("order_id", "item_id")
_WIDE_SPACES = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
"""White space beyond ASCII, as `str.split` knows it."""
_COMMA = ord(",")


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The labels of the first lines: one a place, its line, and the texts they are."""

    places: Int64s
    lines: Int64s
    texts: list[str]

    def share(self, pattern: str) -> float:
        """Return the share of the lines that hold a label in which the pattern is found."""
        matches = np.array([re.search(pattern, text) is not None for text in self.texts])
        hits = matches[self.places]
        return len(np.unique(self.lines[hits])) / max(len(np.unique(self.lines)), 1)

    def repeats_flags(self) -> bool:
        """Return whether most labels below the first line are flags, several of one in a line."""
        flags = np.array([text.strip().casefold() in _FLAGS for text in self.texts])
        below = self.lines > self.lines.min(initial=0)
        flagged = flags[self.places] & below
        pairs = np.stack((self.lines[flagged], self.places[flagged]))
        repeated = pairs.shape[1] > np.unique(pairs, axis=1).shape[1]
        in_lines = len(np.unique(self.lines[flagged]))
        return repeated and in_lines > 1 and 2 * flagged.sum() > below.sum()

    def comment(self) -> str | None:
        """Return the sign that begins some lines and no other label."""
        first = np.append(True, np.diff(self.lines) > 0)[: len(self.lines)]
        for sign in "#%":
            begins = np.array([text.lstrip().startswith(sign) for text in self.texts])[self.places]
            if begins.any() and not begins[~first].any() and not begins[first].all():
                return sign
        return None

    def header(self) -> str | None:
        """Return a label of the first line alone that is the name of a column."""
        first = self.lines == self.lines.min(initial=0)
        if first.all():
            return None
        alone = np.setdiff1d(self.places[first], self.places[~first])
        names = [re.sub(r"[\s_-]+", " ", self.texts[index].strip().casefold()) for index in alone]
        return next((name for name in names if _HEADER.fullmatch(name)), None)


def refuse_other_files(
    path: Path, codes: Int32s, lines: Int64s, items: StringTable, *, quoted: bool
) -> None:
    """Look at the first lines of a file that was read as one basket a line.

    `codes`, int32 (n_labels,), are positions in `items`, MISSING where a label is blank; `lines`,
    int64 (n_labels,), ascend. `quoted`: labels are separated by commas and not by white space.

    Raises DataError: they are of another kind of file.
    """
    end = int(np.searchsorted(lines, lines[0] + _LOOKED_AT)) if len(lines) else 0
    named = codes[:end] != MISSING
    used, places = np.unique(codes[:end][named], return_inverse=True)
    begin = _Beginning(places, lines[:end][named], [items[code] for code in used.tolist()])
    if not len(places):
        return
    marks = r";|\||\t" if quoted else r"[,;|]"
    header, comment = begin.header(), begin.comment()
    for wrong, message in (
        (begin.share(r"^@[A-Z_]+=?|^@(relation|attribute|data)") > 0, "lines that begin with @ are"
         " of SPMF or ARFF: remove them, and give items their names"),
        (comment is not None, f"lines that begin with {comment} are no baskets: remove them"),
        (begin.share(r"^-[12]$") > 0.5, "-1 and -2 part the events of a sequence (SPMF):"
         f" {_LINES}"),
        (not quoted and begin.share(r":-?\d+(\.\d+)?(:|$)") > 0.5, "the items have utilities"
         f" (SPMF): {_LINES}"),
        (begin.share(r"^\s*</?[A-Za-z?!]") > 0.5, f"this is markup such as XML: {_LINES}"),
        (begin.repeats_flags(), "this is a table with a column for each item, which says where it"
         f" was bought: {_LINES}"),
        (header is not None, f"the first line is a header ({header!r}): remove it and what is no"
         " item, or name two columns order_id and item_id"),
        (begin.share(r"^\s*([\[{(]['\"]|[\[{][^\]}]*$)") > 0.5, "these are lists or"
         f" objects of a program: {_LINES}"),
        (not quoted and begin.share(marks) > 0.5, "items are separated by white space in a .dat"
         " or .basket file: write spaces, or save it as .csv with commas"),
        (quoted and begin.share(rf"({marks})\s*-?\d+$") > 0.5 and begin.share(r"^\d") > 0.5,
         "the cells are separated by semicolons and numbers have a decimal comma: write a table"
         " with the columns order_id and item_id, separated by commas"),
    ):  # fmt: skip
        if wrong:
            raise DataError(message, file=str(path), row=1)


def read_baskets(path: Path) -> tuple[Baskets, StringTable]:
    """Baskets of a file, and its items sorted by label.

    - `.dat`, `.basket`: one basket a line, items separated by white space.
    - `.csv`: one basket a line, items separated by commas and quoted by the rules of CSV; labels
      keep their exact text, spaces at their ends included. A file whose header holds `order_id`
      and `item_id` is a table of order lines instead.
    - `.parquet`: a table with the columns `order_id` and `item_id`.

    A file of another kind (a column for each item, SPMF, a header, numbers with decimal commas) is
    refused. An item repeated in a basket counts once. A line without items is no basket, neither is
    an empty label an item.

    Raises DataError: no such file, another kind of file, one that cannot be read (with its row), or
    one without a basket.
    """
    if not path.is_file():
        raise DataError("no such file", file=str(path))
    kind = path.suffix.lower()
    if kind in _SPACED:
        baskets, items = _from_lines(path, quoted=False)
    elif kind == ".parquet":
        baskets, items = baskets_of_table(_parquet_table(path), str(path))
    elif kind == ".csv":
        header = _header(path)
        if set(_TABLE_COLUMNS) <= {name.strip() for name in header}:
            baskets, items = baskets_of_table(_csv_table(path, header), str(path))
        else:
            _refuse_half_a_table(header, path)
            baskets, items = _from_lines(path, quoted=True)
            _refuse_other_separators(baskets, items, path)
    else:
        raise DataError(
            "baskets are read from .dat, .basket, .csv or .parquet files", file=str(path)
        )
    if not baskets.n_orders:
        raise DataError("there is no basket", file=str(path))
    return baskets, items


def read_baskets_of_query(url: str, query: str) -> tuple[Baskets, StringTable]:
    """Baskets of a database query that gives the columns `order_id` and `item_id`.

    Raises as `read_query`, and DataError: a cell is empty, or there is no basket.
    """
    from mersalg.training.reading.database_source import read_query

    table, name = read_query(url, query, Path())
    require_columns(table.column_names, _TABLE_COLUMNS, name)
    baskets, items = baskets_of_table(table, name)
    if not baskets.n_orders:
        raise DataError("there is no basket", file=name)
    return baskets, items


def _bytes(path: Path) -> bytes:
    """UTF-8 text without a byte order mark."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from error
    return raw.removeprefix(codecs.BOM_UTF8)


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataError("not UTF-8 text", file=str(path), row=row) from error


def _header(path: Path) -> list[str]:
    try:
        # As the baskets below it, the line may end by a carriage return alone.
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return next(csv.reader([file.readline()]), [])
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except csv.Error as error:
        raise DataError(f"cannot be read as CSV: {error}", file=str(path), row=1) from error


def _refuse_half_a_table(header: list[str], path: Path) -> None:
    """Refuse a header that names one column, or both in other letters, and that of a data frame."""
    named = {part.strip().casefold() for each in header for part in re.split(r"[;|\t]", each)}
    if header[1:] and header == ["", *map(str, range(len(header) - 1))]:
        raise DataError(
            "the first line and column number the columns and rows of a data frame: write it"
            " without them",
            file=str(path),
            row=1,
        )
    if not named.isdisjoint(_TABLE_COLUMNS):
        raise DataError(
            "a table of order lines needs the columns order_id and item_id, so written and between"
            f" commas, not {', '.join(header)}",
            file=str(path),
        )


def _refuse_other_separators(baskets: Baskets, items: StringTable, path: Path) -> None:
    """Refuse lines of one item each, most of which hold another separator of spreadsheets."""
    if baskets.n_orders < 2 or len(baskets.items) > baskets.n_orders:
        return
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if 2 * sum(sign in label for label in items) > len(items):
            raise DataError(
                f"items are parted by commas, these by {name}: each line would be one item",
                file=str(path),
                row=1,
            )


def _from_lines(path: Path, *, quoted: bool) -> tuple[Baskets, StringTable]:
    raw = _bytes(path)
    if not raw.isascii():
        text = _text(raw, path)
        if not quoted:
            raw = _WIDE_SPACES.sub(" ", text).encode()
    content = np.frombuffer(raw, dtype=np.uint8)
    labels = np.empty(len(content), dtype=np.uint8)
    ends, lines = (np.empty(len(content) // 2 + 1, dtype=np.int64) for _ in range(2))
    if quoted:
        n_labels = kernels.separated_labels(content, _COMMA, labels, ends, lines)
        if n_labels < 0:
            raise _bad_quotes(raw, path)
    else:
        n_labels = kernels.spaced_labels(content, labels, ends, lines)
    bounds = np.append(0, ends[:n_labels])
    texts = pa.LargeStringArray.from_buffers(n_labels, pa.py_buffer(bounds), pa.py_buffer(labels))
    # Blank labels are no items.
    table = pa.Table.from_arrays([texts], names=["item_id"])
    codes, items = numbered_items(table, "item_id", str(path), blanks=True)
    refuse_other_files(path, codes, lines[:n_labels], items, quoted=quoted)
    has_item = codes != MISSING
    lines = lines[:n_labels]
    if not has_item.all():
        lines, codes = lines[has_item], codes[has_item]
    # Lines without an item are no orders.
    orders = np.cumsum(np.diff(lines, prepend=-1) > 0) - 1
    return Baskets.from_pairs(orders, codes, int(orders.max(initial=-1)) + 1, len(items)), items


def _bad_quotes(raw: bytes, path: Path) -> DataError:
    """Return the error that a strict CSV reader finds, with its row."""
    reader = csv.reader(StringIO(_text(raw, path), newline=""), strict=True)
    message = "cannot be read as CSV: its quotes do not pair up"
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        message = f"cannot be read as CSV: {error}"
    return DataError(message, file=str(path), row=reader.line_num)


def numbered_items(
    table: pa.Table, name: str, file: str, *, blanks: bool = False
) -> tuple[Int32s, StringTable]:
    """Return (codes, ids): the ids of a column sorted by text, and each row's place among them.

    Raises DataError: its cells are not single values, or a cell is empty (with its row) and
    `blanks` does not allow for that.
    """
    keys = read_keys(single(table, file), (name,), exact=True)
    if not blanks:
        _refuse_missing(keys, name, file)
    codes, texts = keys.by_text()
    return codes, string_table(texts)


def baskets_of_table(table: pa.Table, file: str) -> tuple[Baskets, StringTable]:
    """Return the baskets of order lines, and the items they index; DataError for an empty cell."""
    order_id, item_id = _TABLE_COLUMNS
    orders = read_keys(single(table, file), (order_id,), exact=True)
    _refuse_missing(orders, order_id, file)
    codes, items = numbered_items(table, item_id, file)
    return Baskets.from_pairs(orders.codes, codes, len(orders.values), len(items)), items


def _refuse_missing(keys: Keys, name: str, file: str) -> None:
    missing = keys.codes == MISSING
    if missing.any():
        raise DataError("the cell is empty", file=file, row=int(missing.argmax()) + 1, column=name)


def _csv_table(path: Path, header: list[str]) -> pa.Table:
    """Return the two columns as text; rows are only numbered where one cannot be read."""
    columns = {name.strip(): name for name in header}
    ragged: list[Any] = []

    def set_aside(row: Any) -> str:
        ragged.append(row)
        return "skip"

    try:
        require_columns([name.strip() for name in header], _TABLE_COLUMNS, str(path))
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=[columns[name] for name in _TABLE_COLUMNS],
                column_types={
                    columns[name]: pa.dictionary(pa.int32(), pa.string()) for name in _TABLE_COLUMNS
                },
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError):
        ragged.append(None)
    if not ragged:
        refuse_swallowed_rows(path, table, (), separator=",", columns=len(header))
        return table.rename_columns(_TABLE_COLUMNS)
    # Read again in one thread: only then does the reader know the number of a bad row.
    table, bad = read_csv(path, separator=",", encoding="utf-8")
    if bad:
        message = "the row has more or fewer cells than the header"
        raise DataError(message, file=str(path), row=bad[0].row)
    table = table.rename_columns([name.strip() for name in table.column_names])
    require_columns(table.column_names, _TABLE_COLUMNS, str(path))
    return table.select(_TABLE_COLUMNS)


def _parquet_table(path: Path) -> pa.Table:
    try:
        schema = pyarrow.parquet.read_schema(path)
        columns = {name.strip(): name for name in schema.names}
        require_columns([name.strip() for name in schema.names], _TABLE_COLUMNS, str(path))
        names = [columns[name] for name in _TABLE_COLUMNS]
        # Text is numbered as it is read: most rows never become a text of their own.
        texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read as Parquet: {error}", file=str(path)) from error
    return table.select(names).rename_columns(_TABLE_COLUMNS)
