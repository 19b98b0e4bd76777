"""Reads CSV files, every column as text, and says what is wrong with those that cannot serve."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from mersalg.engine.errors import DataError
from mersalg.training.swallowed_rows import refuse_swallowed_rows


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A CSV row with more or fewer cells than the header; such rows are not in the table."""

    file: str
    row: int
    text: str


def read_csv(path: Path, *, separator: str, encoding: str) -> tuple[pa.Table, list[RaggedRow]]:
    """Every column as text; rows of another width than the header's are set aside.

    Raises
    ------
    DataError
        Empty, unreadable, or not text of that encoding.
    """
    ragged: list[RaggedRow] = []

    def set_aside(row: Any) -> str:
        # The reader counts lines, and a header is a line.
        ragged.append(RaggedRow(str(path), row.number - 1, row.text))
        return "skip"

    try:
        _refuse_other_unicode(path, encoding)
        with _unraised():
            table = pyarrow.csv.read_csv(
                path,
                # One thread: only then does the reader know the numbers of rows it cannot take.
                read_options=pyarrow.csv.ReadOptions(use_threads=False, encoding=encoding),
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
