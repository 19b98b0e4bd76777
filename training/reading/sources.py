"""Reads what a shop file points at: CSV or Parquet files, globs of either, or a database query.

Nothing is interpreted here. CSV columns stay text, so that an id such as `00123` keeps its exact
characters; Parquet and database columns keep their types.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from mersalg.engine.arrays import Bools, Int64s
from mersalg.engine.errors import DataError
from mersalg.engine.words import read_toml
from mersalg.training.reading.arrow import is_text, may_be_joined, numpy_of, pc
from mersalg.training.reading.csv_files import RaggedRow, number_in_file, read_csv

if TYPE_CHECKING:
    from mersalg.engine.source_sections import (
        CatalogueColumns,
        CatalogueSection,
        OrderColumns,
        OrdersSection,
    )

    SourceSection = OrdersSection | CatalogueSection

_PARQUET = frozenset({".parquet", ".pq", ".parq"})
_SPREADSHEETS = frozenset({".xlsx", ".xls", ".ods", ".numbers"})
_GLOB_MARKS = frozenset("*?[")
_LONGEST_VALUE = 200
_BYTES = (pa.types.is_fixed_size_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_NOTHING = frozenset(read_toml("mersalg.training")["cells"]["nothing"])


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one or several files as one table."""

    table: pa.Table
    """The rows, column by column."""
    files: tuple[str, ...]
    """Names for messages, in reading order; one name for a database."""
    file_starts: Int64s
    """(n_files + 1,): rows of file f are `file_starts[f]:file_starts[f + 1]`."""
    ragged: tuple[RaggedRow, ...]
    """Rows that could not be taken into the table, by file and row."""
    by_name: tuple[str, ...] = ()
    """Columns that are used because they bear the name of a field."""
    unused: tuple[str, ...] = ()
    """Columns that are not used."""
    nothing: frozenset[str] = frozenset()
    """Texts that are no more than a blank one: what data frames, databases and spreadsheets write
    (`nan`, `NULL`, `#N/A`)."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.table.num_rows

    def column(self, name: str) -> pa.Array:
        """Return one column as one array.

        Text is dictionary-encoded, so that whatever is asked of it is asked of each distinct text
        once; blank text and `nothing` are null, and every text of the dictionary is in use.

        Raises DataError: no such column, or two of that name.
        """
        require_columns(self.table.column_names, (name,), self.files[0])
        column = self.table.column(name)
        kind = column.type
        if pa.types.is_dictionary(kind) and not is_text(kind):
            column = column.cast(kind.value_type)
            kind = column.type
        if pa.types.is_nested(kind):
            message = f"each cell holds a {kind}, not one value"
            raise DataError(message, file=self.files[0], column=name)
        if pa.types.is_string_view(kind):
            column = column.cast(pa.large_string())
        if any(each(kind) for each in _BYTES):
            column = column.cast(pa.binary())
            kind = column.type
        if pa.types.is_dictionary(kind):
            return _without_blanks(column.unify_dictionaries().combine_chunks(), self.nothing)
        if not (is_text(kind) or pa.types.is_binary(kind)):
            return column.combine_chunks()
        try:
            return _without_blanks(column.dictionary_encode().combine_chunks(), self.nothing)
        except pa.ArrowInvalid as error:
            raise DataError("not UTF-8 text", file=self.files[0], column=name) from error

    def place(self, row: int) -> tuple[str, int]:
        """Return (file, 1-based row in it, header excluded) of a row of the table."""
        index = int(np.searchsorted(self.file_starts, row, side="right")) - 1
        file, number = self.files[index], row - int(self.file_starts[index]) + 1
        return file, number_in_file(number, (row.row for row in self.ragged if row.file == file))

    def rows_above(self, blank: Bools, columns: Sequence[str]) -> Int64s:
        """Return the row that each belongs to: itself, or of `blank` ones the last above.

        Rows are left out of `blank` where one of the columns holds something, and as the first of
        a file.
        """
        blank = blank.copy()
        for name in columns:
            blank &= self.column(name).is_null().to_numpy(zero_copy_only=False)
        first = self.file_starts[:-1]
        blank[first[first < len(blank)]] = False
        return np.maximum.accumulate(np.where(blank, 0, np.arange(len(blank))))

    def value(self, row: int, column: str) -> str:
        """Return the cell as text, for messages; "" where it is empty."""
        cell = self.table.column(column)[row].as_py()
        return "" if cell is None else str(cell)[:_LONGEST_VALUE]


class AmbiguousColumn(ValueError):
    """Texts of a column that can be read two ways; `text` is the index of one in its dictionary."""

    def __init__(self, message: str, text: int) -> None:
        super().__init__(message)
        self.text = text


def read_source(section: SourceSection, folder: Path) -> SourceTable:
    """Read a section of the shop file; relative paths start in its `folder`.

    Raises
    ------
    ConfigError
        The database URL cannot be used.
    DataError
        No such file, an unreadable one, files of a glob that do not fit together, or no row at all.
    """
    if section.url is not None and section.query is not None:
        # SQLAlchemy takes long to load: only who reads a database waits for it.
        from mersalg.training.reading.database_source import read_query

        table, name = read_query(section.url, section.query, folder)
        source = single(table, name)
    else:
        paths = matching_files(section.path or "", folder)
        source = read_files(paths, separator=section.separator, encoding=section.encoding)
    if not source.n_rows and not source.ragged:
        raise DataError("there are no rows", file=source.files[0])
    return replace(source, nothing=_NOTHING)


def matching_files(path: str, folder: Path) -> list[Path]:
    """Return the file, or the files of a glob in the order of their names.

    Raises DataError: there is none.
    """
    whole = folder / path
    if whole.is_file():
        return [whole]
    if not _GLOB_MARKS & set(path):
        what = "this is a folder; name its files, for example with *.csv" if whole.is_dir() else ""
        raise DataError(what or "no such file", file=str(whole))
    # Not Path.glob, which takes no absolute pattern; the folder's own name is no pattern.
    names = glob.glob(path, root_dir=folder, recursive=True)  # noqa: PTH207
    files = sorted(folder / name for name in names if (folder / name).is_file())
    if not files:
        raise DataError("no file matches", file=str(whole))
    return files


def require_columns(present: Sequence[str], needed: Sequence[str], file: str) -> None:
    """Raise DataError naming the first column of `needed` that is missing or occurs twice."""
    for name in needed:
        times = present.count(name)
        if times > 1:
            raise DataError("this column occurs more than once", file=file, column=name)
        if not times:
            listed = ", ".join(repr(column) for column in present) or "no columns"
            message = f"no such column; there are {listed}"
            if len(present) == 1:
                marks = [mark for mark in ",;\t|" if mark in present[0]]
                message += "".join(f"; set separator = {mark!r}" for mark in marks[:1])
            raise DataError(message, file=file, column=name)


ColumnsT = TypeVar("ColumnsT", "OrderColumns", "CatalogueColumns")


def with_own_names(
    columns: ColumnsT, source: SourceTable, others: Iterable[str]
) -> tuple[ColumnsT, SourceTable]:
    """Add the columns of a source that bear a field's own name, where the shop file names none.

    Letter case counts only between columns that differ in nothing else, and `Unit price` and
    `unitPrice` are `unit_price`. A column that the shop file names is what it says; `others` are
    columns that other settings name.
    """
    present = source.table.column_names
    named = {*others, *names_of(columns.model_dump(exclude_unset=True))}
    own = {
        as_field(name): name
        # The exact name last, so that it is what remains.
        for name in sorted(present, key=lambda name: name == as_field(name))
        if name not in named
    }
    renamed = {
        field: own[field]
        for field in type(columns).model_fields.keys() - columns.model_fields_set
        if field in own
    }
    columns = type(columns)(**{**columns.model_dump(exclude_unset=True), **renamed})
    used = {*named, *names_of(columns.model_dump())}
    return columns, replace(
        source,
        by_name=tuple(name for name in present if name in renamed.values()),
        unused=tuple(name for name in present if name not in used and name.strip()),
    )


def as_field(name: str) -> str:
    """Return the name of a column as that of a field would be written."""
    words = re.sub(r"(?<=[a-zà-ÿ0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s._-]+", "_", words.casefold())


def names_of(columns: Mapping[str, Any]) -> list[str]:
    """Return the columns that fields name."""
    return [name for value in columns.values() for name in columns_of(value)]


def columns_of(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that one field names: one, several or none."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pyarrow.parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read as Parquet: {error}", file=str(path)) from error


def is_parquet(path: Path) -> bool:
    """Return whether a file is called as Parquet files are; else it is CSV.

    Raises DataError: it is called as spreadsheets are.
    """
    if path.suffix.lower() in _SPREADSHEETS:
        raise DataError("spreadsheets are not read; save the sheet as CSV", file=str(path))
    return path.suffix.lower() in _PARQUET


def read_files(paths: Sequence[Path], *, separator: str, encoding: str) -> SourceTable:
    """Return the rows of CSV or Parquet files, with the columns in the order of the first file.

    Raises DataError: a file that is unreadable, of a kind that is not read, or of other columns
    than the first.
    """
    tables: list[pa.Table] = []
    ragged: list[list[RaggedRow]] = []
    for path in paths:
        table, aside = (
            (_read_parquet(path), [])
            if is_parquet(path)
            else read_csv(path, separator=separator, encoding=encoding)
        )
        tables.append(_aligned(table, tables[0], path, paths[0]) if tables else table)
        ragged.append(aside)
    return SourceTable(
        table=_together(tables, paths),
        files=tuple(str(path) for path in paths),
        file_starts=np.cumsum([0] + [table.num_rows for table in tables], dtype=np.int64),
        ragged=tuple(row for aside in ragged for row in aside),
    )


def _aligned(table: pa.Table, first: pa.Table, path: Path, first_path: Path) -> pa.Table:
    """`table` with its columns in the order of the first file's.

    Raises DataError: its columns are others.
    """
    if sorted(table.column_names) == sorted(first.column_names):
        if len(set(first.column_names)) < len(first.column_names):
            return table
        return table.select(first.column_names)
    here, there = set(table.column_names), set(first.column_names)
    parts = [
        f"{word} {', '.join(sorted(names))}"
        for word, names in (("lacks", there - here), ("adds", here - there))
        if names
    ]
    raise DataError(
        f"its columns are not those of {first_path}: it {' and '.join(parts) or 'repeats some'}",
        file=str(path),
    )


def _together(tables: Sequence[pa.Table], paths: Sequence[Path]) -> pa.Table:
    first = tables[0]
    if len(tables) == 1:
        return first
    for table, path in zip(tables[1:], paths[1:], strict=True):
        for left, right in zip(first.schema, table.schema, strict=True):
            if not may_be_joined(left.type, right.type):
                raise DataError(
                    f"holds {right.type} here and {left.type} in {paths[0]}",
                    file=str(path),
                    column=right.name,
                )
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"files do not fit together: {error}", file=str(paths[0])) from error


def _without_blanks(column: pa.DictionaryArray, nothing: frozenset[str]) -> pa.DictionaryArray:
    """Return texts (large_string); those that say nothing are null, and not in the dictionary."""
    indices, texts = column.indices, column.dictionary.cast(pa.large_string())
    codes = numpy_of(indices.fill_null(-1) if indices.null_count else indices)
    # A dictionary may also name what no row holds.
    is_kept = np.zeros(len(texts) + 1, dtype=np.bool_)
    is_kept[codes] = True
    trimmed = pc.utf8_trim_whitespace(texts)
    lengths = pc.binary_length(trimmed)
    lengths = numpy_of(lengths.fill_null(0) if lengths.null_count else lengths)
    is_kept = is_kept[:-1] & (lengths > 0)
    if nothing:
        short = np.flatnonzero(is_kept & (lengths <= max(len(word.encode()) for word in nothing)))
        is_kept[short] = [text not in nothing for text in trimmed.take(pa.array(short)).to_pylist()]
    if is_kept.all():
        return pa.DictionaryArray.from_arrays(indices, texts)
    position = np.append(np.where(is_kept, np.cumsum(is_kept) - 1, -1), -1).astype(np.int32)[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(position, mask=position < 0), texts.filter(pa.array(is_kept))
    )


def single(table: pa.Table, name: str) -> SourceTable:
    """Return the rows of one table, as of a database; `name` for messages."""
    return SourceTable(table, (name,), np.array([0, table.num_rows], dtype=np.int64), ())
