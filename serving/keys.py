"""API keys: scopes, how keys are given, and the constant-time comparison."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from engine.errors import ConfigError

Scope = Literal["storefront", "server", "report", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the server knows it: never the key, only its SHA-256."""

    scope: Scope
    digest: bytes


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a service; false where there are none."""

    keys: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def scopes_of(self, presented: str) -> frozenset[Scope]:
        """Scopes of a presented key; empty where it is unknown.

        Every key is compared, each in constant time, so that timing tells nothing.
        """
        digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()
        return frozenset(
            {key.scope for key in self.keys if hmac.compare_digest(key.digest, digest)}
        )


def parse_keys(text: str, *, source: str) -> KeyRing:
    """Entries `scope:key` or `scope:sha256=<hex>`, between spaces, commas or line ends.

    A line that begins with `#` is a comment.

    Raises:
        ConfigError: names the entry by its place; never repeats a key.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
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
        return Key(cast(Scope, scope), bytes.fromhex(hexadecimal))
    return Key(cast(Scope, scope), hashlib.sha256(key.encode()).digest())


def load_keys(environment: Mapping[str, str]) -> KeyRing:
    """Keys of `MERSALG_KEYS` and of the file that `MERSALG_KEYS_FILE` names.

    Raises:
        ConfigError: an unreadable file, one without keys, or a malformed entry.
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
