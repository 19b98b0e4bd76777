"""`mersalg migrate`: bring a database to the schema of this version."""

from __future__ import annotations

from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database, migrated_store


def command(
    database: Database,
    as_json: console.JsonFlag = False,
) -> None:
    """Bring a database to the schema of this version; safe to run again."""
    from mersalg.engine.storage.store import SCHEMA_VERSION

    with migrated_store(database) as store:
        store.ping()
    if as_json:
        console.print_json({"schema": SCHEMA_VERSION})
    else:
        console.out.print(f"the database has schema {SCHEMA_VERSION}")
