"""`/docs`: the API for people, drawn from the same OpenAPI document machines read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.serving.dashboard.shell import page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_documentation(request: Request) -> Response:
    """Return the OpenAPI document as a page."""
    return page("docs.html", title="API", document=request.app.openapi())
