"""API keys: scopes, the file they are in, and how a running service follows it.

The file has one line a key, its hash and what people call it; never the key itself.

    storefront:sha256=9f86d0818... # {"name": "web shop", "created_at": "2026-03-01T10:00:00+00:00"}

Lines that were written by hand stay as they are.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast, get_args

import orjson

from mersalg.engine.durable import Stamp, put_in_place, stamp_of
from mersalg.engine.errors import ConfigError, DataError

Scope = Literal["storefront", "server", "report", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

ID_DIGITS = 12
SHORTEST = 16
"""Characters below which a key chosen by hand is reported as guessable."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMENT = re.compile(r"(^|\s)#.*")


def digest_of(key: str) -> bytes:
    """Return the SHA-256 of a key: as keys are long and random, nothing slower is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the server knows it: never the key, only its SHA-256.

    `short` says that it was given in the clear and can be guessed.
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


def with_digest(keys: Iterable[Key], digest: bytes) -> list[Key]:
    """Return the keys with a digest; all are compared, in constant time: it reveals nothing."""
    return [key for key in keys if hmac.compare_digest(key.digest, digest)]


def parse_keys(text: str, *, source: str) -> KeyRing:
    """Parse entries `scope:key` or `scope:sha256=<hex>`, separated by spaces, commas or lines.

    Text after `#` at the start of a line, or after a space, is a comment.

    Raises ConfigError, which names the entry by its place and never repeats a key.
    """
    lines = [_COMMENT.sub("", line) for line in text.splitlines()]
    entries = " ".join(lines).replace(",", " ").split()
    return KeyRing(tuple(_parse_key(entry, index, source) for index, entry in enumerate(entries)))


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

    Raises ConfigError: an unreadable file, one without keys, or a malformed entry.
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


_KEY_BYTES = 32
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class ListedKey:
    """`name` and `created_at` are None of a key that was written into the file by hand."""

    id: str
    scope: Scope
    name: str | None
    created_at: str | None


def list_keys(path: Path) -> list[ListedKey]:
    """Return all keys of the file, in its order; a file that is not there holds none.

    Raises ConfigError: it cannot be read, or an entry is malformed.
    """
    return [listed for line in _lines(path) for listed in _listed(line, path)]


def create_key(path: Path, scope: str, name: str) -> tuple[ListedKey, str]:
    """Add a new random key to the file, which keeps its hash alone, and return it this once.

    Raises
    ------
    ConfigError
        An unknown scope, a name that does not fit on a line, an unreadable file.
    DataError
        The file cannot be written.
    """
    if scope not in SCOPES:
        raise ConfigError(f"a scope is one of {', '.join(SCOPES)}, not {scope!r}")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise ConfigError(f"a name is one line of at most {_LONGEST_NAME} characters")
    key = f"mk_{secrets.token_urlsafe(_KEY_BYTES)}"
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    note = orjson.dumps({"name": name, "created_at": created_at}).decode()
    line = f"{scope}:sha256={digest_of(key).hex()} # {note}"
    with _changing(path) as lines:
        lines.append(line)
    return _listed(line, path)[0], key


def revoke_key(path: Path, key_id: str) -> ListedKey:
    """Take a key out of the file, by the id that `list_keys` returns (or its first digits).

    Raises
    ------
    ConfigError
        No such key, or more than one.
    DataError
        The file cannot be written.
    """
    with _changing(path) as lines:
        matches = [
            (index, listed)
            for index, line in enumerate(lines)
            for listed in _listed(line, path)
            if key_id and listed.id.startswith(key_id)
        ]
        if len(matches) != 1:
            how_many = "no key" if not matches else "more than one key"
            raise ConfigError(f"{how_many} of {path} has the id {key_id!r}")
        index, listed = matches[0]
        if len(_listed(lines[index], path)) > 1:
            raise ConfigError(f"several keys are in one line of {path}: delete it by hand")
        del lines[index]
    return listed


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _listed(line: str, path: Path) -> list[ListedKey]:
    _, _, comment = line.partition(" # ")
    try:
        note = orjson.loads(comment)
    except orjson.JSONDecodeError:
        note = None
    record = cast("dict[str, object]", note) if isinstance(note, dict) else {}
    name, created_at = record.get("name"), record.get("created_at")
    return [
        ListedKey(
            key.id,
            key.scope,
            name if isinstance(name, str) else None,
            created_at if isinstance(created_at, str) else None,
        )
        for key in parse_keys(line, source=str(path)).keys
    ]


@contextmanager
def _changing(path: Path) -> Generator[list[str], None, None]:
    """Yield the lines, to be changed; they are written whole, by one process at a time."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            lines = _lines(path)
            yield lines
            put_in_place(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror}", file=str(path)) from error


_log = logging.getLogger("mersalg.keys")


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
        self._seen: Stamp | Literal["never"] = "never"

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
        """Read the file if it changed; return whether the keys did."""
        if self._path is None or (stamp := stamp_of(self._path)) == self._seen:
            return False
        self._seen = stamp
        try:
            listed = parse_keys(self._path.read_text("utf-8"), source=str(self._path)).keys
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            _log.error("the keys stay as they are: %s", error)
            return False
        keys = self._own + listed
        if keys == self.ring.keys:
            return False
        self.ring = KeyRing(keys, required=True)
        _log.warning("the keys were read again: %d are valid", len(self.ring.keys))
        return True
