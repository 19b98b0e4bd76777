"""`GET /v1/decisions/{id}`: why one cart was offered what it was, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from mersalg.serving import errors
from mersalg.serving.security import Reporter
from mersalg.serving.service import TheService

router = APIRouter(tags=["decisions"])

_REJECTED, _MAX_REJECTED = 100, 10_000


@router.get("/v1/decisions/{decision_id}", response_model=None)
async def explain_decision(
    service: TheService,
    caller: Reporter,
    decision_id: str,
    rejected: Annotated[int, Query(ge=0, le=_MAX_REJECTED)] = _REJECTED,
) -> Response:
    """Return the cart, the arm, the model version, and every offer with its evidence; ghosts too.

    Customer and session ids are the pseudonyms that are stored. `explanation` names, best first,
    up to `rejected` candidates that were not offered, each with its reason, by the model of the
    decision and the pins and blocks that were in force at its moment.
    """
    del caller
    decision = await asyncio.to_thread(service.store.facts.decision, decision_id)
    if decision is None:
        raise errors.ApiError(404, "not_found", "no such decision")
    explained = await asyncio.to_thread(service.explainer.explain, decision, rejected)
    return Response(msgspec.json.encode(explained), media_type="application/json")
