"""Customers whom models must not know again: keyed hashes in a file beside the versions.

Versions never change, so an erased customer is left out when one is loaded, and when one is fitted.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.durable import sync_folder
from mersalg.engine.errors import ModelError

_NAME = "forgotten.txt"
_DIGITS = 16


class Forgotten:
    """The list of one folder of models; each line is the hash of a customer, 16 hex digits."""

    def __init__(self, models: Path) -> None:
        self.path = models / _NAME

    def hashes(self) -> NDArray[np.uint64]:
        """Return uint64 (n,), ascending, each once; raise ModelError if the file cannot be read."""
        try:
            lines = self.path.read_text().split()
        except FileNotFoundError:
            return np.zeros(0, dtype=np.uint64)
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"cannot read {self.path}: {error}") from error
        for number, line in enumerate(lines, start=1):
            if len(line) != _DIGITS or set(line) - set("0123456789abcdef"):
                raise ModelError(f"{self.path} line {number}: {line[:40]!r} is no customer's hash")
        return np.unique(np.array([int(line, 16) for line in lines], dtype=np.uint64))

    def add(self, customer_hash: int) -> None:
        """Append a hash that is not in the list yet; it is on disk when this returns.

        Raise ModelError where the file cannot be read or written.
        """
        line = f"{customer_hash:016x}".encode()
        try:
            before = self.path.read_bytes() if self.path.exists() else b""
            if line in before.split():
                return
            if before and not before.endswith(b"\n"):
                line = b"\n" + line
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One short appended line is whole or not there: processes may add at once.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, line + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self.path.parent)
        except OSError as error:
            raise ModelError(f"cannot write {self.path}: {error.strerror}") from error
