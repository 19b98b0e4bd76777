"""Memory of a process, and the turns its threads take."""

from __future__ import annotations

import ctypes
import resource
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

_SECONDS = 0.0001

_lock = threading.Lock()
_at_work = 0
_usual = sys.getswitchinterval()


@contextmanager
def small_steps() -> Generator[None, None, None]:
    """Have threads hand the interpreter on fifty times as often while one is in such a block.

    A call takes the interpreter up tens of times on its way through the threads of a process, once
    after each word with the database. At Python's own 5 ms a turn, a thread that loads a model
    would add 100 ms to it.
    """
    global _at_work, _usual
    with _lock:
        if not _at_work:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_SECONDS, _usual))
        _at_work += 1
    try:
        yield
    finally:
        with _lock:
            _at_work -= 1
            if not _at_work:
                sys.setswitchinterval(_usual)


def give_back() -> None:
    """Return what the C library holds free, without which one large report is held for ever.

    Only glibc has to be asked; elsewhere this does nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@lru_cache
def _trim() -> Any | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None


def resident_bytes() -> int:
    """Return the memory that this process holds; its peak where the system does not say more."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
