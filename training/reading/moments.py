"""Reads when orders were made, and turns local times into instants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from mersalg.engine.arrays import Bools, Int64s
from mersalg.engine.errors import DataError
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import codes_of
from mersalg.training.reading.sources import AmbiguousColumn, SourceTable

_OFFSET = re.compile(
    r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})$", re.IGNORECASE
)
_ISO = re.compile(r"\d{4}(?:-\d{1,2}-\d{1,2}|\d{4})(?:$|[T ])")
_NUMERIC_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{4}(?!\d)")
_TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p")
_PLAIN_DATES = (
    *("%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
)
_DATE_OF_NUMBERS = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})(?:(T|,? )\d{1,2}:\d{2}(:\d{2})?( [AaPp][Mm])?)?"
)
_NUMBERS = ((re.compile(r"[3-6]\d{4}([.,]\d+)?"), "excel"), (re.compile(r"1\d{9}(\d{3})?"), "unix"))
_COUNTED = {"excel": (25_569, 86_400), "unix": (0, 1)}
"""Of dates that are numbers: the number of 1970-01-01, and the seconds of one."""
_LAST_SECOND = 253_402_300_799
_STRAY = 0.01
"""Share of dates that may speak against the others before the file is called contradictory, and
share of rows whose dates may be readable two ways before it is called that."""


@dataclass(frozen=True, slots=True)
class Moments:
    """One instant a row."""

    micros: Int64s
    """(n_rows,): microseconds UTC, 0 where there is none."""
    bad: Bools
    """(n_rows,): the cell is empty or no date."""
    missing: Bools
    """(n_rows,): the cell is empty."""


def read_moments(
    source: SourceTable, columns: Sequence[str], date_format: str | None, timezone: str
) -> Moments:
    """Return the instants that `columns` (one, or date and time) state.

    Times without an offset are local to `timezone`: one that a clock change skipped is moved
    forward, one that it repeated is taken as the first. Without `date_format`, ISO 8601 is
    understood, `31.12.2025`, `31/12/2025` or `12/31/2025` as the file's own dates tell, and months
    by English name. Of a file whose dates are of another form, the few that could be read two ways
    are bad.

    Raises DataError: no such column, or dates that could be read two ways.
    """
    arrays = [source.column(name) for name in columns]
    kind = arrays[0].type
    if len(arrays) == 1 and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return _from_typed(arrays[0], timezone)
    encoded = _joined(arrays)
    texts = pd.Series(encoded.dictionary.to_pylist(), dtype="str").str.strip()
    texts = texts.str.replace(r"\s*UTC$", "Z", regex=True)
    codes = codes_of(encoded)
    n_rows = pd.Series(np.bincount(codes[codes >= 0], minlength=len(texts)))
    try:
        micros, bad = _parse(texts, n_rows, date_format, timezone)
    except ValueError as error:
        file, row = source.files[0], None
        if isinstance(error, AmbiguousColumn):
            file, row = source.place(int(np.argmax(codes == error.text)))
        raise DataError(
            f"{error}; set date_format, for example '%d/%m/%Y'",
            file=file,
            row=row,
            column=" + ".join(columns),
        ) from error
    return Moments(np.append(micros, 0)[codes], np.append(bad, True)[codes], codes < 0)


def forms_of(text: str) -> list[str]:
    """Return the values of `date_format` that a date may have, the day first.

    None where it is ISO 8601, or no date of numbers.
    """
    for pattern, form in _NUMBERS:
        if pattern.fullmatch(text):
            return [form]
    match = _DATE_OF_NUMBERS.fullmatch(text)
    if match is None:
        return []
    mark, year, between, seconds, half = match.groups()
    time = f"{between}{'%I' if half else '%H'}:%M" if between else ""
    time += (":%S" if seconds else "") + (" %p" if half else "")
    dates = ["dmY"] if mark == "." else ["dmY", "mdY"]
    if len(year) == 2:
        dates = [date.lower() for date in (*dates, "ymd")]
    forms = [mark.join(f"%{part}" for part in date) + time for date in dates]
    return [form for form in forms if _has_form(text, form)]


def _has_form(text: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(text, form))  # noqa: DTZ007
    except ValueError:
        return False


def _from_typed(array: pa.Array, timezone: str) -> Moments:
    zone = array.type.tz if pa.types.is_timestamp(array.type) else None
    bad = array.is_null().to_numpy(zero_copy_only=False)
    raw = array.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    micros = raw.fill_null(0).to_numpy(zero_copy_only=False)
    if zone is not None:
        return Moments(np.where(bad, 0, micros), bad, bad)
    # The lines of an order are mostly of one moment, and side by side.
    starts = np.append(True, micros[1:] != micros[:-1])[: len(micros)]
    local = pd.Series(micros[starts].astype("datetime64[us]"))
    instants = _localised(local, timezone)[np.cumsum(starts) - 1]
    return Moments(np.where(bad, 0, instants), bad, bad)


def _joined(arrays: Sequence[pa.Array]) -> pa.DictionaryArray:
    """Return the parts of each row as one text; null where a part is."""
    if len(arrays) == 1 and pa.types.is_dictionary(arrays[0].type):
        return arrays[0]
    texts = []
    for number, array in enumerate(arrays):
        # A date column stored with a midnight time must not hide the time beside it.
        if number == 0 and len(arrays) > 1 and pa.types.is_timestamp(array.type):
            array = array.cast(pa.date32(), safe=False)
        texts.append(array.cast(pa.large_string()))
    space = pa.scalar(" ", pa.large_string())
    joined = pc.binary_join_element_wise(*texts, space) if len(texts) > 1 else texts[0]
    return joined.dictionary_encode()


def _parse(
    texts: pd.Series, n_rows: pd.Series, date_format: str | None, timezone: str
) -> tuple[Int64s, Bools]:
    micros = np.zeros(len(texts), dtype=np.int64)
    bad = np.ones(len(texts), dtype=np.bool_)

    def take(positions: Int64s, form: str, *, offset: bool) -> None:
        if not len(positions):
            return
        parsed = pd.to_datetime(texts.iloc[positions], format=form, errors="coerce", utc=offset)
        good = parsed.notna().to_numpy()
        if not good.any():
            return
        results = parsed[good]
        values = _utc_micros(results) if offset else _localised(results, timezone)
        micros[positions[good]], bad[positions[good]] = values, False

    if date_format in _COUNTED:
        zero, unit = _COUNTED[date_format]
        numbers = texts.str.replace(",", ".", regex=False)
        counted = pd.to_numeric(numbers, errors="coerce").to_numpy(dtype=np.float64)
        # Milliseconds since 1970 are far beyond seconds of this century.
        seconds = (np.where(counted > 1e11, counted / 1000, counted) - zero) * unit
        fine = np.flatnonzero(np.abs(seconds) < _LAST_SECOND)
        micros[fine] = np.rint(seconds[fine]).astype(np.int64) * 1_000_000
        if date_format == "excel":
            micros[fine] = _localised(pd.Series(micros[fine].astype("datetime64[us]")), timezone)
        bad[fine] = False
        return micros, bad
    if date_format is not None:
        everything = np.arange(len(texts), dtype=np.int64)
        take(everything, date_format, offset="%z" in date_format)
        return micros, bad
    with_offset = texts.str.contains(_OFFSET).to_numpy(dtype=bool)
    iso = texts.str.match(_ISO).to_numpy(dtype=bool)
    take(np.flatnonzero(iso & with_offset), "ISO8601", offset=True)
    take(np.flatnonzero(iso & ~with_offset), "ISO8601", offset=False)
    for date in _date_forms(texts[~iso], n_rows):
        for time in _TIMES:
            rest = np.flatnonzero(bad & ~iso)
            if not len(rest):
                return micros, bad
            take(rest, date + time, offset=False)
    return micros, bad


def _date_forms(texts: pd.Series, n_rows: pd.Series) -> list[str]:
    """Forms to try for dates that are not ISO 8601; days before months, or the other way round.

    `texts` are those that are not ISO 8601, under their places among all; `n_rows` says of each of
    all in how many rows it is. Raises AmbiguousColumn: the dates do not show which.
    """
    parts = texts.str.extract(_NUMERIC_DATE).dropna()
    parts = parts[parts[1] != "."]
    if not len(parts):
        return [*_PLAIN_DATES]
    first, second, weight = parts[0].astype(int), parts[2].astype(int), n_rows[parts.index]
    is_day_first, is_month_first = (first > 12) & (second <= 12), (first <= 12) & (second > 12)
    day_first, month_first = int(weight[is_day_first].sum()), int(weight[is_month_first].sum())
    fewer, more = sorted((day_first, month_first))
    if not more and weight.sum() <= _STRAY * n_rows.sum():
        return [*_PLAIN_DATES]
    if not more:
        index = int(parts.index[0])
        raise AmbiguousColumn(
            f"the day and the month cannot be told apart ({texts[index]!r})", index
        )
    if fewer > _STRAY * more:
        one, other = (int(parts.index[which][0]) for which in (is_day_first, is_month_first))
        raise AmbiguousColumn(
            f"some dates have the day first ({texts[one]!r}) and some the month ({texts[other]!r})",
            one if fewer == day_first else other,
        )
    order = "%d{0}%m{0}%Y" if day_first > month_first else "%m{0}%d{0}%Y"
    return [*(order.format(mark) for mark in parts[1].unique()), *_PLAIN_DATES]


def _localised(local: pd.Series, timezone: str) -> Int64s:
    first = np.ones(len(local), dtype=bool)
    return _utc_micros(local.dt.tz_localize(timezone, ambiguous=first, nonexistent="shift_forward"))


def _utc_micros(moments: pd.Series) -> Int64s:
    naive = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return naive.to_numpy(dtype="datetime64[us]").astype(np.int64)
