"""`/healthz`, `/readyz`, `/metrics`: for those who keep the service running."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from serving import errors
from serving.metrics import CONTENT_TYPE
from serving.security import Reporter
from serving.service import TheService

router = APIRouter(tags=["operation"])


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
    are kept in the spool meanwhile. `tracking` is what the next suggestion is likely to be
    answered: `recorded`, `deferred`, or `off` where the spool takes no more either."""
    live = service.live.status
    is_there = await service.pulse.is_there()
    tracking = service.intake.outlook(database_there=is_there)
    state: dict[str, object] = {
        "status": "ready",
        "model_version": live.version,
        "model_problem": live.problem,
        "database": "up" if is_there else "away",
        "tracking": tracking,
        "paused": service.guard.paused,
    }
    if live.version is None:
        problem = live.problem or "no model"
        raise errors.ApiError(503, "no_model", problem, details=state | {"status": "not ready"})
    if not is_there or tracking != "recorded" or live.problem or service.guard.paused:
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
