"""What every answer carries so that browsers stay strict."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class SecureHeaders:
    """ASGI middleware: strict headers on every answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                names = {name for name, _ in own}
                message["headers"] = [
                    *own,
                    *(header for header in SECURE_HEADERS if header[0] not in names),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)
