"""Indexes that a database being filled for the first time can do without until it is full.

Putting each of a million ids into six indexes one by one costs more than recording the facts;
sorting them once, when all are there, costs a fifth of it. The same holds for keys, but without
them nobody may write who does not know by himself what is new.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, Engine, Index, inspect

from engine.progress import Task
from engine.storage import connection as database
from engine.storage import postgres_keys, sqlite_keys
from engine.storage.postgres_keys import Key
from engine.storage.tables import facts, offers

DEFERRED = sorted(
    (
        index
        for table in (facts, offers)
        for index in table.indexes
        # So few facts stand in this one that it costs nothing.
        if index.name != "facts_dismissing"
    ),
    key=lambda index: str(index.name),
)


class _Keys(Protocol):
    """What either database's module of keys tells and does."""

    def missing(self, connection: Connection) -> list[Index] | list[Key]: ...

    def leave_out(self, connection: Connection) -> None: ...


def _keys_of(connection: Connection) -> _Keys:
    return postgres_keys if connection.dialect.name == "postgresql" else sqlite_keys


def missing_keys(connection: Connection) -> list[Index] | list[Key]:
    """Without which nobody may write who does not know by himself what is new."""
    return _keys_of(connection).missing(connection)


def missing(connection: Connection) -> list[Index | Key]:
    """Those that a load left for later, keys first."""
    inspector = inspect(connection)
    present = {
        entry["name"] for table in (facts, offers) for entry in inspector.get_indexes(table.name)
    }
    left = [index for index in DEFERRED if index.name not in present]
    return [*missing_keys(connection), *left]


def defer(connection: Connection) -> None:
    """Drop them from tables that hold nothing."""
    _keys_of(connection).leave_out(connection)
    for index in DEFERRED:
        index.drop(connection, checkfirst=True)


def complete(engine: Engine, progress: Task, *, keys_alone: bool = False) -> None:
    """Build those that are missing, each in a transaction; `progress` advances by each."""
    with engine.connect() as connection:
        left = missing_keys(connection) if keys_alone else missing(connection)
    if left:
        database.begin_appending(engine)
    for index in left:
        with database.writing(engine) as connection, database.sorting(connection):
            database.lock_schema(connection)
            # Another process may have been here meanwhile.
            index.create(connection, checkfirst=True)
        progress.advance()
    if left:
        database.end_appending(engine)
