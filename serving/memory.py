"""Memory that was needed for a moment goes back to the system, and can be used by all threads."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import lru_cache
from typing import Any

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def give_back() -> None:
    """Return what the C library holds free; without this one large report is held for ever.

    Only glibc has to be asked; elsewhere this does nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


def share_one_heap() -> None:
    """From now on threads take memory from one heap: each heap of its own keeps what it once took,
    and only one thread at a time runs Python anyway."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


@lru_cache
def _trim() -> Any | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
