"""Dashboard sessions: a signed cookie that says until when, and for which key, it holds."""

from __future__ import annotations

import hmac
import secrets
import time
from pathlib import Path

from mersalg.serving.keys import Key, digest_of
from mersalg.serving.settings import ServeSettings

COOKIE = "mersalg_session"
SECONDS = 12 * 3600

_MAY_LOOK = ("report", "admin")


def open_session(settings: ServeSettings, presented: str) -> str | None:
    """Return the cookie for a report or admin key, None for anything else."""
    digest = digest_of(presented)
    until, number = int(time.time()) + SECONDS, secrets.token_hex(8)
    for key in settings.keys.keys:
        if key.scope in _MAY_LOOK and hmac.compare_digest(key.digest, digest):
            return f"{until}.{number}.{_signature(settings, key, until, number)}"
    return None


def is_open(settings: ServeSettings, cookie: str | None) -> bool:
    """Return whether the session is not over, nobody ended it, and its key is still known."""
    until, number, signature = _parts(cookie)
    if not until.isdecimal() or not until.isascii() or len(until) > 12:
        return False
    signed = any(
        hmac.compare_digest(
            _signature(settings, key, int(until), number).encode(), signature.encode()
        )
        for key in settings.keys.keys
        if key.scope in _MAY_LOOK
    )
    if not signed or int(until) <= time.time():
        return False
    return settings.stopping is None or not _ended(settings.stopping, int(until), number).exists()


def end_session(settings: ServeSettings, cookie: str | None) -> None:
    """End a session for all workers and all copies of its cookie.

    Workers share the folder that `mersalg serve` makes for them. Sessions that have ended anyhow
    are forgotten.
    """
    if settings.stopping is None or not is_open(settings, cookie):
        return
    until, number, _ = _parts(cookie)
    for path in settings.stopping.parent.glob("session-*"):
        if int(path.name.split("-")[1]) <= time.time():
            path.unlink(missing_ok=True)
    _ended(settings.stopping, int(until), number).touch()


def _parts(cookie: str | None) -> list[str]:
    return [*(cookie or "").split("."), "", ""][:3]


def _ended(stopping: Path, until: int, number: str) -> Path:
    return stopping.with_name(f"session-{until}-{number}")


def _signature(settings: ServeSettings, key: Key, until: int, number: str) -> str:
    message = b"dashboard" + key.digest + until.to_bytes(8) + number.encode()
    return hmac.new(settings.session_secret, message, "sha256").hexdigest()
