"""Text cells of CSV files, which spreadsheets may run as formulas: ids and names are others'."""

from __future__ import annotations

import re

# Spreadsheets pass over blanks and marks without a width, and take full-width signs for the others.
_FORMULA = re.compile(
    r"(?:\A|(?<=[\n\v\f\x85\u2028\u2029]))"
    r"(?=[\s\x00\u200b-\u200f\u2060\ufeff]*+[=+\-@＝＋－＠﹢﹣﹦﹫]|[\t\n])"
)


def safe_cell(cell: str) -> str:
    """Return a cell with a quote before each line that a spreadsheet would run as a formula."""
    # A carriage return would end the row: Python's writer does not quote it.
    return _FORMULA.sub("'", cell.replace("\r\n", "\n").replace("\r", "\n"))
