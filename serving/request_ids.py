"""Every request has an id: the caller's own, or one of ours; log lines and the answer carry it."""

from __future__ import annotations

import logging
import re
import secrets
import time
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import logs

HEADER = "X-Request-Id"

_HEADER = HEADER.lower().encode()
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_NOTHING: dict[str, object] = {}
_OPEN = ("/v1/suggestions", "/v1/events")
_access = logging.getLogger("mersalg.access")


class RequestIds:
    """ASGI middleware; `access_log` prints a line for each answer, with its route, never its path
    (paths name customers).
    """

    def __init__(self, app: ASGIApp, *, access_log: bool = False) -> None:
        self._app, self._access_log = app, access_log
        # One draw a process and a number: nothing hangs on nobody guessing the next.
        self._prefix, self._numbers = f"req_{secrets.token_hex(8)}_", count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = self._id_of(scope)
        # Not reset afterwards: the server logs what the application raised, in the same task.
        logs.request_id.set(request_id)
        logs.decision_id.set(None)
        logs.keep_unspoken(lambda: (scope.get("path_params", _NOTHING).get("customer_id"),))
        header = (_HEADER, request_id.encode())
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        if not self._access_log:
            await self._app(scope, receive, send_with_id)
            return
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _say(scope, status, time.perf_counter() - started)

    def _id_of(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == _HEADER:
                if _SANE(value):
                    return value.decode()
                break
        return f"{self._prefix}{next(self._numbers)}"


def route_of(scope: Scope) -> str:
    """The template of the path; for calls that never came to a route, what names nobody."""
    route = getattr(scope.get("route"), "path", None)
    return route or (scope["path"] if scope["path"] in _OPEN else "unmatched")


def _say(scope: Scope, status: int, seconds: float) -> None:
    fields = {
        "method": scope["method"],
        "route": route_of(scope),
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
    }
    _access.info("%s %s %d %.2f ms", *(fields.values()), extra={"fields": fields})
