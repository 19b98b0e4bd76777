"""Reads numbers and money from columns that may hold them as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.money import LARGEST_MINOR, minor_digits
from training.keys import codes_of
from training.sources import SourceTable

_PLAIN = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*$"
_SPACES = " \u00a0\u202f"
_MARK = r"[^\w.,()+\-−]*+(?:(?:[A-Z]{3}|[Kk]r|KR|Fr|Rs|zł|stk|pcs?)\.?)?[^\w.,()+\-−]*+"
# A currency before or after (`$18.00`, `kr 99`, `1 290,-`), a sign on either side of it.
_DRESSED = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-−]?){_MARK}(?P<late_sign>[\-−]?)"
    rf"(?P<number>[.,]?[0-9](?:[0-9., '{_SPACES}]*[0-9])?)(?:,-)?{_MARK}(?P<close>\))?"
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One number a row.

    Attributes:
        values: float64 (n_rows,), NaN where there is none.
        missing: bool (n_rows,), the cell is empty.
        bad: bool (n_rows,), the cell holds something that is no finite number.
    """

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def read_numbers(source: SourceTable, column: str) -> Numbers:
    """The numbers of a column, with the source's decimal mark where they stand as text.

    A currency sign or code, thousands separators and accounting's negative brackets are taken off.

    Raises:
        DataError: no such column.
    """
    array = source.column(column)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(array.type):
        values = _numbers_of_texts(array, source.decimal)
    elif _is_number(array.type):
        values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        values = np.full(len(array), np.nan)
    missing = missing | (np.isnan(values) if pa.types.is_floating(array.type) else False)
    bad = ~np.isfinite(values) & ~missing
    return Numbers(np.where(bad | missing, np.nan, values), missing, bad)


def parse_number(text: str, decimal: str) -> float:
    """NaN where `text` states no number; `1,500` is 1500 only where the comma is not the mark."""
    found = _DRESSED.fullmatch(text.strip())
    if found is None or bool(found["open"]) != bool(found["close"]):
        return float("nan")
    group = "," if decimal == "." else r"\."
    mark = re.escape(decimal)
    shape = rf"(?:[0-9]{{1,3}}(?:[{_SPACES}'{group}][0-9]{{3}})+|[0-9]*)(?:{mark}[0-9]+)?"
    number = found["number"]
    if not re.fullmatch(shape, number):
        return float("nan")
    whole, _, decimals = number.partition(decimal)
    digits = re.sub(r"[^0-9]", "", whole)
    value = float(f"{digits or '0'}.{decimals or '0'}")
    signs = [found["sign"] in ("-", "−"), bool(found["late_sign"]), bool(found["open"])]
    if sum(signs) > 1:
        return float("nan")
    return -value if any(signs) else value


def money_to_minor(
    amounts: NDArray[np.float64], currency: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Minor units, rounded half to even as `engine.money.to_minor` does.

    Returns:
        int64 (n,), 0 where not finite or too large; bool (n,), the amount is beyond 2**53.
    """
    scaled = amounts * 10.0 ** minor_digits(currency)
    with np.errstate(invalid="ignore"):
        too_large = np.abs(scaled) > LARGEST_MINOR
    # Six decimals first: 2.675 is stored a hair below, and its half cent would be lost.
    exact = np.where(np.isfinite(scaled) & ~too_large, scaled, 0.0)
    return np.rint(np.round(exact, 6)).astype(np.int64), too_large


def _numbers_of_texts(array: pa.DictionaryArray, decimal: str) -> NDArray[np.float64]:
    texts = array.dictionary
    values = np.full(len(texts) + 1, np.nan)
    plain = pc.match_substring_regex(texts, _PLAIN).to_numpy(zero_copy_only=False)
    if decimal != ".":
        # A dot is no decimal mark here; `1.500` has to be looked at.
        plain &= ~pc.match_substring(texts, ".").to_numpy(zero_copy_only=False)
    positions = np.flatnonzero(plain)
    trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(positions)))
    values[positions] = pc.replace_substring_regex(trimmed, r"^\+", "").cast(pa.float64())
    for position in np.flatnonzero(~plain).tolist():
        values[position] = parse_number(texts[position].as_py(), decimal)
    return values[codes_of(array)]


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )
