"""`mersalg backup`: the embedded database in one file, while a service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database


def command(
    file: Annotated[
        Path, typer.Argument(help="The backup; an older file of this name is replaced.")
    ],
    database: Database,
    as_json: console.JsonFlag = False,
) -> None:
    """Copy a SQLite database into one file, also while a service uses it.

    PostgreSQL is backed up by its own tools, such as pg_dump.
    """
    from mersalg.engine.storage.backup import back_up

    size = back_up(database, file)
    if as_json:
        console.print_json({"file": str(file), "bytes": size})
    else:
        console.out.print(f"{file}: {counted(size, 'byte')}")
