"""Where the secret under which ids are hashed comes from: the environment or a file, only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sqlalchemy.engine import URL

from engine.durable import put_in_place, write_beside
from engine.errors import ConfigError

_SHORTEST = 16


def load_secret(url: URL) -> bytes:
    """The secret for the database at `url`; after rotations one a line, the oldest first.

    `MERSALG_SECRET`, else the file named by `MERSALG_SECRET_FILE`, else a file of Mersalg's own,
    made on first use: beside a SQLite database, or in the user's data folder for a server.

    Raises:
        ConfigError: the file cannot be read or made, or the secret is too short to be one.
    """
    return _load(_own_file(url))


def customer_key(models: Path) -> bytes:
    """The secret under which the models of a folder hash their customers; found as above, else in
    a file of that folder, made on first use. Of several the first: models outlive a rotation.

    Raises:
        ConfigError: as `load_secret`.
    """
    return secrets_in(_load(models / "customers.key"))[0]


def secrets_in(text: bytes) -> tuple[bytes, ...]:
    """One secret a line, the oldest first; ids are hashed under each in turn."""
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
        raise ConfigError(f"the same secret stands twice in {source}")
    return b"\n".join(parts)


def _own_file(url: URL) -> Path | None:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            return None
        return Path(f"{url.database}.key")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "mersalg" / "secret.key"


def _create(path: Path) -> bytes:
    """Made whole under another name, then linked: of two processes that start, one wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = write_beside(path, secrets.token_hex(32).encode())
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
    """A new secret behind those of the file they come from; what is stored must then be renewed.

    Raises:
        ConfigError: the secret is given by MERSALG_SECRET, or its file cannot be written.
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
