"""Rows as numbers: which are the same, without keeping what stood in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

OTHER_COLUMNS = "(every other column)"
"""Name of the column that stands for the columns a shop file does not name."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def slimmed(table: pa.Table, needed: Sequence[str]) -> pa.Table:
    """The `needed` columns, and one number a row for all others.

    Two rows that are alike in every cell stay alike, and only they: all that training asks of the
    columns it was not told of. So no address or remark of a customer is kept.
    """
    named = set(needed)
    others = [place for place, name in enumerate(table.column_names) if name not in named]
    # By name: the files of a glob need not agree on the order of their columns.
    others.sort(key=table.column_names.__getitem__)
    slim = table.select(list(dict.fromkeys(needed)))
    if not others:
        return slim
    digests = row_digests(table.select(others))
    return slim.append_column(OTHER_COLUMNS, pa.array(digests))


def row_digests(table: pa.Table) -> NDArray[np.uint64]:
    """uint64 (n_rows,), equal for rows of equal cells; numbers are compared as numbers."""
    digests = np.zeros(table.num_rows, dtype=np.uint64)
    for column in table.columns:
        digests = digests * _FACTOR + _cell_digests(column)
    return digests


def digest_of_rows(table: pa.Table) -> str:
    """sha256 in hexadecimal, the same for the same rows in whatever order."""
    names = "\n".join(table.column_names).encode()
    return hashlib.sha256(names + np.sort(row_digests(table)).tobytes()).hexdigest()


def _cell_digests(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), dtype=np.uint64)
    if pa.types.is_nested(kind):
        column = pa.chunked_array([pa.array([str(cell) for cell in column.to_pylist()])])
    encoded = column.combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    texts = np.array([*map(_text, distinct), ""], dtype=object)[:-1]
    hashed = pd.util.hash_array(texts, categorize=False)
    codes = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    return np.append(hashed, np.uint64(0))[codes]


def _text(cell: Any) -> str:
    """Whole numbers look the same whatever type a file gave them."""
    if isinstance(cell, float | Decimal) and cell == cell // 1:
        return str(int(cell))
    return str(float(cell)) if isinstance(cell, Decimal) else str(cell)
