"""Reads the rows of a database query into a table."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, CursorResult, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from mersalg.engine.config import expand_environment
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.storage.connection import shown_url

_ROWS_AT_A_TIME = 50_000


def read_query(url: str, query: str, folder: Path) -> tuple[pa.Table, str]:
    """Return the rows of `query`, and a name for messages (the URL without its password).

    Raises
    ------
    ConfigError
        An unset `${NAME}`, a URL that cannot be read, a driver that is not installed.
    DataError
        No such SQLite file, or the database refuses the query.
    """
    with _connected(url, folder) as (connection, name):
        # The query is the shop's own text: no marks in it (%, :) mean parameters.
        options = connection.execution_options(no_parameters=True, stream_results=True)
        return _rows(options.exec_driver_sql(query), name), name


def without_password(url: str) -> str:
    """Return which database a URL names.

    Raises ConfigError: it is no URL of a database, or a variable in it is not set.
    """
    return shown_url(_parsed(expand_environment(url, "url")))


@contextmanager
def _connected(url: str, folder: Path) -> Generator[tuple[Connection, str], None, None]:
    target = _target(expand_environment(url, "url"), folder)
    name = shown_url(target)
    try:
        engine = create_engine(target)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        hint = "; pip install 'mersalg[postgres]'" if "postgres" in target.drivername else ""
        raise ConfigError(f"no driver for {target.drivername}{hint}") from error
    try:
        with engine.connect() as connection:
            yield connection, name
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip()
        raise DataError(f"the query failed: {cause}", file=name) from error
    finally:
        engine.dispose()


def _rows(result: CursorResult[Any], name: str) -> pa.Table:
    if not result.returns_rows:
        raise DataError("the query gives no rows: it must be a select", file=name)
    columns = list(result.keys())
    parts = [_as_table(columns, rows) for rows in result.partitions(_ROWS_AT_A_TIME) if rows]
    return _together(parts) if parts else _as_table(columns, [])


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("url is not a database URL such as postgresql://...") from error


def _target(url: str, folder: Path) -> URL:
    target = _parsed(url)
    if target.drivername in ("postgresql", "postgres"):
        return target.set(drivername="postgresql+psycopg")
    database = target.database
    if target.get_backend_name() == "sqlite" and database and database != ":memory:":
        path = folder / database
        # SQLite would make an empty database of a mistyped name.
        if not database.startswith("file:") and not path.is_file():
            raise DataError("no such file", file=str(path))
        return target if database.startswith("file:") else target.set(database=str(path))
    return target


def _as_table(columns: Sequence[str], rows: Sequence[Any]) -> pa.Table:
    by_column: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.Table.from_arrays([_as_array(values) for values in by_column], names=list(columns))


def _as_array(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError):
        # A column of several types (SQLite) or of one Arrow has no word for (UUID).
        return _as_text(values)


def _as_text(values: Sequence[Any]) -> pa.Array:
    return pa.array(
        [None if value is None else str(value) for value in values], type=pa.large_string()
    )


def _together(parts: Sequence[pa.Table]) -> pa.Table:
    """Rows of the same columns; as text where a column is of several types."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException:
        whole = [
            _as_text([value for part in parts for value in part.column(number).to_pylist()])
            for number in range(parts[0].num_columns)
        ]
        return pa.Table.from_arrays(whole, names=parts[0].column_names)
