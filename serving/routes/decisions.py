"""`GET /v1/decisions/{id}`: why one cart was offered what it was."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from engine.fact_records import explained
from serving import errors
from serving.security import Reporter
from serving.service import TheService

router = APIRouter(tags=["decisions"])


@router.get(
    "/v1/decisions/{decision_id}",
    summary="Explain one decision",
    response_model=dict[str, object],
    responses=errors.documented(401, 403, 404, 503),
)
async def explain_decision(service: TheService, caller: Reporter, decision_id: str) -> Response:
    """The cart, the arm, the model version, and every offer with its evidence; ghosts too.
    Customer and session ids are the pseudonyms that are stored."""
    del caller
    decision = await asyncio.to_thread(service.store.decision, decision_id)
    if decision is None:
        raise errors.ApiError(404, "not_found", "no such decision")
    return Response(orjson.dumps(explained(decision)), media_type="application/json")
