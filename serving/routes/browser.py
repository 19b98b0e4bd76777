"""`/docs` and `/mersalg.js`: what browsers load beside the dashboard."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.serving.dashboard.shell import page

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "browser"
_FOR_READERS = re.compile(r"^ *//.*\n|^ +|(?<=[;,{(])\n", re.MULTILINE)
"""Lines of comment, indentation, and ends of lines that end nothing; no text spans lines."""
_AROUND_SIGNS = re.compile(r" (=>|==|[=+?:<>]|\|\||&&) ")
"""Spaces around operators; no text of the script holds any of these between spaces."""
_AROUND_MARKS = re.compile(r"\s*([{};])\s*|(?<=[:,])\s+")
"""White space of the style sheet that parts nothing."""
_HEADERS = {
    "Cache-Control": "public, max-age=3600",
    # Pages of the shop, which are of another origin, are what it is for.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}


@router.get("/docs")
async def show_documentation(request: Request) -> Response:
    """Return the OpenAPI document as a page."""
    return page("docs.html", title="API", document=request.app.openapi())


@router.get("/mersalg.js")
async def script() -> Response:
    """Return the script of a shop's pages."""
    return Response(_script(), media_type="text/javascript", headers=_HEADERS)


@cache
def _script() -> str:
    script = _FOR_READERS.sub("", (_FOLDER / "mersalg.js").read_text())
    style = _AROUND_MARKS.sub(r"\1", (_FOLDER / "mersalg.css").read_text())
    return _AROUND_SIGNS.sub(r"\1", script).replace('"STYLE"', json.dumps(style))
