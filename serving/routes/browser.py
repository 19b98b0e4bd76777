"""`/mersalg.js`: the snippet for a shop's own pages."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_SCRIPT = Path(__file__).parents[1] / "browser" / "mersalg.js"
_FOR_READERS = re.compile(r"^ *//.*\n|^ +|(?<=[;,{(])\n", re.MULTILINE)
"""Lines of comment, indentation, and ends of lines that end nothing; no text spans lines."""
_AROUND_SIGNS = re.compile(r" (=>|==|[=+?:<>]|\|\||&&) ")
"""Spaces around operators; no text of the script holds any of these between spaces."""
_HEADERS = {
    "Cache-Control": "public, max-age=3600",
    # Pages of the shop, which are of another origin, are what it is for.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}


@router.get("/mersalg.js")
async def script() -> Response:
    """Return the script of a shop's pages."""
    return Response(_script(), media_type="text/javascript", headers=_HEADERS)


@cache
def _script() -> str:
    return _AROUND_SIGNS.sub(r"\1", _FOR_READERS.sub("", _SCRIPT.read_text()))
