"""Tables of a SQLite database that get their keys when they are full.

A key under which ids come in no order costs more the larger the table is: each row wants a page of
its own. Sorted once, when all rows are there, it costs a tenth. SQLite cannot drop a primary key,
so empty tables are made anew with unique indexes in its place, and those are left for later.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Index, MetaData, Table, inspect

from engine.storage.tables import decisions, facts, named_offers, offers

_KEYED = (facts, decisions, offers, named_offers)
_metadata = MetaData()


def _without_key(table: Table) -> Table:
    columns = [
        Column(
            column.name,
            column.type,
            *(ForeignKey(key.target_fullname) for key in column.foreign_keys),
            nullable=column.nullable,
        )
        for column in table.columns
    ]
    made: Table = Table(table.name, _metadata, *columns)
    Index(f"{table.name}_key", *(made.c[key.name] for key in table.primary_key), unique=True)
    for column in table.columns:
        if column.unique:
            Index(f"{table.name}_{column.name}_key", made.c[column.name], unique=True)
    return made


_TABLES = [_without_key(table) for table in _KEYED]


def leave_out(connection: Connection) -> None:
    """Make the tables, which must be empty, anew without keys, and with their other indexes."""
    for table in reversed(_TABLES):
        table.drop(connection)
    for table in _TABLES:
        table.create(connection)
        for key in table.indexes:
            key.drop(connection)
    for table in _KEYED:
        for index in table.indexes:
            index.create(connection)


def missing(connection: Connection) -> list[Index]:
    """Keys that were left out and not built yet."""
    inspector = inspect(connection)
    return [
        index
        for table in _TABLES
        if not inspector.get_pk_constraint(table.name)["constrained_columns"]
        for present in ({entry["name"] for entry in inspector.get_indexes(table.name)},)
        for index in sorted(table.indexes, key=lambda each: str(each.name))
        if index.name not in present
    ]
