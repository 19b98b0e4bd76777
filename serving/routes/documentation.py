"""`/docs`: the API for people, drawn from the same OpenAPI document machines read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.serving.dashboard.templating import page

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Operation:
    """One operation of the API as the page shows it."""

    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: list[dict[str, Any]]
    example: str
    answers: list[tuple[str, str]]


@router.get("/docs")
async def show_documentation(request: Request) -> Response:
    """Return the OpenAPI document as a page."""
    document = request.app.openapi()
    return page(
        "docs.html",
        title="API",
        info=document["info"],
        operations=list(_operations(document)),
    )


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            bodies = said.get("requestBody", {}).get("content", {})
            example = bodies.get("application/json", {}).get("example")
            yield Operation(
                method=method.upper(),
                path=path,
                summary=said.get("summary", ""),
                description=said.get("description", ""),
                needs_key="security" in said,
                parameters=said.get("parameters", []),
                example=json.dumps(example, indent=2) if example else "",
                answers=[
                    (status, answer.get("description", ""))
                    for status, answer in sorted(said.get("responses", {}).items())
                ],
            )
