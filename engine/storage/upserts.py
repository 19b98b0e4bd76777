"""Inserts that say what happens to rows that are there, as either database spells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_into(connection: Connection, table: Table) -> postgresql.Insert:
    """One to which `on_conflict_do_nothing` and `on_conflict_do_update` may be added."""
    # Only the one that is asked for: a report is to start soon.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return cast("postgresql.Insert", sqlite.insert(table))
