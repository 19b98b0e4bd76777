"""Ids of decisions and offers: nobody can guess another buyer's."""

from __future__ import annotations

import os
from binascii import b2a_base64

_BYTES = 16
_AT_ONCE = 256
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_drawn: list[bytes] = []

# What was drawn before a fork must not be used by both.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(prefix: str) -> str:
    """`prefix` and 128 random bits, as `secrets.token_urlsafe` would make them.

    They are drawn many at once: each call to the system lets other threads go first.
    """
    try:
        bits = _drawn.pop()
    except IndexError:
        pool = os.urandom(_BYTES * _AT_ONCE)
        _drawn.extend(pool[start : start + _BYTES] for start in range(0, len(pool), _BYTES))
        bits = os.urandom(_BYTES)
    text = b2a_base64(bits, newline=False).translate(_URL_SAFE, b"=")
    return f"{prefix}_{text.decode()}"
