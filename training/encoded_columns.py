"""Id columns of order lines as dense codes, without a Python object a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import DataError
from engine.vocabulary import StringTable, Vocabulary

Integers = NDArray[np.int64]
MISSING = -1
"""Code of a line without an id, as in `training.keys`."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One id a line.

    Attributes:
        codes: int64 (n_lines,), positions in `texts`, MISSING where a cell is empty or blank.
        texts: large_string, the distinct ids in order of first appearance.
    """

    codes: Integers
    texts: pa.Array

    @classmethod
    def of(cls, table: pa.Table, name: str, file: str) -> Encoded:
        """A column of any type that `training.keys` reads, with the same texts.

        Raises:
            DataError: its cells are not single values, or a cell is empty (with its row).
        """
        column = table.column(name)
        kind = column.type
        if pa.types.is_dictionary(kind) and _is_plain(kind.value_type):
            encoded = cls._plain(column.unify_dictionaries())
        elif _is_plain(kind):
            encoded = cls._plain(column.dictionary_encode())
        else:
            # They bring pandas and SQLAlchemy: only rare types wait for these to load.
            from training.keys import read_keys
            from training.sources import single

            keys = read_keys(single(table.select([name]), file, "."), (name,))
            encoded = cls(keys.codes, pa.array(keys.texts, pa.large_string()))
        missing = encoded.codes == MISSING
        if missing.any():
            row = int(missing.argmax()) + 1
            raise DataError("the cell is empty", file=file, row=row, column=name)
        return encoded

    @classmethod
    def _plain(cls, column: pa.ChunkedArray) -> Encoded:
        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], column.type)
        codes = array.indices.fill_null(MISSING).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(codes, array.dictionary.cast(pa.large_string())).without_blanks()

    def without_blanks(self) -> Encoded:
        """Texts of nothing but white space are MISSING, and no longer texts."""
        blank = pc.equal(pc.utf8_trim_whitespace(self.texts), "").fill_null(True)
        here = blank.to_numpy(zero_copy_only=False)
        used = np.zeros(len(here) + 1, dtype=np.bool_)
        used[self.codes] = True
        kept = used[:-1] & ~here
        if kept.all():
            return self
        # A dictionary may also name what no line holds.
        position = np.append(np.where(kept, np.cumsum(kept) - 1, MISSING), MISSING)
        return Encoded(position[self.codes], self.texts.filter(pa.array(kept)))

    def by_text(self) -> tuple[Integers, Vocabulary]:
        """(codes, ids): the ids sorted by text, and each line's place among them."""
        order = pc.array_sort_indices(self.texts)
        rank = np.empty(len(order) + 1, dtype=np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        rank[MISSING] = MISSING
        return rank[self.codes], Vocabulary.from_ids(_string_table(self.texts.take(order)))


def order_codes(table: pa.Table, name: str, file: str) -> tuple[Integers, int]:
    """(codes as `Encoded.of` gives them, how many ids there are), the ids' texts not being asked.

    Raises:
        DataError: as `Encoded.of`.
    """
    column = table.column(name)
    if pa.types.is_integer(column.type) and not column.null_count and len(column):
        values = column.to_numpy()
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        firsts = values[starts]
        if (firsts[1:] > firsts[:-1]).all():
            # Sorted by order, as most tables are: each run is an order.
            runs = np.diff(starts, append=len(values))
            return np.repeat(np.arange(len(starts)), runs), len(starts)
    encoded = Encoded.of(table, name, file)
    return encoded.codes, len(encoded.texts)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether the distinct values' texts are what Arrow writes for them."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def _string_table(texts: pa.Array) -> StringTable:
    texts = pa.concat_arrays([texts])
    _, offsets, blob = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
    raw = b"" if blob is None else blob
    return StringTable(np.frombuffer(raw, dtype=np.uint8)[: int(bounds[-1])], bounds)
