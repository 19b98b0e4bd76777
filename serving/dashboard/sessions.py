"""Dashboard sessions: a signed cookie that says until when, and for which key, it holds."""

from __future__ import annotations

import hmac
import secrets
import time
from pathlib import Path

from mersalg.serving import security
from mersalg.serving.keys import Key, digest_of
from mersalg.serving.security import Caller
from mersalg.serving.settings import ServeSettings

COOKIE = "mersalg_session"
SECONDS = 12 * 3600

_MAY_LOOK = ("admin", "report")


def open_session(settings: ServeSettings, presented: str) -> str | None:
    """Return the cookie for a report or admin key, None for anything else."""
    digest = digest_of(presented)
    until, number = int(time.time()) + SECONDS, secrets.token_hex(8)
    for key in _keys(settings):
        if hmac.compare_digest(key.digest, digest):
            return f"{until}.{number}.{_signature(settings, key, until, number)}"
    return None


def caller_of(settings: ServeSettings, cookie: str) -> Caller | None:
    """Return the caller whose key opened a session.

    None where it is over, somebody ended it, or its key is no longer known.
    """
    until, number, signature = _parts(cookie)
    if not until.isdecimal() or not until.isascii() or len(until) > 12:
        return None
    held = [
        key
        for key in _keys(settings)
        if hmac.compare_digest(
            _signature(settings, key, int(until), number).encode(), signature.encode()
        )
    ]
    if int(until) <= time.time():
        return None
    if settings.stopping is not None and _ended(settings.stopping, int(until), number).exists():
        return None
    return security.caller_of(held)


def form_token(settings: ServeSettings, cookie: str) -> str:
    """Return what forms of a session's pages carry, and no page of another site can know."""
    return hmac.new(settings.session_secret, b"form" + cookie.encode(), "sha256").hexdigest()


def is_form_token(settings: ServeSettings, cookie: str, token: str) -> bool:
    """Return whether `token` is that of the session."""
    return hmac.compare_digest(form_token(settings, cookie).encode(), token.encode())


def end_session(settings: ServeSettings, cookie: str) -> None:
    """End a session for all workers and all copies of its cookie.

    Workers share the folder that `mersalg serve` makes for them. Sessions that have ended anyhow
    are forgotten.
    """
    if settings.stopping is None or caller_of(settings, cookie) is None:
        return
    until, number, _ = _parts(cookie)
    for path in settings.stopping.parent.glob("session-*"):
        if int(path.name.split("-")[1]) <= time.time():
            path.unlink(missing_ok=True)
    _ended(settings.stopping, int(until), number).touch()


def _keys(settings: ServeSettings) -> list[Key]:
    """Return the keys that open sessions; a key of both scopes is an admin key."""
    found = [key for key in settings.keys.keys if key.scope in _MAY_LOOK]
    return sorted(found, key=lambda key: _MAY_LOOK.index(key.scope))


def _parts(cookie: str) -> list[str]:
    return [*cookie.split("."), "", ""][:3]


def _ended(stopping: Path, until: int, number: str) -> Path:
    return stopping.with_name(f"session-{until}-{number}")


def _signature(settings: ServeSettings, key: Key, until: int, number: str) -> str:
    message = b"dashboard" + key.digest + until.to_bytes(8) + number.encode()
    return hmac.new(settings.session_secret, message, "sha256").hexdigest()
