"""`mersalg restore`: a backup in the place of the embedded database, while no service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database, existing_store


def command(
    file: Annotated[Path, typer.Argument(help="A file that `mersalg backup` wrote.")],
    database: Database,
    as_json: console.JsonFlag = False,
) -> None:
    """Replace a SQLite database that nothing uses by a backup, and keep the old one.

    Facts that wait in the spool are recorded when the service starts. Customers who were erased
    after the backup was made must be erased again.
    """
    from mersalg.engine.storage.backup import restore
    from mersalg.engine.storage.store import SCHEMA_VERSION
    from mersalg.serving.auditing import audited_here

    replaced = restore(database, file, SCHEMA_VERSION)
    with existing_store(database, reads=False) as store:
        store.upgrade()
        with audited_here(store, "restore database", file.name):
            pass
    if as_json:
        console.print_json(
            {"database": database, "kept": None if replaced is None else str(replaced)}
        )
    else:
        console.out.print(f"{database} now has the facts of {file}")
        if replaced is not None:
            console.out.print(
                f"the old database is kept as {replaced}; delete it when you no longer need it"
            )
