"""Ids of decisions and offers: nobody can guess another buyer's.

They begin with the moment they were made at, in an alphabet that sorts as it counts: databases
keep an index of ids, and those that come in order are put at its end, where random ones would each
be put somewhere else. After it come 132 random bits.
"""

from __future__ import annotations

import os
import time
from binascii import b2a_base64
from functools import lru_cache

_SIGNS = 22  # of 6 bits each
_AT_ONCE = 256
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_drawn: list[str] = []
_ASCENDING = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_MOMENT_SIGNS = 7  # of 6 bits each: milliseconds until the year 2109

# What was drawn before a fork must not be used by both.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(prefix: str) -> str:
    """Return `prefix`, the moment, and 132 random bits in the letters of `token_urlsafe`.

    They are drawn many at once: each call to the system lets other threads go first.
    """
    try:
        signs = _drawn.pop()
    except IndexError:
        signs, *more = _draw()
        _drawn.extend(more)
    return f"{prefix}{_written(time.time_ns() // 1_000_000)}{signs}"


def _draw() -> list[str]:
    """Draw random signs for many ids, each of which is used once."""
    bits = os.urandom(_SIGNS * _AT_ONCE * 6 // 8)
    text = b2a_base64(bits, newline=False).translate(_URL_SAFE).decode()
    return [text[start : start + _SIGNS] for start in range(0, len(text), _SIGNS)]


@lru_cache(64)  # many ids are made in one millisecond
def _written(moment: int) -> str:
    shifts = range(6 * (_MOMENT_SIGNS - 1), -1, -6)
    return "".join(_ASCENDING[moment >> shift & 63] for shift in shifts)
