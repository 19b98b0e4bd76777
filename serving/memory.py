"""Memory that was needed for a moment goes back to the system."""

from __future__ import annotations

import ctypes
from functools import lru_cache
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
