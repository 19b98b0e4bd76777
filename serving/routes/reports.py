"""`GET /v1/reports/rates`: both rates, in total and by group."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from mersalg.engine.tracking.query import parse_query
from mersalg.serving.security import Reporter
from mersalg.serving.service import TheService

_Text = Annotated[str, Field(max_length=200)]
FEWEST_BUYERS = 5
"""Groups of fewer are put together for all but administrators."""
_MOMENT = {"pattern": r"^(\d{4}-\d{2}-\d{2}([T ].+)?)?$"}

router = APIRouter(tags=["reports"])


class RatesQuery(BaseModel, extra="forbid"):
    """Parameters of a report, as `parse_query` takes them; a misspelt one would ask for another."""

    since: _Text | None = Field(None, alias="from", json_schema_extra={**_MOMENT})
    until: _Text | None = Field(None, alias="to", json_schema_extra={**_MOMENT})
    by: list[_Text] | None = None
    kind: list[_Text] | None = None
    timezone: _Text | None = None
    currency: _Text | None = None
    impressions: _Text | None = None
    window: _Text | None = None
    level: _Text | None = None
    compare: _Text | None = None
    watched: _Text | None = None
    adjusted: _Text | None = None


@router.get("/v1/reports/rates", response_model=dict[str, object])
async def report_rates(
    service: TheService, caller: Reporter, asked: Annotated[RatesQuery, Query()]
) -> Response:
    """Return both rates; parameters that are missing are as the shop set them, and are stated.

    For a report key groups by item, rule, store or segment with fewer than 5 buyers are one row,
    `other`, in each bucket of time and of other keys (`folded_below`): readers of reports learn
    nothing of single people. Days and totals are not folded, and an admin key reads all groups.
    """
    parameters = asked.model_dump(by_alias=True)
    for name in ("by", "kind"):
        parameters[name] = ",".join(parameters[name] or ()) or None
    query = parse_query(parameters)
    if not caller.may("admin"):
        query = replace(query, fold_below=FEWEST_BUYERS)
    report = await service.reports.rates(query)
    return Response(orjson.dumps(report), media_type="application/json")
