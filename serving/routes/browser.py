"""`/mersalg.js`: the snippet for a shop's own pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

router = APIRouter(include_in_schema=False)

_SCRIPT = Path(__file__).parents[1] / "browser" / "mersalg.js"
_HEADERS = {
    "Cache-Control": "public, max-age=3600",
    # Pages of the shop, which are of another origin, are what it is for.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}


@router.get("/mersalg.js")
async def script() -> Response:
    return FileResponse(_SCRIPT, media_type="text/javascript", headers=_HEADERS)
