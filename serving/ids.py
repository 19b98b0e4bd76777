"""Ids of decisions and offers: nobody can guess another buyer's.

They begin with the moment they were made at, in an alphabet that sorts as it counts: databases
keep an index of ids, and those that come in order are put at its end, where random ones would each
be put somewhere else. Behind it stand 128 random bits.
"""

from __future__ import annotations

import os
import time
from binascii import b2a_base64
from functools import lru_cache

_BYTES = 16
_AT_ONCE = 256
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_drawn: list[bytes] = []
_ASCENDING = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_MOMENT_SIGNS = 7  # of 6 bits each: milliseconds until the year 2109

# What was drawn before a fork must not be used by both.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(prefix: str) -> str:
    """`prefix`, the moment, and 128 random bits, as `secrets.token_urlsafe` would make them.

    They are drawn many at once: each call to the system lets other threads go first.
    """
    try:
        bits = _drawn.pop()
    except IndexError:
        pool = os.urandom(_BYTES * _AT_ONCE)
        _drawn.extend(pool[start : start + _BYTES] for start in range(0, len(pool), _BYTES))
        bits = os.urandom(_BYTES)
    text = b2a_base64(bits, newline=False).translate(_URL_SAFE, b"=")
    return f"{prefix}_{_written(time.time_ns() // 1_000_000)}{text.decode()}"


@lru_cache(64)  # many ids are made in one millisecond
def _written(moment: int) -> str:
    shifts = range(6 * (_MOMENT_SIGNS - 1), -1, -6)
    return "".join(_ASCENDING[moment >> shift & 63] for shift in shifts)
