"""`GET /v1/reports/rates`: both rates, in total and by group."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import StringConstraints
from starlette.responses import Response

from mersalg.engine.tracking.query import parse_query
from mersalg.serving import errors
from mersalg.serving.security import Reporter
from mersalg.serving.service import TheService

_Texts = list[Annotated[str, StringConstraints(max_length=200)]]
_FEWEST_BUYERS = 5
_MOMENT = r"^(\d{4}-\d{2}-\d{2}([T ].+)?)?$"

router = APIRouter(tags=["reports"])


def _asked(description: str, moment: str | None = None) -> Any:
    """Return a parameter that is a text; `moment` is the name of one that is a day or instant."""
    extra = {"pattern": _MOMENT} if moment else None
    return Query(alias=moment, max_length=200, description=description, json_schema_extra=extra)


@router.get(
    "/v1/reports/rates",
    summary="The cross-sell rate and the upsell rate",
    response_model=dict[str, object],
    responses=errors.documented(401, 403, 422, 503),
)
async def report_rates(
    service: TheService,
    caller: Reporter,
    since: Annotated[str | None, _asked("A day (2026-01-31) or an instant", "from")] = None,
    until: Annotated[str | None, _asked("A day, inclusive, or an instant, exclusive", "to")] = None,
    by: Annotated[
        _Texts | None, Query(description="Group keys, separated by commas: day,item; or repeated")
    ] = None,
    kind: Annotated[_Texts | None, Query(description="cross_sell, upsell")] = None,
    timezone: Annotated[str | None, _asked("IANA name; the shop's where not given")] = None,
    currency: Annotated[str | None, _asked("ISO 4217; the shop's where not given")] = None,
    impressions: Annotated[str | None, _asked("viewed, served")] = None,
    window: Annotated[str | None, _asked("Attribution window in days, 0 to 30")] = None,
    level: Annotated[str | None, _asked("Of every interval; 0.95 where not given")] = None,
    compare: Annotated[str | None, _asked("Another period: previous, or FROM..TO")] = None,
    watched: Annotated[
        str | None, _asked("true: intervals of effects hold however often you look")
    ] = None,
    adjusted: Annotated[
        str | None, _asked("true: the revenue effect adjusted by earlier spend too")
    ] = None,
) -> Response:
    """Return both rates; parameters that are missing are as the shop set them, and are stated.

    For a report key groups by item, rule, store or segment with fewer than 5 buyers are one row,
    `other`, in each bucket of time and of other keys (`folded_below`): readers of reports learn
    nothing of single people. Days and totals are not folded, and an admin key reads all groups.
    """
    query = parse_query(
        {
            "from": since,
            "to": until,
            "by": ",".join(by) if by else None,
            "kind": ",".join(kind) if kind else None,
            "timezone": timezone,
            "currency": currency,
            "impressions": impressions,
            "window": window,
            "level": level,
            "compare": compare,
            "watched": watched,
            "adjusted": adjusted,
        }
    )
    if not caller.may("admin"):
        query = replace(query, fold_below=_FEWEST_BUYERS)
    report = await service.reports.rates(query)
    return Response(orjson.dumps(report), media_type="application/json")
