"""Keyed hashes in place of customer and session ids, and the secret that keys them.

The data alone names nobody. The secret comes from the environment or a file, only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mersalg.engine.durable import put_in_place, write_temporary
from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import Fact

if TYPE_CHECKING:  # a process that only hashes need not load the library of databases
    from sqlalchemy.engine import URL

_REMEMBERED = 4_096
_SHORTEST = 16
_FORM = re.compile(r"p1\.[0-9a-f]{8}\.[0-9a-f]{32}")


class Pseudonyms:
    """HMAC-SHA256 under a secret; equal ids give equal pseudonyms, and nothing leads back.

    A pseudonym reads `p1.<fingerprint of the secret>.<128 bits of the hash>`. After a rotation
    there are several secrets, one a line: an id is hashed under the oldest, what comes out under
    the next, and so on. So stored pseudonyms are brought under a new secret without their ids.
    """

    def __init__(self, secret: bytes) -> None:
        self._secrets = secrets_in(secret)
        self._hashes = tuple(hmac.new(secret, digestmod=hashlib.sha256) for secret in self._secrets)
        # The facts of one visit come together and name the same ids.
        self._remembered = lru_cache(_REMEMBERED)(self._hashed)
        self._fingerprints = tuple(map(_fingerprint, self._secrets))
        self.fingerprint = self._fingerprints[-1]

    @property
    def secret(self) -> bytes:
        """All secrets, for another process of our own that hashes as this one does."""
        return b"\n".join(self._secrets)

    @property
    def earlier_fingerprints(self) -> tuple[str, ...]:
        """Of the secrets that were rotated out, the oldest first."""
        return self._fingerprints[:-1]

    def of(self, kind: str, identifier: str, *, trusted: bool = False) -> str:
        """Return the pseudonym of a `customer` or `session` id.

        A `trusted` source (a file this software exported) may bring pseudonyms, which are then
        brought under the present secret; from anyone else they are ids like others.
        """
        if trusted and identifier.startswith("p1.") and _FORM.fullmatch(identifier):
            return self.renewed(identifier)
        return self._remembered(kind, identifier)

    def renewed(self, pseudonym: str) -> str:
        """Return a pseudonym under the present secret; one of an unknown secret stays as it is."""
        made_under = pseudonym.split(".")[1]
        if made_under not in self._fingerprints:
            return pseudonym
        return self._brought_on(pseudonym, self._fingerprints.index(made_under) + 1)

    def _hashed(self, kind: str, identifier: str) -> str:
        first = _pseudonym(self._hashes[0], self._fingerprints[0], f"{kind}\x1f{identifier}")
        return self._brought_on(first, 1)

    def _brought_on(self, pseudonym: str, place: int) -> str:
        for keyed, mark in zip(self._hashes[place:], self._fingerprints[place:], strict=True):
            pseudonym = _pseudonym(keyed, mark, f"renewed\x1f{pseudonym}")
        return pseudonym

    def applied(self, fact: Fact, *, trusted: bool = False) -> Fact:
        """Return the fact with pseudonyms in place of its customer and session ids."""
        customer, session = fact.customer_id, fact.session_id
        if customer is None and session is None:
            return fact
        return replace(
            fact,
            customer_id=customer and self.of("customer", customer, trusted=trusted),
            session_id=session and self.of("session", session, trusted=trusted),
        )


def _fingerprint(secret: bytes) -> str:
    return hmac.digest(secret, b"mersalg key fingerprint", hashlib.sha256).hex()[:8]


def _pseudonym(keyed: hmac.HMAC, mark: str, message: str) -> str:
    # A copy of what was begun with the secret: no key to spread, and, unlike `hmac.digest`, no
    # wait for other threads.
    own = keyed.copy()
    own.update(message.encode())
    return f"p1.{mark}.{own.digest().hex()[:32]}"


def load_secret(url: URL) -> bytes:
    """Return the secret for the database at `url`; after rotations one a line, the oldest first.

    `MERSALG_SECRET`, else the file named by `MERSALG_SECRET_FILE`, else a file of Mersalg's own,
    made on first use: beside a SQLite database, or in the user's data folder for a server. Raise
    ConfigError where the file cannot be read or made, or the secret is too short to be one.
    """
    return _load(_own_file(url))


def customer_key(models: Path) -> bytes:
    """Return the secret under which the models of a folder hash their customers.

    It comes from where `load_secret` looks, else from a file of that folder, made on first use. Of
    several secrets it is the first: models outlive a rotation. Raise as `load_secret`.
    """
    return secrets_in(_load(models / "customers.key"))[0]


def secrets_in(text: bytes) -> tuple[bytes, ...]:
    """Split secrets, one a line, the oldest first; ids are hashed under each in turn."""
    return tuple(line for part in text.splitlines() if (line := part.strip()))


def _load(own: Path | None) -> bytes:
    value = os.environ.get("MERSALG_SECRET")
    if value:
        return _checked(value.encode(), "MERSALG_SECRET")
    named = os.environ.get("MERSALG_SECRET_FILE")
    path = Path(named) if named else own
    if path is None:
        return secrets.token_bytes(32)  # a database in memory outlives nothing
    try:
        return _checked(path.read_bytes().strip(), str(path))
    except FileNotFoundError as error:
        if named:
            raise ConfigError(f"MERSALG_SECRET_FILE: there is no file {named}") from error
    except OSError as error:
        raise ConfigError(f"cannot read the secret in {path}: {error.strerror}") from error
    return _create(path)


def _checked(secret: bytes, source: str) -> bytes:
    parts = secrets_in(secret)
    if not parts or min(map(len, parts)) < _SHORTEST:
        raise ConfigError(f"the secret in {source} is shorter than {_SHORTEST} bytes")
    if len(set(parts)) < len(parts):
        raise ConfigError(f"the same secret occurs twice in {source}")
    return b"\n".join(parts)


def _own_file(url: URL) -> Path | None:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            return None
        return Path(f"{url.database}.key")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "mersalg" / "secret.key"


def _create(path: Path) -> bytes:
    """Write a new secret beside its file, then link it: of two processes that start, one wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = write_temporary(path, secrets.token_hex(32).encode())
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return _checked(path.read_bytes().strip(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot make the secret file {path}: {error.strerror}") from error


def add_secret(url: URL) -> Path:
    """Add a new secret to the file the secrets come from; stored ids must then be renewed.

    Raise ConfigError where MERSALG_SECRET gives the secret, or its file cannot be written.
    """
    if os.environ.get("MERSALG_SECRET"):
        raise ConfigError(
            "the secret comes from MERSALG_SECRET: add the new one there, on a line of its own"
            " after the present one, and run this again with --present"
        )
    named = os.environ.get("MERSALG_SECRET_FILE")
    path = Path(named) if named else _own_file(url)
    if path is None:
        raise ConfigError("a database in memory has no secret to rotate")
    together = load_secret(url) + b"\n" + secrets.token_hex(32).encode() + b"\n"
    try:
        put_in_place(path, together)
    except OSError as error:
        raise ConfigError(f"cannot write the secret file {path}: {error.strerror}") from error
    return path
