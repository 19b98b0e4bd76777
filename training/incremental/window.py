"""The orders of a database since some days before the last, beside those remembered."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine import clock
from engine.config import ShopConfig
from training.database_source import read_query, read_query_since, together
from training.incremental.parts import Part, Reading
from training.incremental.row_digests import digest_of_rows, slimmed
from training.moments import read_moments
from training.order_lines import needed_columns
from training.sources import require_columns, single

OVERLAP_DAYS = 7
"""Orders of so many days before the last are read again: some arrive late, some are changed."""
_DATE, _TIME = r"^\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?$"
_FORMS = (f"{_DATE}$", f"{_DATE} {_TIME}", f"{_DATE}T{_TIME}")


def read_database_part(
    config: ShopConfig, folder: Path, known: Part | None
) -> tuple[list[Part], Reading]:
    """The rows of the shop's query; where it can be, only those since OVERLAP_DAYS before the last.

    Rows from that moment on take the place of the remembered ones. Of the earlier ones the
    database is asked for the number alone; another number than is remembered means that an order
    came later than that or was taken away, and then all is read.

    Args:
        known: the part remembered of the same database and query.

    Raises:
        ConfigError, DataError: as `sources.read_source`.
    """
    section, reading = config.orders, Reading()
    assert section.url is not None
    assert section.query is not None
    if known is not None:
        part = _with_recent(known, config, folder, reading)
        if part is not None:
            return [part], reading
    table, name = read_query(section.url, section.query, folder)
    require_columns(table.column_names, needed_columns(section), name)
    part = _part(name, tuple(table.column_names), slimmed(table, needed_columns(section)))
    reading.anew, reading.rows_read = 1, part.n_rows
    return [part], reading


def _part(name: str, columns: tuple[str, ...], table: pa.Table) -> Part:
    return Part(name, columns, table, (), sha256="", size=0, modified_ns=0, may_grow=False)


def _with_recent(known: Part, config: ShopConfig, folder: Path, reading: Reading) -> Part | None:
    """`known` with its last days read again; None, and the reason in `reading`, where not so."""
    section = config.orders
    assert section.url is not None
    assert section.query is not None
    if section.columns.ordered_at is None:
        reading.reason = "the shop file names no column of times"
        return None
    column = section.columns.ordered_at[0]
    start = _start_of_window(known, config)
    if start is None:
        reading.reason = f"the values of {column} do not sort as times do"
        return None
    found = read_query_since(section.url, section.query, folder, column, start.as_py())
    if found is None:
        reading.reason = "the database's driver binds values in a way of its own"
        return None
    table, n_before = found
    if tuple(table.column_names) != known.columns:
        reading.reason = "the columns of the query have changed"
        return None
    recent = pc.fill_null(pc.greater_equal(known.table.column(column), start), False)
    before, replaced = known.table.filter(pc.invert(recent)), known.table.filter(recent)
    if n_before != before.num_rows:
        reading.reason = (
            f"before {start.as_py()} there are {n_before:,} order lines,"
            f" and not the {before.num_rows:,} remembered"
        )
        return None
    slim = slimmed(table, needed_columns(section))
    reading.rows_read, reading.rows_remembered = slim.num_rows, before.num_rows
    if digest_of_rows(slim) == digest_of_rows(replaced):
        reading.unchanged = 1
        return known
    reading.grown = 1
    return _part(known.name, known.columns, together([before, slim]))


def _start_of_window(known: Part, config: ShopConfig) -> pa.Scalar | None:
    """The least time of the remembered orders that are to be read again, as the source writes it.

    None where nothing can be told, or where the database might sort the texts of times otherwise
    than here: they must all be written alike.
    """
    section = config.orders
    assert section.columns.ordered_at is not None
    source = single(known.table, known.name, section.decimal)
    moments = read_moments(
        source, section.columns.ordered_at, section.date_format, config.shop.timezone
    )
    latest_possible = clock.now() + clock.MICROS_PER_DAY
    usable = ~moments.bad & (moments.micros > 0) & (moments.micros <= latest_possible)
    values = known.table.column(section.columns.ordered_at[0])
    if not usable.any() or not _sorts_as_time(values):
        return None
    since = int(moments.micros[usable].max()) - OVERLAP_DAYS * clock.MICROS_PER_DAY
    return pc.min(values.filter(pa.array(usable & (moments.micros >= since))))


def _sorts_as_time(values: pa.ChunkedArray) -> bool:
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    lengths = pc.min_max(pc.utf8_length(values))
    alike = [pc.all(pc.match_substring_regex(values, form)).as_py() for form in _FORMS]
    return any(alike) and lengths["min"] == lengths["max"]
