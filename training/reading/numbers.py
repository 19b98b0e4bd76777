"""Reads numbers and money from columns that may hold them as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from babel.numbers import list_currencies

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s
from mersalg.engine.errors import DataError
from mersalg.engine.money import LARGEST_MINOR, minor_digits
from mersalg.engine.source_sections import CatalogueSection, OrdersSection
from mersalg.engine.words import read_toml
from mersalg.training.reading.arrow import is_number, pc
from mersalg.training.reading.keys import codes_of
from mersalg.training.reading.sources import AmbiguousColumn, SourceTable

_PLAIN = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*$"
_THOUSAND_OR_POINT = r"^\s*[+-]?[1-9][0-9]{0,2}\.[0-9]{3}\s*$"
_SPACES = " \u00a0\u2009\u202f"
_WORD = r"[^0-9.,()+\-−]*+(?:(?<=[^\W\d_])\.)?+\s*+"
# A currency before or after (`$18.00`, `kr. 99`, `1 290,-`), a sign on either side of it.
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-−]?)(?P<before>{_WORD})(?P<late_sign>[\-−]?)\s*+"
    rf"(?P<number>[.,]?[0-9](?:[0-9., '’{_SPACES}]*[0-9])?)(?:[,.][\-–—])?(?P<after>{_WORD})"
    r"(?P<close>\))?(?P<last_sign>[\-−])?"
)
_STRAY = 0.01
"""Share of numbers that may be of the other decimal mark before the column reads two ways."""

_CODES = frozenset(list_currencies())
_WORDS = read_toml("mersalg.training")["currencies"]
_SIGNS = {sign: frozenset(codes.split()) for sign, codes in _WORDS["signs"].items()}
"""Currencies that a sign may stand for."""
_UNITS = frozenset(_WORDS["units"].split())


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of numbers, as the shop file gives them."""

    decimal: str | None = None
    thousands: str | None = None
    """`decimal`, `thousands`: None where the column decides."""
    firm: bool = False
    """Whether the decimal mark is this field's own, so that no other is tried."""

    @classmethod
    def of(cls, section: OrdersSection | CatalogueSection, field: str) -> Marks:
        """Return those of one field of a section."""
        firm = isinstance(section.decimal, dict) and field in section.decimal
        return cls(section.decimal_of(field), section.thousands_of(field), firm)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One number a row."""

    values: Float64s
    """(n_rows,): NaN where there is none."""
    missing: Bools
    """(n_rows,): the cell is empty."""
    bad: Bools
    """(n_rows,): the cell holds something that is no finite number."""
    foreign: Bools
    """(n_rows,): the cell names another currency than the shop's."""
    own: Bools
    """(n_rows,): the cell names a currency that may be the shop's."""


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number without the text around it; `currencies` is None where nothing does."""

    digits: str
    negative: bool
    currencies: frozenset[str] | None


def read_numbers(
    source: SourceTable, column: str, marks: Marks = Marks(), *, currency: str = ""
) -> Numbers:
    """Return the numbers of a column; `marks` are those of numbers that are text.

    A currency sign or code, thousands separators and accounting's negative brackets are taken off.
    Cells that name a currency are compared with the shop's `currency`.

    Raises DataError: no such column, or numbers that could be read two ways.
    """
    array = source.column(column)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    nowhere = np.zeros(len(array), dtype=np.bool_)
    foreign = own = nowhere
    if pa.types.is_dictionary(array.type):
        texts, codes = array.dictionary, codes_of(array)
        both, amounts = _readings(texts, marks)
        try:
            results = both[_decimal_mark(texts, codes, both, marks)]
        except AmbiguousColumn as error:
            file, row = source.place(int(np.argmax(codes == error.text)))
            raise DataError(
                f"{error}; set decimal (of this field alone, or of the file)",
                file=file,
                row=row,
                column=column,
            ) from error
        values = np.append(results, np.nan)[codes]
        named = {index: each.currencies for index, each in amounts.items() if each.currencies}
        if named and currency:
            may = np.zeros((2, len(texts) + 1), dtype=np.bool_)
            for index, currencies in named.items():
                may[int(currency in currencies), index] = True
            foreign, own = may[0][codes], may[1][codes]
    elif is_number(array.type):
        values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        values = np.full(len(array), np.nan)
    missing = missing | (np.isnan(values) if pa.types.is_floating(array.type) else False)
    bad = ~np.isfinite(values) & ~missing
    return Numbers(np.where(bad | missing, np.nan, values), missing, bad, foreign, own)


def decimal_mark(source: SourceTable, column: str) -> str | None:
    """Return the decimal mark that the numbers of a column show; None where none is needed.

    Raises AmbiguousColumn: the numbers can be read by either mark, or some by one and some by the
    other.
    """
    array = source.column(column)
    if not pa.types.is_dictionary(array.type):
        return None
    both, _ = _readings(array.dictionary, Marks())
    if np.array_equal(*both, equal_nan=True):
        return None
    return ".,"[_decimal_mark(array.dictionary, codes_of(array), both, Marks())]


def parse_number(text: str, decimal: str) -> float:
    """NaN where `text` states no number; `1,500` is 1500 only where the comma is not the mark."""
    amounts = _parse_amount(text)
    return float("nan") if amounts is None else _value(amounts, decimal, None)


def may_be_currency(text: str, currency: str) -> bool:
    """Return whether a word or sign (`NOK`, `kr`) may be this currency."""
    return currency in (_currencies(text) or ())


def money_to_minor(amounts: Float64s, currency: str) -> tuple[Int64s, Bools]:
    """Minor units, rounded half to even as `mersalg.engine.fact_values.to_minor` does.

    Returns
    -------
    int64 (n,), 0 where not finite or too large; bool (n,), the amount is beyond 2**53.
    """
    scaled = amounts * 10.0 ** minor_digits(currency)
    with np.errstate(invalid="ignore"):
        too_large = np.abs(scaled) > LARGEST_MINOR
    exact = np.where(np.isfinite(scaled) & ~too_large, scaled, 0.0)
    # 2.675 is stored a hair below, and its half cent would be lost.
    half = np.rint(2 * exact) / 2
    is_half = np.abs(exact - half) <= np.maximum(5e-7, 2 * np.spacing(np.abs(exact)))
    return np.rint(np.where(is_half, half, exact)).astype(np.int64), too_large


def _readings(texts: pa.Array, marks: Marks) -> tuple[Float64s, dict[int, _Amount]]:
    """Return the numbers of texts, read by the point and by the comma, and those not plain."""
    plain = _matches(texts, _PLAIN)
    values = np.full((2, len(texts)), np.nan)
    positions = np.flatnonzero(plain)
    trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(positions)))
    values[0, positions] = pc.replace_substring_regex(trimmed, r"^\+", "").cast(pa.float64())
    dotted = plain & pc.match_substring(texts, ".").to_numpy(zero_copy_only=False)
    unclear = dotted & _matches(texts, _THOUSAND_OR_POINT)
    values[1, plain & ~dotted] = values[0, plain & ~dotted]
    if marks.thousands in (None, "."):
        values[1, unclear] = np.rint(values[0, unclear] * 1000)
    if marks.thousands == ".":
        values[0, dotted] = np.nan
    amounts: dict[int, _Amount] = {}
    for position in np.flatnonzero(~plain).tolist():
        amount = _parse_amount(texts[position].as_py())
        if amount is not None:
            amounts[position] = amount
            for mark, decimal in enumerate(".,"):
                if decimal != marks.thousands:
                    values[mark, position] = _value(amount, decimal, marks.thousands)
    return values, amounts


def _decimal_mark(texts: pa.Array, codes: Int32s, values: Float64s, marks: Marks) -> int:
    """Return which of the two readings of the texts holds: 0 the point's, 1 the comma's."""
    given = None if marks.decimal is None else ".,".index(marks.decimal)
    if given is not None and marks.firm:
        return given
    read = ~np.isnan(values)
    alone = read & ~read[::-1]
    either = read.all(axis=0) & (values[0] != values[1])
    if not alone.any() and not either.any():
        return 0
    rows = np.bincount(codes[codes >= 0], minlength=len(texts))
    point, comma = (int(rows[each].sum()) for each in alone)
    if given is not None:
        against = comma if given == 0 else point
        gives_way = not (point if given == 0 else comma) and against > _STRAY * rows[either].sum()
        return 1 - given if gives_way else given
    if min(point, comma) > _STRAY * max(point, comma):
        first = [int(np.flatnonzero(each)[0]) for each in alone]
        with_point, with_comma = (texts[index].as_py() for index in first)
        raise AmbiguousColumn(
            f"some numbers have a decimal point ({with_point!r}) and some a decimal comma"
            f" ({with_comma!r})",
            first[int(comma < point)],
        )
    if point or comma:
        return int(comma > point)
    index = int(np.flatnonzero(either)[0])
    one, other = sorted(values[:, index].tolist())
    message = f"{texts[index].as_py()!r} can be read as {one:g} or {other:,.15g}"
    raise AmbiguousColumn(message, index)


def _parse_amount(text: str) -> _Amount | None:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    around = f"{match['before']} {match['after']}"
    currencies = _currencies(around) if around.strip() else None
    signs = [match["sign"] in ("-", "−"), bool(match["open"])]
    signs += [bool(match[name]) for name in ("late_sign", "last_sign")]
    if sum(signs) > 1 or (around.strip() and currencies is None):
        return None
    return _Amount(match["number"].replace("’", "'"), any(signs), currencies or None)


def _currencies(text: str) -> frozenset[str] | None:
    """Return what currencies words and signs may stand for together, none where they are units.

    None where one of them is neither.
    """
    may: frozenset[str] = frozenset()
    for word in text.split():
        code = word.strip(".").casefold()
        if code in _UNITS:
            continue
        stands_for = _SIGNS.get(code) or frozenset({code.upper()} & _CODES)
        if not stands_for:
            return None
        may = (may & stands_for) or stands_for
    return may


def _value(number: _Amount, decimal: str, thousands: str | None) -> float:
    """NaN where the digits are no number with these marks."""
    if not _shape(decimal, thousands).fullmatch(number.digits):
        return float("nan")
    whole, _, decimals = number.digits.partition(decimal)
    digits = re.sub(r"[^0-9]", "", whole)
    value = float(f"{digits or '0'}.{decimals or '0'}")
    return -value if number.negative else value


@lru_cache
def _shape(decimal: str, thousands: str | None) -> re.Pattern[str]:
    marks = {None: f"{_SPACES}'{',' if decimal == '.' else '.'}", " ": _SPACES}
    between = re.escape(marks.get(thousands, thousands or ""))
    # No group of thousands begins with 0: `0,350` is never 350.
    # In India those above the thousands are of two digits: `1,23,456`.
    groups = rf"[1-9][0-9]{{0,2}}(?:[{between}][0-9]{{3}})+|[0-9]*"
    groups += rf"|[1-9][0-9]?(?:[{between}][0-9]{{2}})+[{between}][0-9]{{3}}"
    return re.compile(rf"(?:{groups})(?:{re.escape(decimal)}[0-9]+)?")


def _matches(texts: pa.Array, pattern: str) -> Bools:
    return pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
