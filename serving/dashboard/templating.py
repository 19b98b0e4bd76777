"""HTML from templates that escape everything, under a strict content security policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from mersalg.serving.presentation import charts

_FOLDER = Path(__file__).parent

_SPAN = re.compile(r"`([^`]*)`")

STATIC = _FOLDER / "static"

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

_environment: Any = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _code_spans(text: str) -> Markup:
    """`name` between back-ticks, as descriptions write it, in the typeface of code."""
    return Markup(_SPAN.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


_environment.filters["code_spans"] = _code_spans
_environment.globals["charts"] = charts


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page as a response."""
    text = _environment.get_template(template).render(**values)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": _POLICY})
