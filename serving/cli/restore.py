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
    """Put a backup in the place of a SQLite database that nobody uses; keep the one before.

    Facts that wait in the spool are recorded when the service starts. Customers who were erased
    after the backup was made have to be erased again.
    """
    from mersalg.engine.storage.backup import restore
    from mersalg.engine.storage.store import SCHEMA_VERSION
    from mersalg.serving.auditing import audited_here

    kept = restore(database, file, SCHEMA_VERSION)
    with existing_store(database, reads=False) as store:
        store.upgrade()
        with audited_here(store, "restore database", file.name):
            pass
    if as_json:
        console.print_json({"database": database, "kept": None if kept is None else str(kept)})
    else:
        console.out.print(f"{database} holds what {file} holds")
        if kept is not None:
            console.out.print(f"the database before is kept as {kept}; delete it when it may go")
