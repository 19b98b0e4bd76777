"""HTML pages under a strict content security policy."""

from __future__ import annotations

from starlette.responses import HTMLResponse

from mersalg.serving.presentation.templating import DASHBOARD, rendered

STATIC = DASHBOARD / "static"

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page as a response."""
    text = rendered(template, **values)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": _POLICY})
