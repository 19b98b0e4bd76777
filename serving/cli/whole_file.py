"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mersalg.engine.errors import DataError


@contextmanager
def whole_file(path: Path) -> Generator[IO[bytes], None, None]:
    """Yield a file to write; it gets its name once the block ends well.

    Raises
    ------
    DataError
        It cannot be written.
    """
    if path.is_dir():
        raise DataError("cannot write: it is a folder", file=str(path))
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror}", file=str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
