"""The salt that arms are drawn with: the database's, with a copy for starts without it."""

from __future__ import annotations

import logging
from pathlib import Path

from mersalg.engine.durable import put_in_place
from mersalg.engine.storage.store import Store

_log = logging.getLogger("mersalg.salt")


class Salt:
    """The salt of one database, the same for all workers and machines that use it.

    `stored` is None where it is not known: nobody is held out then. `copy` is the file of its copy.
    """

    def __init__(self, store: Store, copy: Path) -> None:
        self._store, self._copy = store, copy
        self.stored: str | None = None

    def read(self) -> None:
        """Take the salt from the database, which may be another one; raises StorageError."""
        salt = self._store.salt()
        try:
            if salt != self._copied():
                self._copy.parent.mkdir(parents=True, exist_ok=True)
                put_in_place(self._copy, salt.encode())
        except OSError as error:
            _log.warning("the salt of the arms could not be copied to %s: %s", self._copy, error)
        if self.stored not in (None, salt):
            _log.warning("the database has another salt than before: arms are drawn with it now")
        self.stored = salt

    def recall(self) -> None:
        """Take the copy, where the database is away."""
        try:
            self.stored = self._copied()
        except OSError as error:
            _log.warning("the salt of the arms cannot be read from %s: %s", self._copy, error)
        if self.stored is None:
            _log.warning("nobody is held out until the database answers: it has the salt of arms")

    def _copied(self) -> str | None:
        try:
            return self._copy.read_bytes().decode(errors="replace") or None
        except FileNotFoundError:
            return None
