"""Key columns as dense codes, numbered by Arrow without a Python object a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Int32s, Int64s
from mersalg.engine.vocabulary import StringTable
from mersalg.training.reading.arrow import arrow_of, is_text, numpy_of, pc
from mersalg.training.reading.sources import SourceTable

MISSING = -1
"""Code of a row without a key."""
_TEXT = pa.large_string()


@dataclass(frozen=True, slots=True)
class Keys:
    """One key a row."""

    codes: Int32s
    """(n_rows,): positions in `values`, MISSING where any part is empty."""
    values: pa.Array
    """The distinct keys, of the type they were read in; each is in use."""

    @property
    def texts(self) -> pa.Array:
        """The distinct keys as text (large_string)."""
        values = self.values
        if pa.types.is_integer(values.type) or is_text(values.type):
            return values.cast(_TEXT)
        return pa.array([_text(value) for value in values.to_pylist()], _TEXT)

    def recode(self, texts: pa.Array | Sequence[str]) -> Int32s:
        """Return positions in another list of distinct texts, MISSING where not there."""
        listed = texts if isinstance(texts, pa.Array) else pa.array(texts, _TEXT)
        return self.by_key(pc.index_in(self.texts, listed).fill_null(MISSING), MISSING)

    def by_key(self, values: pa.Array | NDArray[Any], missing: Any) -> NDArray[Any]:
        """Return, for each row, the entry of its key in `values`; `missing` where it has none."""
        return np.append(np.asarray(values), missing).astype(np.asarray(values).dtype)[self.codes]

    def by_text(self) -> tuple[Int32s, pa.Array]:
        """Return the same keys numbered in the order of their texts, and these texts."""
        texts = self.texts
        order = pc.array_sort_indices(texts)
        rank = np.empty(len(order), dtype=np.int32)
        rank[numpy_of(order)] = np.arange(len(order), dtype=np.int32)
        return self.by_key(rank, MISSING), texts.take(order)

    def take(self, rows: Bools | Int64s) -> Keys:
        """Return the keys of some rows; those that are not among them are dropped."""
        codes = self.codes[rows]
        used = np.zeros(len(self.values) + 1, dtype=np.bool_)
        used[codes] = True
        if used[:-1].all():
            return Keys(codes, self.values)
        position = np.append(np.cumsum(used[:-1]) - 1, MISSING).astype(np.int32)
        return Keys(position[codes], self.values.filter(pa.array(used[:-1])))


CUT_SHORT = r"^[1-9](\.[0-9]+)?[eE]\+[0-9]{1,2}$"
"""How spreadsheets write long numbers, of an id that is left so only the first digits."""
_UNSEEN = "[\u0000\u00ad\u200b-\u200f\u2060\ufeff]"
_MARKED = rf"""{_UNSEEN}|^="|^'[0-9]"""
"""Letters that cannot be seen, and what spreadsheets write before a number that is text."""
_AS_NUMBER = rf"^(0|[1-9][0-9]*)\.0+$|{CUT_SHORT}"


def read_keys(source: SourceTable, columns: Sequence[str], *, exact: bool = False) -> Keys:
    """Return the key that `columns` make together.

    One column gives its text, one id for all that differ only in how they are written (see
    `as_written`) unless `exact`. Several are joined by `|`, with `|` and the backslash inside a
    part escaped by a backslash, so that different keys never look the same.

    Raises DataError: no such column.
    """
    parts = [_part(source.column(name)) for name in columns]
    if not exact:
        parts = [_one_form(part) for part in parts]
    return parts[0] if len(parts) == 1 else reduce(joined_keys, map(_escaped, parts))


