"""Memory that was needed for a moment goes back to the system, and can be used by all threads."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_SELDOM = (5_000, 20, 100)
"""New objects, and collections of younger ones, after which each generation is looked through."""


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


@contextmanager
def collecting_seldom() -> Generator[None, None, None]:
    """While a service runs: looking through all objects for rings of them takes tens of
    milliseconds, in which nobody is answered.

    What lives as long as the process is not looked through at all, and the rest less often: what
    a call leaves behind ends with its last reference, rings are rare.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


@lru_cache
def _trim() -> Any | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
