"""Who may call what."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import errors
from serving.keys import SCOPES
from serving.keys import Scope as KeyScope
from serving.rate_limits import RateLimits
from serving.settings import ServeSettings

# What else a scope may do: a shop's server does what its pages do, an admin reads reports.
_COVERS: dict[KeyScope, frozenset[KeyScope]] = {
    "storefront": frozenset({"storefront"}),
    "server": frozenset({"server", "storefront"}),
    "report": frozenset({"report"}),
    "admin": frozenset({"admin", "report"}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request, by what they may do; `key_id` names their key in logs."""

    scopes: frozenset[KeyScope]
    key_id: str = "anyone"

    def may(self, scope: KeyScope) -> bool:
        return scope in self.scopes


ANYONE = Caller(frozenset(SCOPES))
"""Every caller on loopback, where no keys are set."""


def caller_with(settings: ServeSettings, key: str) -> Caller | None:
    """The caller who presents `key`; None where no such key is known."""
    held = settings.keys.keys_of(key)
    if not held:
        return None
    return Caller(frozenset(scope for own in held for scope in _COVERS[own.scope]), held[0].id)


def identify(request: Request) -> Caller:
    """Raises ApiError 401 where a key is needed and none that is known was sent, 429 where the
    caller calls more often than is allowed."""
    settings: ServeSettings = request.app.state.settings
    if not settings.keys:
        return ANYONE
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    caller = caller_with(settings, key.strip()) if scheme.lower() == "bearer" else None
    limits: RateLimits = request.app.state.limits
    if caller is None:
        limits.refuse(request)
        raise errors.ApiError(
            401,
            "unauthorized",
            "send a key that this service knows: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
    limits.admit(request, caller.key_id, by_address=caller.scopes == _COVERS["storefront"])
    return caller


def admit(request: Request, scope: KeyScope) -> Caller:
    """The caller, if their key has `scope`; raises ApiError 401 or 403."""
    caller = identify(request)
    if not caller.may(scope):
        raise errors.ApiError(403, "forbidden", f"this call needs a key of scope {scope}")
    return caller


class Require(SecurityBase):
    """Dependency: a caller whose key has `scope`, or 401 / 403."""

    def __init__(self, scope: KeyScope) -> None:
        self.model = HTTPBearerModel(description="An API key of the scope that the call needs")
        self.scheme_name = "key"
        self.scope: KeyScope = scope

    async def __call__(self, request: Request) -> Caller:
        return admit(request, self.scope)


Reporter = Annotated[Caller, Depends(Require("report"))]
Admin = Annotated[Caller, Depends(Require("admin"))]


class OnlyThisMachine:
    """ASGI middleware for a service without keys: web pages of strangers are refused.

    A page in a browser on this machine can reach loopback too; it gives itself away by its
    `Origin`, or, where its own host name was pointed at loopback, by `Host`.
    """

    def __init__(self, app: ASGIApp, allowed_origins: tuple[str, ...]) -> None:
        self._app = app
        self._allowed = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._trusted(Headers(scope=scope)):
            refusal = errors.answer(
                403,
                "forbidden",
                "without keys this service answers only callers that address it as localhost;"
                " set MERSALG_KEYS to serve others",
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _trusted(self, headers: Headers) -> bool:
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not is_local_host(host):
            return False
        return origin is None or origin in self._allowed or _is_local(origin)


def is_local_host(host: str | bytes) -> bool:
    """Whether what a `Host` header says is a name of this machine."""
    named = host.decode("latin-1") if isinstance(host, bytes) else host
    return _is_local(f"//{named}")


def _is_local(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