def as_written(texts: pa.Array) -> pa.Array:
    """Return ids in one form: NFC, without invisible characters and white space around.

    They are without the marks of texts in spreadsheets (`="01"`, `'01`), and whole numbers without
    the `.0` or the exponent that spreadsheets and data frames give them, where no digit is lost.
    """
    if pc.any(pc.match_substring_regex(texts, _MARKED)).as_py():
        texts = pc.replace_substring_regex(texts, _UNSEEN, "")
        texts = pc.replace_substring_regex(texts, r"""^(?:="(.*)"|'([0-9][^']*))$""", r"\1\2")
    texts = pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFC"))
    numbers = numpy_of(pc.match_substring_regex(texts, _AS_NUMBER).cast(pa.uint8())) > 0
    if not numbers.any():
        return texts
    written = [_whole(text) for text in texts.filter(pa.array(numbers)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(numbers), pa.array(written, _TEXT))


def as_words(texts: pa.Array) -> pa.Array:
    """Return words as `words.toml` has them: `wc-on_hold`, `On hold` are `on hold`."""
    words = pc.utf8_trim(pc.utf8_lower(texts), " \t\n\r\u00a0.!")
    words = pc.replace_substring_regex(words, r"(\pL)[\s_-]+", r"\1 ")
    return pc.replace_substring_regex(words, r"^(wc |https?://schema\.org/)", "")


def _whole(text: str) -> str:
    number = Decimal(text)
    # Of `5.70123E+12` nobody knows the last digits.
    return text if int(number.as_tuple().exponent) > 0 else f"{number:.0f}"


def _one_form(keys: Keys) -> Keys:
    if not pa.types.is_large_string(keys.values.type):
        return keys
    written = as_written(keys.values)
    if written.equals(keys.values):
        return keys
    encoded = written.dictionary_encode()
    return Keys(keys.by_key(codes_of(encoded), MISSING), encoded.dictionary)


def string_table(texts: pa.Array) -> StringTable:
    """Return texts (large_string without nulls) as the arrays of a model."""
    texts = pa.concat_arrays([texts])
    _, offsets, blob = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
    raw = b"" if blob is None else blob
    content = np.frombuffer(raw, dtype=np.uint8)[int(bounds[0]) : int(bounds[-1])]
    return StringTable(content, bounds - bounds[0])


def _part(column: pa.Array) -> Keys:
    kind = column.type
    if pa.types.is_null(kind):
        return Keys(np.full(len(column), MISSING, dtype=np.int32), pa.array([], _TEXT))
    if pa.types.is_integer(kind) and not column.null_count and len(column):
        values = numpy_of(column)
        starts = np.append(True, values[1:] != values[:-1])
        firsts = values[starts]
        if (firsts[1:] > firsts[:-1]).all():
            # Sorted, as the orders of most tables are: each run is a key.
            codes = np.cumsum(starts, dtype=np.int32)
            codes -= 1
            return Keys(codes, arrow_of(firsts))
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    return Keys(codes_of(column), column.dictionary)


def codes_of(column: pa.DictionaryArray) -> Int32s:
    """Return the position of each row in the dictionary, MISSING where it is null."""
    indices = column.indices.fill_null(MISSING) if column.null_count else column.indices
    return numpy_of(indices).astype(np.int32, copy=False)


def _escaped(keys: Keys) -> Keys:
    texts = pc.replace_substring(keys.texts, "\\", "\\\\")
    return Keys(keys.codes, pc.replace_substring(texts, "|", "\\|"))


def joined_keys(left: Keys, right: Keys) -> Keys:
    """Return the keys that two parts make together, MISSING where either is."""
    n_right = max(len(right.values), 1)
    present = (left.codes != MISSING) & (right.codes != MISSING)
    # Dense again after each column: no product of many columns can overflow.
    pairs = left.codes[present].astype(np.int64) * n_right + right.codes[present]
    encoded = pa.array(pairs).dictionary_encode()
    distinct = encoded.dictionary.to_numpy()
    first, second = (
        keys.texts.take(pa.array(places))
        for keys, places in ((left, distinct // n_right), (right, distinct % n_right))
    )
    codes = np.full(len(left.codes), MISSING, dtype=np.int32)
    codes[present] = codes_of(encoded)
    return Keys(codes, pc.binary_join_element_wise(first, second, pa.scalar("|", _TEXT)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # An id column with gaps is often stored as floats.
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def first_of_order(orders: Int64s, codes: NDArray[np.integer[Any]]) -> Int64s:
    """Return the lowest code that the lines of each order name, MISSING where they name none.

    `orders` ascends, and every order has a line.
    """
    starts = np.flatnonzero(np.append(True, orders[1:] != orders[:-1]))
    # Without a sign MISSING is above every code.
    unsigned = codes.astype(np.int64).view(np.uint64)
    return np.minimum.reduceat(unsigned, starts).view(np.int64)
