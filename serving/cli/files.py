"""Files that commands read and write: `-` or none is the standard stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mersalg.engine.errors import DataError


@contextmanager
def source(file: str | Path) -> Generator[IO[bytes]]:
    """Yield a file to read, or standard input where it is `-`.

    Raises
    ------
    DataError
        It cannot be opened.
    """
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file=str(file)) from error
    with opened:
        yield opened


@contextmanager
def target(path: Path | None) -> Generator[IO[bytes]]:
    """Yield a file to write, which appears whole or not at all, or standard output for None.

    Raises
    ------
    DataError
        It cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    if path.is_dir():
        raise DataError("cannot write: it is a folder", file=str(path))
    # A device or a pipe cannot be replaced by a file.
    is_replaced = path.is_file() or not path.exists()
    written = path.with_name(f"{path.name}.partial") if is_replaced else path
    try:
        with written.open("wb") as file:
            yield file
            file.flush()
            if is_replaced:
                os.fsync(file.fileno())
        if is_replaced:
            written.replace(path)
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror}", file=str(path)) from error
    finally:
        if is_replaced:
            written.unlink(missing_ok=True)
