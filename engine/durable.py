"""Files that are on disk when they are said to be, and the hashes they are known by."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> Stamp:
    """Return what changes when a file is written or replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(path: Path, data: bytes) -> None:
    """Write a file that holds secrets, whole or not at all; on disk when this returns.

    Raises OSError.
    """
    made = write_temporary(path, data)
    try:
        made.replace(path)
    except OSError:
        made.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_temporary(path: Path, data: bytes) -> Path:
    """Write a file of secrets that is to take the name `path`, on disk under another name.

    A new one is its owner's alone; who could read the one before can read it still, as a service
    does. Raises OSError, and leaves nothing then.
    """
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _give_as(path, descriptor)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        made.unlink(missing_ok=True)
        raise
    return made


def _give_as(path: Path, descriptor: int) -> None:
    """Owner, group and mode of the file at `path`, where there is one, to the one that is open."""
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
