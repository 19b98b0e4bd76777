"""Where the secret under which ids are hashed comes from: the environment or a file, only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sqlalchemy.engine import URL

from engine.errors import ConfigError

_SHORTEST = 16


def load_secret(url: URL) -> bytes:
    """The secret for the database at `url`.

    `MERSALG_SECRET`, else the file named by `MERSALG_SECRET_FILE`, else a file of Mersalg's own,
    made on first use: beside a SQLite database, or in the user's data folder for a server.

    Raises:
        ConfigError: the file cannot be read or made, or the secret is too short to be one.
    """
    return _load(_own_file(url))


def customer_key(models: Path) -> bytes:
    """The secret under which the models of a folder hash their customers; found as above, else in
    a file of that folder, made on first use.

    Raises:
        ConfigError: as `load_secret`.
    """
    return _load(models / "customers.key")


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
    if len(secret) < _SHORTEST:
        raise ConfigError(f"the secret in {source} is shorter than {_SHORTEST} bytes")
    return secret


def _own_file(url: URL) -> Path | None:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            return None
        return Path(f"{url.database}.key")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "mersalg" / "secret.key"


def _create(path: Path) -> bytes:
    """Made whole under another name, then linked: of two processes that start, one wins."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return _checked(path.read_bytes().strip(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot make the secret file {path}: {error.strerror}") from error
