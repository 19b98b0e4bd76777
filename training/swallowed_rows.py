"""Finds the rows of a CSV file that a quotation mark too many made part of one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mersalg.engine.errors import DataError

_PIECE = 1 << 22
_FEW = 2
"""A name may go on over a line or two, even one with as many commas as a row has."""


class Aside(Protocol):
    """A row that is not in the table: its number in the file and its text."""

    @property
    def row(self) -> int:
        """Number of the row."""

    @property
    def text(self) -> str:
        """Text of the cell."""


def refuse_swallowed_rows(
    path: Path,
    table: pa.Table,
    aside: Sequence[Aside],
    *,
    separator: str,
    columns: int | None = None,
) -> None:
    """Look at what was read of a file.

    Parameters
    ----------
    table
        Its rows, of all columns or of some.
    aside
        The rows that are not in the table.
    columns
        How many the file has; those of the table where not given.

    Raises
    ------
    DataError
        A value holds several lines that look like rows: who reads on has lost them.
    """
    columns = columns or len(table.column_names)
    # Nearly every file has a line a row, and then nothing can be swallowed.
    if columns < 2 or _n_lines(path) <= table.num_rows + len(aside) + 1:
        return
    for row in aside:
        swallowed = _rows_in(row.text, separator, columns)
        if swallowed >= _FEW:
            raise _refusal(path, swallowed, row.row, None)
    taken = {row.row for row in aside}
    for name, values in zip(table.column_names, table.columns, strict=True):
        for place, text in _of_several_lines(values):
            swallowed = _rows_in(text, separator, columns)
            if swallowed >= _FEW:
                raise _refusal(path, swallowed, _number(place + 1, taken), name)


def _n_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b""))


def _of_several_lines(values: pa.ChunkedArray) -> Iterator[tuple[int, str]]:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    places = pc.indices_nonzero(pc.match_substring(values, "\n"))
    yield from zip(places.to_pylist(), values.take(places).to_pylist(), strict=True)


def _rows_in(text: str, separator: str, columns: int) -> int:
    """Of a value's lines, from the second on, those that have as many cells as a row."""
    return sum(line.count(separator) == columns - 1 for line in text.splitlines()[1:])


def _number(number: int, aside: set[int]) -> int:
    """Return the number in the file of a row of the table."""
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
