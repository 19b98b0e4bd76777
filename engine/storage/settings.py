"""The table `settings`: the shop's own words, and notes that this software keeps by name."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, Text, cast, delete, func, select, update

from mersalg.engine.storage.connection import insert_into
from mersalg.engine.storage.tables import settings

SECRET_FINGERPRINT = "secret_fingerprint"  # noqa: S105 - the name of a note
"""Note of the secret under which the ids of the database are hashed."""
ROLLUP_SETTINGS = "rollup_settings"
"""Note of the settings with which the roll-ups were made."""
FACTS_SINCE = "facts_since"
"""Note of the first local day whose facts are still stored, where earlier ones were dropped."""
SALT = "experiment_salt"
"""Note of the salt that arms are drawn with, where the shop file sets none."""
TRIAL = "trial"
"""Note that is written to learn whether the database can be written."""
_REFUSED = "refused:"
"""Begin of the notes of how many webhooks were refused in an hour."""
LIVE_REVISION = "live_revision"
"""Note of the last change of an item or rule of the shop."""
IMPORT = "import:"
"""Begin of the notes of imports that were interrupted."""
_HOUR = 3_600_000_000
_NO_END = _HOUR * (10**8 - 1)
_EARLIER = ("served", "loader")
"""Notes of versions that filled a database without its indexes."""
_OWN = (
    *(SECRET_FINGERPRINT, ROLLUP_SETTINGS, FACTS_SINCE, SALT, TRIAL, IMPORT, _REFUSED, *_EARLIER),
    LIVE_REVISION,
    "guardrail",
)


def note(connection: Connection, name: str) -> str | None:
    """Return the value kept under a name, None where there is none."""
    return connection.scalar(select(settings.c.value).where(settings.c.name == name))


def is_of_shop(name: str) -> bool:
    """Return whether a name is that of a setting of the shop, not of a note of this software."""
    return not name.startswith(_OWN)


def of_shop(connection: Connection) -> dict[str, str]:
    """Return the settings of the shop by name."""
    rows = connection.execute(select(settings.c.name, settings.c.value)).all()
    return {row.name: row.value for row in rows if is_of_shop(row.name)}


def note_once(connection: Connection, name: str, value: str) -> str | None:
    """Keep a value unless its name has one already; return the value that is kept."""
    statement = insert_into(connection, settings).on_conflict_do_nothing()
    connection.execute(statement, {"name": name, "value": value})
    return note(connection, name)


def keep_note(connection: Connection, name: str, value: str) -> None:
    """Keep a value, in place of an earlier one of the same name."""
    statement = insert_into(connection, settings)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": statement.excluded.value}
    )
    connection.execute(statement, {"name": name, "value": value})


def replace_note(connection: Connection, name: str, known: str | None, value: str) -> bool:
    """Keep a value where the present one is `known`, None for none; return whether it was."""
    if known is None:
        statement = insert_into(connection, settings).on_conflict_do_nothing()
        statement = statement.values(name=name, value=value)
    else:
        present = (settings.c.name == name) & (settings.c.value == known)
        statement = update(settings).where(present).values(value=value)
    return connection.scalar(statement.returning(settings.c.name)) is not None


def count_refusal(connection: Connection, instant: int) -> None:
    """Count a webhook that was refused at an instant (microseconds), by the hour."""
    statement = insert_into(connection, settings)
    more = cast(cast(settings.c.value, Integer) + 1, Text)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": more})
    connection.execute(statement, {"name": _of_hour(instant // _HOUR * _HOUR), "value": "1"})


def n_refused(connection: Connection, since: int | None, until: int | None) -> int:
    """Return how many webhooks were refused in the hours that begin within these bounds."""
    query = select(func.sum(cast(settings.c.value, Integer))).where(
        settings.c.name >= _of_hour(max(since or 0, 0)),
        settings.c.name < _of_hour(_NO_END if until is None else max(until, 0)),
    )
    return connection.scalar(query) or 0


def _of_hour(instant: int) -> str:
    return f"{_REFUSED}{-(-instant // _HOUR):08}"


def forget_note(connection: Connection, name: str) -> None:
    """Delete the value of a name."""
    connection.execute(delete(settings).where(settings.c.name == name))
