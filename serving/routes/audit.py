"""`GET /v1/audit`: what administrators did."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from mersalg.serving import errors
from mersalg.serving.security import Admin
from mersalg.serving.service import TheService

router = APIRouter(tags=["operation"])


@dataclass(frozen=True)
class AuditAnswer:
    """Actions of administrators, the newest first.

    `who` is `key:` and the id of an API key (`mersalg keys list`), `user:` and a name on the
    machine, or `anyone` where no keys are set. Customers are named by their pseudonyms.
    """

    entries: list[dict[str, object]]


@router.get(
    "/v1/audit",
    summary="List what administrators did",
    response_model=AuditAnswer,
    responses=errors.documented(401, 403, 422, 503),
)
async def list_actions(
    service: TheService,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of entries")] = 100,
) -> AuditAnswer:
    """Return who published, rolled back, exported, erased, paused or dropped months."""
    del caller
    entries = await asyncio.to_thread(service.store.audit.latest, limit)
    return AuditAnswer([entry.to_json() for entry in entries])
