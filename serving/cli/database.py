"""The database of a command: its option, how it is opened, and its audit log."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.storage.store import Store
    from mersalg.serving.audit import Action

Database = Annotated[
    str, typer.Option("--database", envvar="MERSALG_DATABASE", help="URL or SQLite file of facts.")
]
AuditDatabase = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="MERSALG_DATABASE",
        help="URL or SQLite file whose audit log records this; without one nothing is recorded.",
    ),
]


@contextmanager
def existing_store(database: str, *, reads: bool = True) -> Generator[Store]:
    """Open a database that exists, and close it after the block.

    A command that `reads` changes no schema: a service of another version may be using the
    database, and the caller may lack the right to change it.

    Raises
    ------
    ConfigError
        There is no such database.
    StorageUnavailable
        For a command that reads: the database is away, or has another schema; the message names
        `mersalg migrate`.
    """
    from mersalg.engine.storage.store import open_existing_store

    store = open_existing_store(database)
    try:
        if reads:
            store.ping()
        yield store
    finally:
        store.close()


@contextmanager
def migrated_store(database: str, *, bulk: bool = False) -> Generator[Store]:
    """Open or create a database with the schema of this version, and close it after the block."""
    from mersalg.engine.storage.store import open_store

    store = open_store(database, bulk=bulk)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@contextmanager
def audited(database: str | None, action: str, target: str | None = None) -> Generator[Action]:
    """Record who does what, and how it ends, in the audit log of a database if one is named."""
    from mersalg.engine.errors import ConfigError
    from mersalg.serving.audit import Action, audited_here

    with ExitStack() as stack:
        begun = Action(target)
        if database is not None:
            try:
                store = stack.enter_context(existing_store(database, reads=False))
            except ConfigError as error:
                console.note(f"not in the audit log: {error.message}")
            else:
                begun = stack.enter_context(audited_here(store, action, target))
        yield begun
