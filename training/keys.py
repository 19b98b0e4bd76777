"""Turns key columns into dense codes and the texts they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from training.sources import SourceTable

MISSING = -1
"""Code of a row without a key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """One key a row.

    Attributes:
        codes: int64 (n_rows,), positions in `texts`, MISSING where any part is empty.
        texts: the distinct keys, in order of first appearance.
    """

    codes: NDArray[np.int64]
    texts: list[str]

    def recode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64 (n_rows,): positions in another list of distinct texts, MISSING where not there."""
        index = {text: position for position, text in enumerate(texts)}
        found = [index.get(text, MISSING) for text in self.texts]
        return np.array([*found, MISSING], dtype=np.int64)[self.codes]


def read_keys(source: SourceTable, columns: Sequence[str]) -> Keys:
    """The key that `columns` make together.

    One column gives its exact text. Several are joined by `|`, with `|` and the backslash inside a
    part escaped by a backslash, so that different keys never look the same.

    Raises:
        DataError: no such column.
    """
    parts = [_part(source.column(name)) for name in columns]
    if len(parts) == 1:
        return parts[0]
    codes, members = parts[0].codes, [[text] for text in map(_escaped, parts[0].texts)]
    for part in parts[1:]:
        texts = [_escaped(text) for text in part.texts]
        present = (codes != MISSING) & (part.codes != MISSING)
        pairs = codes[present] * len(texts) + part.codes[present]
        # Dense again after each column: no product of many columns can overflow.
        codes = np.full(len(codes), MISSING, dtype=np.int64)
        codes[present], distinct = pd.factorize(pairs)
        members = [
            [*members[pair // len(texts)], texts[pair % len(texts)]] for pair in distinct.tolist()
        ]
    return Keys(codes, ["|".join(member) for member in members])


def column_texts(source: SourceTable, column: str) -> NDArray[np.object_]:
    """object (n_rows,): one column as text, "" where it is empty."""
    part = _part(source.column(column))
    return np.array([*part.texts, ""], dtype=object)[part.codes]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _part(column: pa.Array) -> Keys:
    if pa.types.is_null(column.type):
        return Keys(np.full(len(column), MISSING, dtype=np.int64), [])
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        values = column.to_numpy(zero_copy_only=False)
        codes, distinct = pd.factorize(values)
        return Keys(codes.astype(np.int64), [_number_text(value) for value in distinct.tolist()])
    encoded = column.dictionary_encode()
    codes = encoded.indices.fill_null(MISSING).to_numpy(zero_copy_only=False).astype(np.int64)
    return Keys(codes, [_text(value) for value in encoded.dictionary.to_pylist()])


def _number_text(value: float) -> str:
    """Whole numbers without decimals: an id column with gaps is often stored as floats."""
    return str(int(value)) if value.is_integer() else repr(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value)
