"""The file of API keys: one line a key, its hash and what people call it; never the key itself.

    storefront:sha256=9f86d0818... # {"name": "web shop", "created_at": "2026-03-01T10:00:00+00:00"}

Lines that were written by hand stay as they are.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import orjson

from mersalg.engine.durable import put_in_place
from mersalg.engine.errors import ConfigError, DataError
from mersalg.serving.keys import SCOPES, Key, Scope, digest_of, parse_keys

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

    Raises
    ------
    ConfigError
        It cannot be read, or an entry is malformed.
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
        found = [
            (place, listed)
            for place, line in enumerate(lines)
            for listed in _listed(line, path)
            if key_id and listed.id.startswith(key_id)
        ]
        if len(found) != 1:
            known = "no key" if not found else "more than one key"
            raise ConfigError(f"{known} of {path} has the id {key_id!r}")
        place, listed = found[0]
        if len(_keys(lines[place], path)) > 1:
            raise ConfigError(f"several keys stand in one line of {path}: take it out by hand")
        del lines[place]
    return listed


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _keys(line: str, path: Path) -> tuple[Key, ...]:
    return parse_keys(line, source=str(path)).keys


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
        for key in _keys(line, path)
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
