"""Dashboard sessions and links to one page: signed, for a key, and until an instant."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from mersalg.serving import security
from mersalg.serving.keys import Key, digest_of, with_digest
from mersalg.serving.security import Caller
from mersalg.serving.settings import ServeSettings

COOKIE = "mersalg_session"
SECONDS = 12 * 3600
SHARED_DAYS = 90
"""How long a link to a page may be valid."""

_MAY_LOOK = ("admin", "report")
_NOT_SIGNED = ("lang", "share", "sort", "order", "start")
"""Parameters that the holder of a link may change: they show nothing that the page has not."""


def open_session(settings: ServeSettings, presented: str) -> str | None:
    """Return the cookie for a report or admin key, None for anything else."""
    held = with_digest(_keys(settings), digest_of(presented))
    if not held:
        return None
    until, number = int(time.time()) + SECONDS, secrets.token_hex(8)
    signature = _signature(held[0], settings.session_secret, b"dashboard", until, number)
    return f"{until}.{number}.{signature}"


def caller_of(settings: ServeSettings, cookie: str) -> Caller | None:
    """Return the caller whose key opened a session.

    None where it is over, somebody ended it, or its key is no longer known.
    """
    until, number, signature = _parts(cookie)
    if not _is_instant(until):
        return None
    signed = (settings.session_secret, b"dashboard", int(until), number)
    held = _signers(_keys(settings), signature, *signed)
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


def share_token(settings: ServeSettings, key_id: str, address: str, until: int) -> str | None:
    """Return what lets anybody see the page of a `shared_address` until an instant, in seconds.

    None without a secret to sign it, and for a key that may not look. The link ends with the key.
    """
    for key in _keys(settings):
        if settings.share_secret is not None and key.id == key_id:
            signature = _signature(key, settings.share_secret, b"share", until, address)
            return f"{key_id}.{until}.{signature}"
    return None


def shared_until(settings: ServeSettings, token: str, address: str) -> int | None:
    """Return until when, in seconds, a token shows a page; None where it does not."""
    key_id, until, signature = _parts(token)
    if settings.share_secret is None or not _is_instant(until):
        return None
    if not 0 < int(until) - time.time() <= SHARED_DAYS * 24 * 3600:
        return None
    keys = [key for key in _keys(settings) if key.id == key_id]
    signers = _signers(keys, signature, settings.share_secret, b"share", int(until), address)
    return int(until) if signers else None


def shared_address(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return what a link to a page is signed for: the page, its period and its filters."""
    return f"{path}?{urlencode(sorted(pair for pair in parameters if pair[0] not in _NOT_SIGNED))}"


def _is_instant(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 12


def _keys(settings: ServeSettings) -> list[Key]:
    """Return the keys that open sessions; a key of both scopes is an admin key."""
    keys = [key for key in settings.keys.keys if key.scope in _MAY_LOOK]
    return sorted(keys, key=lambda key: _MAY_LOOK.index(key.scope))


def _parts(cookie: str) -> list[str]:
    return [*cookie.split("."), "", ""][:3]


def _ended(stopping: Path, until: int, number: str) -> Path:
    return stopping.with_name(f"session-{until}-{number}")


def _signers(
    keys: Sequence[Key], signature: str, secret: bytes, use: bytes, until: int, signed: str
) -> list[Key]:
    """Return the keys for which something was signed; each is compared in constant time."""
    made = ((key, _signature(key, secret, use, until, signed)) for key in keys)
    return [key for key, own in made if hmac.compare_digest(own.encode(), signature.encode())]


def _signature(key: Key, secret: bytes, use: bytes, until: int, signed: str) -> str:
    message = use + key.digest + until.to_bytes(8) + signed.encode()
    return hmac.new(secret, message, "sha256").hexdigest()
