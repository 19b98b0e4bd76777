"""`POST /v1/events`: what became of the offers. Answered after the facts are on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.errors import FactRejected
from engine.events import ORDER_TYPES, Event, Fact, parse_fact
from engine.storage.store import Rejection
from serving import errors, logs, openapi
from serving.request_body import read_json
from serving.routes.direct import DirectRoute
from serving.security import Caller, admit
from serving.service import Service, service_of

router = APIRouter(tags=["events"], route_class=DirectRoute)


@dataclass(frozen=True)
class EventsAnswer:
    """`recorded` + `duplicates` + the number of `rejected` is the number of events sent."""

    recorded: int
    duplicates: int
    rejected: list[Rejection]


@router.post(
    "/v1/events",
    summary="Record views, clicks, purchases, refunds and cancellations",
    response_model=EventsAnswer,
    responses=errors.documented(401, 403, 413, 415, 422, 503),
    openapi_extra=openapi.json_body("Events", openapi.EVENTS_EXAMPLE, admits=True),
)
async def record_events(request: Request) -> Response:
    """Idempotent by `event_id`: send again whatever was not answered. Each event stands alone; a
    rejected one (`invalid`, `conflict`, `forbidden`) does not hold back its neighbours.
    `purchase`, `refund` and `cancel` need a server key."""
    return Response(await answer(request), media_type="application/json")


async def answer(request: Request) -> bytes:
    """The call's answer as JSON; raises ApiError or StorageError for a call that is refused."""
    caller = admit(request, "storefront")
    service = service_of(request)
    events = _events_of(await read_json(request), service.settings.max_events)
    return orjson.dumps(await take(service, caller, events))


async def take(service: Service, caller: Caller, events: Sequence[object]) -> EventsAnswer:
    """Record what `caller` may tell; each event stands alone."""
    logs.keep_unspoken(lambda: _people_in(events))
    model = service.live.model
    consent_required = model is not None and model.settings.tracking.consent == "required"
    facts: list[Fact] = []
    places: list[int] = []
    rejected: list[Rejection] = []
    for place, event in enumerate(events):
        try:
            facts.append(_allowed(event, caller, consent_required=consent_required))
            places.append(place)
        except FactRejected as error:
            rejected.append(Rejection(place, error.reason, error.message))
    result = await service.intake.record_events(facts)
    service.pasts.forget(
        fact.customer_id
        for fact in facts
        if isinstance(fact, Event) and fact.type == "purchase" and fact.customer_id is not None
    )
    if any(isinstance(fact, Event) and fact.type == "dismiss_promotion" for fact in facts):
        service.dismissals.heard()
    rejected += [Rejection(places[one.index], one.code, one.message) for one in result.rejected]
    rejected.sort(key=lambda one: one.index)
    return EventsAnswer(result.recorded, result.duplicates, rejected)


def _people_in(events: Sequence[object]) -> Iterator[object]:
    for event in events:
        if isinstance(event, dict):
            named = cast("Mapping[str, object]", event)
            yield named.get("customer_id")
            yield named.get("session_id")


def _events_of(data: object, most: int) -> list[object]:
    events = cast("Mapping[str, object]", data).get("events") if isinstance(data, dict) else None
    if not isinstance(events, list):
        raise errors.ApiError(422, "invalid", 'the body must be {"events": [...]}')
    if len(events) > most:
        raise errors.ApiError(
            422, "too_many_events", f"send at most {most} events a call", details={"limit": most}
        )
    return cast("list[object]", events)


def _allowed(event: object, caller: Caller, *, consent_required: bool) -> Fact:
    kind = cast("Mapping[str, object]", event).get("type") if isinstance(event, dict) else None
    if kind == "decision":
        raise FactRejected("forbidden", "decisions come from suggestion calls or an import")
    if isinstance(kind, str) and kind in ORDER_TYPES and not caller.may("server"):
        raise FactRejected("forbidden", f"{kind} needs a key of scope server")
    if consent_required and isinstance(event, dict):
        event = {"consent": False, **cast("Mapping[str, object]", event)}
    return parse_fact(event)
