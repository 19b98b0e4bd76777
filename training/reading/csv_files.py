"""Reads CSV files, every column as text, and says what is wrong with those that cannot serve."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from mersalg.engine.errors import DataError
from mersalg.training.reading.arrow import pc

_HINT = re.compile(rb"\A(?:\xef\xbb\xbf)?\"?sep=.\"?\r?\n")
"""First line by which spreadsheets know the separator."""
_PIECE = 1 << 22
_FEW = 2
"""A name may go on over a line or two, even one with as many commas as a row has."""


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A CSV row with more or fewer cells than the header; such rows are not in the table."""

    file: str
    row: int
    text: str


def read_csv(path: Path, *, separator: str, encoding: str) -> tuple[pa.Table, list[RaggedRow]]:
    """Every column as text; rows of another width than the header's are set aside.

    Raises DataError: empty, unreadable, or not text of that encoding.
    """
    ragged: list[RaggedRow] = []

    def set_aside(row: Any) -> str:
        # The reader counts lines, and a header is a line.
        ragged.append(RaggedRow(str(path), row.number - 1 - hints, row.text))
        return "skip"

    hints = 0
    try:
        _refuse_other_unicode(path, encoding)
        with path.open("rb") as file:
            hints = int(_HINT.match(file.read(16)) is not None)
        with _unraised():
            table = pyarrow.csv.read_csv(
                path,
                # One thread: only then does the reader know the numbers of rows it cannot take.
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, encoding=encoding, skip_rows=hints
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=separator, newlines_in_values=True, invalid_row_handler=set_aside
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    default_column_type=pa.large_string(), strings_can_be_null=False
                ),
            )
    except (pa.ArrowInvalid, UnicodeError) as error:
        if isinstance(error, UnicodeError) or "UTF8" in str(error) or not _decodes(path, encoding):
            message = f"not {encoding} text; set encoding (for example cp1252): {error}"
            raise DataError(message, file=str(path)) from error
        raise DataError(f"cannot be read as CSV: {error}", file=str(path)) from error
    except LookupError as error:
        raise DataError(f"no such encoding: {encoding}", file=str(path)) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    refuse_swallowed_rows(path, table, ragged, separator=separator)
    return table, ragged


@contextmanager
def _unraised() -> Generator[None, None, None]:
    """Silence the second report of a row that is no text or not of the right width, on stderr."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def _decodes(path: Path, encoding: str) -> bool:
    try:
        path.read_bytes().decode(encoding)
    except UnicodeError:
        return False
    return True


def _refuse_other_unicode(path: Path, encoding: str) -> None:
    """Refuse UTF-16, which spreadsheets call Unicode text: a reader of UTF-8 sees no rows."""
    if codecs.lookup(encoding).name != "utf-8":
        return
    with path.open("rb") as file:
        begin = file.read(2)
    if begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in begin:
        raise DataError("not utf-8 but UTF-16 text; set encoding = 'utf-16'", file=str(path))


def refuse_swallowed_rows(
    path: Path,
    table: pa.Table,
    aside: Sequence[RaggedRow],
    *,
    separator: str,
    columns: int | None = None,
) -> None:
    """Refuse a file of which a quotation mark too many made rows part of one value.

    The rows `aside` are not in the table, which may lack some of the `columns` that the file has.

    Raises DataError: a value holds several lines that look like rows, which a reader would lose.
    """
    columns = columns or len(table.column_names)
    with path.open("rb") as file:
        n_lines = sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b""))
    # Nearly every file has a line a row, and then nothing can be swallowed.
    if columns < 2 or n_lines <= table.num_rows + len(aside) + 1:
        return
    for row in aside:
        swallowed = _rows_in(row.text, separator, columns)
        if swallowed >= _FEW:
            raise _refusal(path, swallowed, row.row, None)
    taken = {row.row for row in aside}
    for name, values in zip(table.column_names, table.columns, strict=True):
        for index, text in _of_several_lines(values):
            swallowed = _rows_in(text, separator, columns)
            if swallowed >= _FEW:
                raise _refusal(path, swallowed, number_in_file(index + 1, taken), name)


def _of_several_lines(values: pa.ChunkedArray) -> Iterator[tuple[int, str]]:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    places = pc.indices_nonzero(pc.match_substring(values, "\n"))
    yield from zip(places.to_pylist(), values.take(places).to_pylist(), strict=True)


def _rows_in(text: str, separator: str, columns: int) -> int:
    """Of a value's lines, from the second on, those that have as many cells as a row."""
    return sum(line.count(separator) == columns - 1 for line in text.splitlines()[1:])


def number_in_file(number: int, aside: Iterable[int]) -> int:
    """Return the number in its file of a row of a table, which lacks the rows `aside`."""
    for taken in sorted(aside):
        number += taken <= number
    return number


def _refusal(path: Path, swallowed: int, row: int, column: str | None) -> DataError:
    return DataError(
        f"a value goes on over {swallowed:,} lines that look like rows: a quotation mark is not"
        " closed, or stands where none belongs",
        file=str(path),
        row=row,
        column=column,
    )
