"""What administrators do from the command line, noted where a database is named for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.serving.auditing import Action

AuditDatabase = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="MERSALG_DATABASE",
        help="URL or SQLite file whose audit log notes this; without one nothing is noted.",
    ),
]


@contextmanager
def noted(
    database: str | None, action: str, target: str | None = None
) -> Generator[Action, None, None]:
    """Note what the block did, who did it and how it ended, and says where it cannot."""
    from mersalg.engine.errors import ConfigError
    from mersalg.engine.storage.store import open_existing_store
    from mersalg.serving.auditing import Action, audited_here

    store = None
    if database is not None:
        try:
            store = open_existing_store(database)
        except ConfigError as error:
            console.err.print(f"not in the audit log: {error.message}", markup=False)
    if store is None:
        yield Action(target)
        return
    try:
        with audited_here(store, action, target) as begun:
            yield begun
    finally:
        store.close()
