"""Routes on the hot path: FastAPI's routing and documentation, without its argument machinery."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class DirectRoute(APIRoute):
    """Hands the request to the endpoint as it is; the endpoint admits, parses and answers.

    Solving dependencies costs as much as a decision, and these endpoints read their bodies by
    hand anyway, to bound them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint
