"""API keys: scopes, how keys are given, and the constant-time comparison."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mersalg.engine.errors import ConfigError

Scope = Literal["storefront", "server", "report", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

ID_DIGITS = 12
SHORTEST = 16
"""Characters below which a key chosen by hand is reported as guessable."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMENT = re.compile(r"(^|\s)#.*")


def digest_of(key: str) -> bytes:
    """SHA-256: keys are long and random, so nothing slower is needed to hide them."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the server knows it: never the key, only its SHA-256.

    `short` tells that it was given in the clear and can be guessed.
    """

    scope: Scope
    digest: bytes
    short: bool = False

    @property
    def id(self) -> str:
        """What lists and logs call it; nothing leads from it to the key."""
        return self.digest.hex()[:ID_DIGITS]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a service; false where there are none and none is asked for.

    `required`: a service that began with keys asks for one even when the last was revoked.
    """

    keys: tuple[Key, ...] = ()
    required: bool = False

    def __bool__(self) -> bool:
        """Return whether calls need a key."""
        return self.required or bool(self.keys)

    def keys_of(self, presented: str) -> tuple[Key, ...]:
        """Return the keys that `presented` is, one a scope; none where it is unknown.

        Every key is compared, each in constant time, so that timing tells nothing.
        """
        digest = digest_of(presented)
        return tuple(key for key in self.keys if hmac.compare_digest(key.digest, digest))

    def scopes_of(self, presented: str) -> frozenset[Scope]:
        """Scopes of a presented key; empty where it is unknown."""
        return frozenset(key.scope for key in self.keys_of(presented))


def parse_keys(text: str, *, source: str) -> KeyRing:
    """Entries `scope:key` or `scope:sha256=<hex>`, between spaces, commas or line ends.

    Text after `#` at the start of a line, or after a space, is a comment.

    Raises
    ------
    ConfigError
        Names the entry by its place; never repeats a key.
    """
    lines = [_COMMENT.sub("", line) for line in text.splitlines()]
    entries = " ".join(lines).replace(",", " ").split()
    return KeyRing(tuple(_parse_key(entry, place, source) for place, entry in enumerate(entries)))


def _parse_key(entry: str, place: int, source: str) -> Key:
    scope, colon, key = entry.partition(":")
    where = f"{source}, key {place + 1}"
    if not colon or scope not in SCOPES:
        raise ConfigError(f"{where}: must be scope:key with a scope of {', '.join(SCOPES)}")
    if not key:
        raise ConfigError(f"{where}: the key is empty")
    if key.startswith("sha256="):
        hexadecimal = key.removeprefix("sha256=").lower()
        if not _DIGEST.fullmatch(hexadecimal):
            raise ConfigError(f"{where}: sha256= takes 64 hexadecimal digits")
        return Key(scope, bytes.fromhex(hexadecimal))
    return Key(scope, digest_of(key), len(key) < SHORTEST)


def load_keys(environment: Mapping[str, str]) -> KeyRing:
    """Return the keys of `MERSALG_KEYS` and of the file that `MERSALG_KEYS_FILE` names.

    Raises
    ------
    ConfigError
        An unreadable file, one without keys, or a malformed entry.
    """
    keys = parse_keys(environment.get("MERSALG_KEYS", ""), source="MERSALG_KEYS").keys
    name = environment.get("MERSALG_KEYS_FILE")
    if name:
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"MERSALG_KEYS_FILE: cannot read {name}: {error}") from error
        from_file = parse_keys(text, source=name).keys
        if not from_file:
            # An empty secret file would silently open every scope.
            raise ConfigError(f"MERSALG_KEYS_FILE: {name} holds no key")
        keys += from_file
    return KeyRing(keys)
