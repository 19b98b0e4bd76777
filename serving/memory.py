"""Memory that was needed for a moment goes back to the system."""

from __future__ import annotations

import ctypes
import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any


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
