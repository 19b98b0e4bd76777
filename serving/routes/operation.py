"""`/v1/audit`, `/healthz`, `/readyz` and `/metrics`: for those who keep the service running."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from mersalg.serving import errors
from mersalg.serving.security import Admin, Reporter, may_read
from mersalg.serving.service import TheService

router = APIRouter(tags=["operation"])

_MODEL_PROBLEM = "the published model cannot be served; the log and calls with a key say why"


@dataclass(frozen=True)
class AuditAnswer:
    """Actions of administrators, the newest first.

    `who` is `key:` and the id of an API key (`mersalg keys list`), `user:` and a name on the
    machine, or `anyone` where no keys are set. Customers are named by their pseudonyms.
    """

    entries: list[dict[str, object]]


@router.get("/v1/audit")
async def list_actions(
    service: TheService,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditAnswer:
    """Return who published, rolled back, exported, erased, paused or dropped months."""
    del caller
    entries = await asyncio.to_thread(service.store.audit.latest, limit)
    return AuditAnswer([entry.to_json() for entry in entries])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz(service: TheService) -> dict[str, str]:
    """Return 200 while the process works; restart it where this fails.

    503 where the threads that write have ended, or neither the database nor the spool could be
    written for a minute. A lost database alone or a missing model are reported by `/readyz`, since
    a restart would mend neither.
    """
    if not service.intake.is_alive:
        raise errors.ApiError(503, "writer_dead", "the threads that write facts have ended")
    if service.intake.is_lost:
        said = "neither the database nor the spool could be written for a minute"
        raise errors.ApiError(503, "nothing_kept", said)
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
async def readyz(request: Request, service: TheService) -> dict[str, object]:
    """Return 200 while the service can suggest.

    503 without a model, and from the moment the service is asked to stop. A lost database is
    reported, but is no reason to turn buyers away: the spool keeps decisions meanwhile. `tracking`
    is what the next suggestion is likely to be answered: `recorded`, `deferred`, or `off` where the
    spool is full too. `database_problem` says where the file of a SQLite database was deleted or
    exchanged, until some seconds after the service uses the new one.
    """
    live = service.live.status
    # What is wrong with a model names folders, which is nothing for strangers.
    problem = live.problem if live.problem is None or may_read(request) else _MODEL_PROBLEM
    is_there = await service.health_check.is_there()
    tracking = service.intake.outlook(database_there=is_there)
    state: dict[str, object] = {
        "status": "ready",
        "model_version": live.version,
        "model_problem": problem,
        "database": "up" if is_there else "away",
        "database_problem": service.intake.exchange,
        "tracking": tracking,
        "paused": service.guard.paused,
        "loop_lag_seconds": round(service.watchdog.lag, 3),
    }
    if service.watchdog.is_stopping:
        details = state | {"status": "not ready"}
        raise errors.ApiError(503, "stopping", "the service is stopping", details=details)
    if live.version is None:
        details = state | {"status": "not ready"}
        raise errors.ApiError(503, "no_model", problem or "no model", details=details)
    problems = (state["database_problem"], live.problem, service.guard.paused)
    if not is_there or tracking != "recorded" or any(problems):
        state["status"] = "degraded"
    return state


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: TheService, caller: Reporter) -> Response:
    """Return the metrics of all workers together."""
    del caller
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
