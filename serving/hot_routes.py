"""Calls on the hot path, answered before the layers that all other calls go through.

Routing and four middlewares cost more than the call itself. What they see to is seen to here as
well: strict headers, metrics, the one error shape, and, for a service without keys, who may ask.
Keys, rates and the size of a body are the answers' own business, here as there. A call from a web
page, which says its origin, takes the long way.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.errors import MersalgError
from serving import errors
from serving.metrics import RequestMeter
from serving.secure_headers import SECURE_HEADERS, SecureHeaders
from serving.security import is_local_host

Answer = Callable[[Request], Awaitable[bytes]]
"""The JSON of a 200; raises ApiError or MersalgError for anything else."""

_HEADERS = [(b"content-type", b"application/json"), *SECURE_HEADERS]
_MOST_HOSTS = 100


class HotRoutes:
    """ASGI middleware, the outermost.

    Args:
        answers: by path; only `POST` is taken.
        only_this_machine: the service has no keys, so `Host` must be a name of this machine.
    """

    def __init__(
        self,
        app: ASGIApp,
        answers: Mapping[str, Answer],
        meter: RequestMeter,
        *,
        only_this_machine: bool,
    ) -> None:
        self._app, self._answers, self._meter = app, answers, meter
        self._only_this_machine = only_this_machine
        self._hosts: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None or scope["method"] != "POST" or not self._plain(scope):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        try:
            request = Request(scope, receive)
            try:
                body = await answer(request)
            except (errors.ApiError, MersalgError) as error:
                response = errors.answer_to(error)
                status = response.status_code
                await SecureHeaders(response)(scope, receive, send)
                return
            status = 200
            headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        finally:
            self._meter.note(scope["path"], "POST", status, time.perf_counter() - started)

    def _plain(self, scope: Scope) -> bool:
        """Whether no page of another site can have sent this."""
        host = None
        for name, value in scope["headers"]:
            if name == b"origin":
                return False
            if name == b"host":
                if host is not None:
                    return False
                host = value
        if not self._only_this_machine or host is None or host in self._hosts:
            return True
        if not is_local_host(host):
            return False
        if len(self._hosts) < _MOST_HOSTS:
            self._hosts.add(host)
        return True
