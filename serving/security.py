"""Authorise callers: by keys, and by tokens with which the shop's server vouches for a checkout.

A token is `v1.<unix seconds>.<hex HMAC-SHA256>` of "v1", the checkout, the customer ("" where none
is named) and the seconds, joined by newlines, keyed with `MERSALG_CHECKOUT_SECRET`; the client
(`mersalg_client.checkout_token`) makes them.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from mersalg.engine import clock
from mersalg.engine.facts import Scope as FactScope
from mersalg.engine.storage.audit import AuditEntry
from mersalg.serving import errors
from mersalg.serving.audit import Action, keep
from mersalg.serving.keys import SCOPES, Key, digest_of, with_digest
from mersalg.serving.keys import Scope as KeyScope
from mersalg.serving.rate_limits import RateLimits
from mersalg.serving.service import Service, service_of
from mersalg.serving.settings import ServeSettings

VALID_SECONDS = 24 * 3600
_AHEAD_SECONDS = 300
"""By which the clock of the shop's server may be ahead."""
_SECONDS_DIGITS = 12


def token_problem(
    token: str, secret: bytes | None, checkout_id: str, customer_id: str | None, now: float
) -> str | None:
    """Return why a token does not vouch for a checkout; None where it does."""
    if secret is None:
        return "cannot be checked: the service has no MERSALG_CHECKOUT_SECRET"
    version, _, rest = token.partition(".")
    seconds, _, _ = rest.partition(".")
    if version != "v1" or not (seconds.isascii() and seconds.isdecimal()):
        return "is not v1.<unix seconds>.<signature>"
    if len(seconds) > _SECONDS_DIGITS:
        return "is not of this checkout and customer"
    if "\n" in checkout_id or "\n" in (customer_id or ""):
        return "cannot be checked: an id holds a newline, which separates what is signed"
    signed = "\n".join(("v1", checkout_id, customer_id or "", str(int(seconds)))).encode()
    expected = f"v1.{int(seconds)}.{hmac.digest(secret, signed, hashlib.sha256).hex()}"
    if not hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode()):
        return "is not of this checkout and customer"
    if not -_AHEAD_SECONDS <= now - int(seconds) <= VALID_SECONDS:
        return "has expired" if now > int(seconds) else "is dated in the future"
    return None


# What else a scope may do: a shop's server does what its pages do, an admin reads reports.
_COVERS: dict[KeyScope, frozenset[KeyScope]] = {
    "storefront": frozenset({"storefront"}),
    "server": frozenset({"server", "storefront"}),
    "report": frozenset({"report"}),
    "admin": frozenset({"admin", "report"}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request and its scopes; `key_id` names their key in logs."""

    scopes: frozenset[KeyScope]
    key_id: str = "anyone"

    def may(self, scope: KeyScope) -> bool:
        """Return whether the caller's key covers a scope."""
        return scope in self.scopes


ANYONE = Caller(frozenset(SCOPES))
"""Every caller on loopback, where no keys are set."""


def caller_of(held: Sequence[Key]) -> Caller | None:
    """Return the caller who holds keys; None where there are none."""
    if not held:
        return None
    return Caller(frozenset(scope for own in held for scope in _COVERS[own.scope]), held[0].id)


def scope_of(
    settings: ServeSettings,
    caller: Caller,
    token: str | int | None,
    checkout_id: str | int | None,
    customer_id: str | int | None,
) -> tuple[FactScope | None, str | None]:
    """Return the scope of a fact of a call, and why its checkout token is not valid, if so.

    The scope is None where the service has no keys, and asks nobody who they are.
    """
    if not settings.keys:
        return None, None
    if caller.may("server"):
        return "server", None
    if not token:
        return "storefront", None
    checkout = "" if checkout_id is None else str(checkout_id)
    customer = None if customer_id is None else str(customer_id)
    problem = token_problem(str(token), settings.checkout_secret, checkout, customer, time.time())
    return ("token", None) if problem is None else ("storefront", problem)


def caller_presenting(request: Request, key: str) -> Caller | None:
    """Return the caller who presents `key` with a request; None where it is unknown.

    Raises ApiError: 429 where the key, or the address of the caller, is used more often than is
    allowed. After many unknown keys of an address, its keys are not even compared.
    """
    limits: RateLimits = request.app.state.limits
    settings: ServeSettings = request.app.state.settings
    address = limits.caller_of(request)
    keys = limits.comparable_keys(address, settings.keys.keys) if key else ()
    held = with_digest(keys, digest_of(key))
    if not held:
        if key:
            service_of(request).guesses.count(address)
        limits.refuse(address)
        return None
    limits.count(address, held)
    return caller_of(held)


def presented_key(request: Request) -> str:
    """Return the key of the `Authorization` header; empty where there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def may_read(request: Request) -> bool:
    """Return whether a caller may read reports: by a key, or because none is asked for."""
    if not request.app.state.settings.keys:
        return True
    key = presented_key(request)
    caller = caller_presenting(request, key) if key else None
    return caller is not None and caller.may("report")


def admit(request: Request, scope: KeyScope) -> Caller:
    """Return the caller, if their key has `scope`.

    Raises ApiError: 401 where a key is needed and none that is known was sent, 403 where it has
    another scope, 429 where the caller calls more often than is allowed.
    """
    if not request.app.state.settings.keys:
        return ANYONE
    caller = caller_presenting(request, presented_key(request))
    if caller is None:
        raise errors.ApiError(
            401,
            "unauthorized",
            "send a key that this service knows: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
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


Server = Annotated[Caller, Depends(Require("server"))]
Reporter = Annotated[Caller, Depends(Require("report"))]
Admin = Annotated[Caller, Depends(Require("admin"))]


@asynccontextmanager
async def audited(
    service: Service, caller: Caller, action: str, target: str | None = None
) -> AsyncGenerator[None, None]:
    """Note who did what over HTTP, and how it ended."""
    who = caller.key_id if caller.key_id == "anyone" else f"key:{caller.key_id}"
    begun = Action(target)
    try:
        with begun:
            yield
    finally:
        entry = AuditEntry(clock.now(), who, action, begun.target, begun.outcome)
        await keep(service.store, service.intake, entry)
