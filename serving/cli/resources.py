"""What commands open: files, where `-` or none is the standard stream, and databases."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from mersalg.engine.errors import ConfigError, DataError
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
def source(file: str | Path) -> Generator[IO[bytes]]:
    """Yield a file to read, or standard input where it is `-`.

    Raises DataError: the file cannot be opened.
    """
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file=str(file)) from error
    with opened:
        yield opened


@contextmanager
def target(path: Path | None) -> Generator[IO[bytes]]:
    """Yield a file to write, which appears whole or not at all, or standard output for None.

    Raises DataError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    if path.is_dir():
        raise DataError("cannot write: it is a folder", file=str(path))
    # A device or a pipe cannot be replaced by a file.
    is_replaced = path.is_file() or not path.exists()
    written = path.with_name(f"{path.name}.partial") if is_replaced else path
    try:
        with written.open("wb") as file:
            yield file
            file.flush()
            if is_replaced:
                os.fsync(file.fileno())
        if is_replaced:
            written.replace(path)
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror}", file=str(path)) from error
    finally:
        if is_replaced:
            written.unlink(missing_ok=True)


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

    with closing(open_existing_store(database)) as store:
        if reads:
            store.ping()
        yield store


@contextmanager
def migrated_store(database: str, *, bulk: bool = False) -> Generator[Store]:
    """Open or create a database with the schema of this version, and close it after the block."""
    from mersalg.engine.storage.store import open_store

    with closing(open_store(database, bulk=bulk)) as store:
        store.migrate()
        yield store


@contextmanager
def audited(database: str | None, action: str, target: str | None = None) -> Generator[Action]:
    """Record who does what, and how it ends, in the audit log of a database if one is named."""
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
