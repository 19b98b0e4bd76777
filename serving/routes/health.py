"""`/healthz`, `/readyz`, `/metrics`: for those who keep the service running."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from engine.errors import StorageError
from serving import errors
from serving.metrics import CONTENT_TYPE
from serving.security import Reporter
from serving.service import Service, TheService

router = APIRouter(tags=["operation"])

_PING_SECONDS = 1.0


@router.get("/healthz", summary="Is the process alive?", response_model=dict[str, str])
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can it suggest?",
    response_model=dict[str, object],
    responses=errors.documented(503),
)
async def readyz(service: TheService) -> dict[str, object]:
    """503 without a model. A lost database is told but no reason to turn buyers away: decisions
    are kept in the spool meanwhile."""
    live = service.live.status
    state: dict[str, object] = {
        "status": "ready",
        "model_version": live.version,
        "model_problem": live.problem,
        "database": await _database_state(service),
        "paused": service.guard.paused,
    }
    if live.version is None:
        problem = live.problem or "no model"
        raise errors.ApiError(503, "no_model", problem, details=state | {"status": "not ready"})
    if state["database"] != "up" or live.problem or service.guard.paused:
        state["status"] = "degraded"
    return state


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={**errors.documented(401, 403), 200: {"content": {"text/plain": {}}}},
)
async def metrics(service: TheService, caller: Reporter) -> Response:
    del caller
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE)


async def _database_state(service: Service) -> str:
    pinged = asyncio.ensure_future(asyncio.to_thread(service.store.ping))
    done, _ = await asyncio.wait((pinged,), timeout=_PING_SECONDS)
    if not done:
        pinged.add_done_callback(lambda late: late.exception())
        return "away"
    error = pinged.exception()
    if error is not None and not isinstance(error, StorageError):
        raise error
    return "up" if error is None else "away"
