"""Notes that this software keeps in the database, by name, among the shop's own settings."""

from __future__ import annotations

from sqlalchemy import Connection, Select, delete, select

from engine.storage.tables import settings
from engine.storage.upserts import insert_into


def note(connection: Connection, name: str) -> str | None:
    return connection.scalar(_value_of(name))


def held_note(connection: Connection, name: str) -> str | None:
    """The same, and nobody changes it before this transaction, which writes, has ended."""
    return connection.scalar(_value_of(name).with_for_update())


def _value_of(name: str) -> Select[str]:
    return select(settings.c.value).where(settings.c.name == name)


def all_notes(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(settings.c.name, settings.c.value)).all()
    return {row.name: row.value for row in rows}


def note_once(connection: Connection, name: str, value: str) -> str | None:
    """Where there is none of its name yet; what stands there now."""
    statement = insert_into(connection, settings).on_conflict_do_nothing()
    connection.execute(statement, {"name": name, "value": value})
    return note(connection, name)


def keep_note(connection: Connection, name: str, value: str) -> None:
    """Instead of one of its name before."""
    statement = insert_into(connection, settings)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": statement.excluded.value}
    )
    connection.execute(statement, {"name": name, "value": value})


def forget_note(connection: Connection, name: str) -> None:
    connection.execute(delete(settings).where(settings.c.name == name))
