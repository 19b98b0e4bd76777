"""A changed key file is noticed by a running service: new keys count, revoked ones no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from mersalg.engine.errors import ConfigError
from mersalg.serving.keys import KeyRing, parse_keys

_log = logging.getLogger("mersalg.keys")

_Stamp = tuple[int, int, int] | None


class KeyWatch:
    """Looks at the file that `MERSALG_KEYS_FILE` names; false where none is named.

    A file that is broken or gone leaves the keys as they are and is logged; one that holds no key
    any more leaves those of `MERSALG_KEYS`, and none of them opens nothing.

    The first look always reads: `ring` may be older than the file, as that of a worker that takes
    the place of another is, and what was revoked meanwhile must not come back with it.
    """

    def __init__(self, environment: Mapping[str, str], ring: KeyRing) -> None:
        named = environment.get("MERSALG_KEYS_FILE")
        self._path = Path(named) if named else None
        self._own = parse_keys(environment.get("MERSALG_KEYS", ""), source="MERSALG_KEYS").keys
        self.ring = ring
        self._seen: _Stamp | Literal["never"] = "never"

    def __bool__(self) -> bool:
        """Return whether there is a file of keys."""
        return self._path is not None

    async def watch(self, seconds: float, changed: Callable[[KeyRing], None]) -> None:
        """Pass on changed keys until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self.look():
                changed(self.ring)

    def look(self) -> bool:
        """Whether the keys have changed since the last look."""
        stamp = self._stamp()
        if stamp == self._seen or self._path is None:
            return False
        self._seen = stamp
        try:
            listed = parse_keys(self._path.read_text("utf-8"), source=str(self._path)).keys
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            _log.error("the keys stay as they are: %s", error)
            return False
        found = self._own + listed
        if found == self.ring.keys:
            return False
        self.ring = KeyRing(found, required=True)
        _log.warning("the keys were read again: %d are valid", len(self.ring.keys))
        return True

    def _stamp(self) -> _Stamp:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
