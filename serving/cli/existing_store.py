"""The database of a command that reads facts: it must exist, and its schema is never changed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mersalg.engine.storage.store import Store


@contextmanager
def existing_store(database: str) -> Generator[Store, None, None]:
    """Open the store at `database`, check its schema, and close it after the block.

    A reader does not migrate: a service of another version may be using the database, and who reads
    may not be allowed to change it.

    Raises
    ------
    ConfigError
        There is no such database.
    StorageUnavailable
        The database is away, or its schema is another one: the message names `mersalg migrate`.
    """
    from mersalg.engine.storage.store import open_existing_store

    store = open_existing_store(database)
    try:
        store.ping()
        yield store
    finally:
        store.close()
