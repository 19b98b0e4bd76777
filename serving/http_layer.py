"""Middleware of every request and answer, whatever its route.

An id for the request, a check where it comes from, strict headers, metrics, the access log, traces
and the answer to errors of ours: one ASGI middleware, for a chain of them costs more than a route.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mersalg.serving import errors, logs
from mersalg.serving.metrics import RequestMeter

if TYPE_CHECKING:
    from mersalg.serving.tracing import Traces

REQUEST_ID = "X-Request-Id"
SECURE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer that does not set its own, so that browsers stay strict."""

UNMATCHED = "unmatched"
"""The route of calls that have none; of others it is a template of paths, which names nobody."""

_REQUEST_ID = REQUEST_ID.lower().encode()
_VALID_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_NO_PARAMETERS: dict[str, object] = {}
_LONGEST_HOST = 300
"""Characters of a host or origin; which are of this machine is kept in a cache."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SEVERAL_HOSTS = errors.ApiError(400, "bad_request", "the request has several Host headers")
_NOT_LOCAL = errors.ApiError(
    403,
    "forbidden",
    "without keys this service answers only callers that address it as localhost;"
    " set MERSALG_KEYS to serve others",
)
_access = logging.getLogger("mersalg.access")


class HttpLayer:
    """ASGI middleware around all routes.

    With `local_only` it refuses requests that a page of another site may have sent, as a service
    without keys has to, except those of `allowed_origins`. A page in a browser on this machine can
    reach loopback too; its `Origin` shows it, or, where its own host name was pointed at loopback,
    its `Host`. The `access_log` has a line for each answer, with its route and never its path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        meter: RequestMeter,
        local_only: bool,
        allowed_origins: Sequence[str] = (),
        access_log: bool = False,
        traces: Traces | None = None,
    ) -> None:
        self._app, self._meter, self._local_only = app, meter, local_only
        self._allowed_origins = frozenset(origin.encode() for origin in allowed_origins)
        self._access_log, self._traces = access_log, traces
        # Random for each process and counted inside: nobody gains by guessing the next one.
        self._prefix, self._numbers = f"req_{secrets.token_hex(8)}_", count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request to the routes, and their answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = None
        # Of a body that is not read, the rest would be taken for the next request: the server
        # closes the connection, and the answer says so.
        n_unread, is_trusted, hosts = 0.0, True, 0
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                n_unread = max(n_unread, float(value))
            elif name in (b"transfer-encoding", b"content-length"):
                n_unread = inf
            elif name == _REQUEST_ID and request_id is None and _VALID_ID(value):
                request_id = value
            elif name in (b"host", b"origin"):
                hosts += name == b"host"
                if self._local_only:
                    is_trusted = is_trusted and self._is_trusted(name, value)
        if request_id is None:
            request_id = f"{self._prefix}{next(self._numbers)}".encode()
        # Not reset afterwards: the server logs what the application raised, in the same task.
        logs.request_id.set(request_id.decode())
        logs.decision_id.set(None)
        logs.redact(lambda: (scope.get("path_params", _NO_PARAMETERS).get("customer_id"),))
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status, has_begun = 500, False

        async def receive_on() -> Message:
            nonlocal n_unread
            message = await receive()
            n_unread -= len(message.get("body", b""))
            # The server finds the end of a body only when it is asked for more, and that takes as
            # long as the body did.
            if n_unread <= 0 or not message.get("more_body", False):
                n_unread, message["more_body"] = 0.0, False
            return message

        async def send_on(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                headers = _with_secure_headers(message.get("headers", ()))
                headers.append((_REQUEST_ID, request_id))
                if n_unread:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        span = None if self._traces is None else self._traces.begin(scope)
        try:
            if hosts > 1:
                # A proxy may have read the other one.
                await errors.answer(_SEVERAL_HOSTS)(scope, receive, send_on)
            elif is_trusted:
                await self._app(scope, receive_on if n_unread else receive, send_on)
            else:
                await errors.answer(_NOT_LOCAL)(scope, receive, send_on)
        except Exception:
            # The server logs the traceback; the caller gets none.
            if not has_begun:
                said = f"{method} failed for a reason of ours; it is logged"
                internal = errors.ApiError(500, "internal", said)
                await errors.answer(internal)(scope, receive, send_on)
            raise
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", UNMATCHED)
            # Whatever strangers send, the number of series stays small.
            self._meter.note(route, method if route != UNMATCHED else "ANY", status, seconds)
            if self._traces is not None and span is not None:
                self._traces.end(span, method, route, status)
            if self._access_log:
                _log_access(method, route, status, seconds)

    def _is_trusted(self, name: bytes, value: bytes) -> bool:
        if name == b"host":
            return len(value) <= _LONGEST_HOST and _is_local(b"//" + value)
        return value in self._allowed_origins or (len(value) <= _LONGEST_HOST and _is_local(value))


def _with_secure_headers(own: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    headers = list(own)
    names = {name for name, _ in headers}
    headers += [header for header in SECURE_HEADERS if header[0] not in names]
    return headers


@lru_cache(256)
def _is_local(url: bytes) -> bool:
    """Return whether the host of a URL is a name of this machine."""
    try:
        name = urlsplit(url.decode("latin-1")).hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _log_access(method: str, route: str, status: int, seconds: float) -> None:
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
    }
    _access.info("%s %s %d %.2f ms", *(fields.values()), extra={"fields": fields})
