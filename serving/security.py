"""Who may call what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

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
        """Return whether the caller's key covers a scope."""
        return scope in self.scopes


ANYONE = Caller(frozenset(SCOPES))
"""Every caller on loopback, where no keys are set."""


def caller_with(settings: ServeSettings, key: str) -> Caller | None:
    """Return the caller who presents `key`; None where no such key is known."""
    held = settings.keys.keys_of(key)
    if not held:
        return None
    return Caller(frozenset(scope for own in held for scope in _COVERS[own.scope]), held[0].id)


def identify(request: Request) -> Caller:
    """Return the caller.

    Raises
    ------
    ApiError
        401 where a key is needed and none that is known was sent, 429 where the caller calls more
        often than is allowed.
    """
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
    """Return the caller, if their key has `scope`; raise ApiError 401 or 403."""
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
        """Admit the caller of a request."""
        return admit(request, self.scope)


Reporter = Annotated[Caller, Depends(Require("report"))]
Admin = Annotated[Caller, Depends(Require("admin"))]
