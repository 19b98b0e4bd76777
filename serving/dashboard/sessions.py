"""Dashboard sessions: a signed cookie that says until when, and for which key, it holds."""

from __future__ import annotations

import hashlib
import hmac
import time

from serving.keys import Key
from serving.settings import ServeSettings

COOKIE = "mersalg_session"
SECONDS = 12 * 3600

_MAY_LOOK = ("report", "admin")


def open_session(settings: ServeSettings, presented: str) -> str | None:
    """Return the cookie for a report or admin key, None for anything else."""
    digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()
    until = int(time.time()) + SECONDS
    for key in settings.keys.keys:
        if key.scope in _MAY_LOOK and hmac.compare_digest(key.digest, digest):
            return f"{until}.{_signature(settings, key, until)}"
    return None


def is_open(settings: ServeSettings, cookie: str | None) -> bool:
    """Return whether the session is not over and its key is still known."""
    until, dot, signature = (cookie or "").partition(".")
    if not dot or not until.isdecimal() or not until.isascii() or len(until) > 12:
        return False
    signed = any(
        hmac.compare_digest(_signature(settings, key, int(until)).encode(), signature.encode())
        for key in settings.keys.keys
        if key.scope in _MAY_LOOK
    )
    return signed and int(until) > time.time()


def _signature(settings: ServeSettings, key: Key, until: int) -> str:
    message = b"dashboard" + key.digest + until.to_bytes(8)
    return hmac.new(settings.session_secret, message, "sha256").hexdigest()
