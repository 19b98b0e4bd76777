"""`mersalg migrate`: bring a database to the schema of this version."""

from __future__ import annotations

from typing import Annotated

import typer

from mersalg.serving.cli import console


def command(
    database: Annotated[
        str,
        typer.Option("--database", envvar="MERSALG_DATABASE", help="URL or SQLite file of facts."),
    ],
    as_json: console.JsonFlag = False,
) -> None:
    """Bring a database to the schema of this version; safe to run again."""
    from mersalg.engine.storage.store import SCHEMA_VERSION, open_store

    store = open_store(database)
    try:
        store.migrate()
        store.ping()
    finally:
        store.close()
    if as_json:
        console.print_json({"schema": SCHEMA_VERSION})
    else:
        console.out.print(f"the database has schema {SCHEMA_VERSION}")
