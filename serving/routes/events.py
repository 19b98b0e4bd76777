"""`POST /v1/events`: what became of the offers. Answered after the facts are on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.adapters.shopify import OWN_PREFIX
from engine.errors import FactRejected
from engine.events import ORDER_TYPES, Event, Fact, parse_fact
from engine.storage.batch import Prepared
from engine.storage.ordinary import is_plain
from engine.storage.store import Rejection
from serving import errors, logs, openapi
from serving.request_body import parse_json, read_body
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
    body = await read_body(request)
    events = _events_of(parse_json(body), service.settings.max_events)
    return orjson.dumps(await take(service, caller, events, plain=is_plain(body)))


async def take(
    service: Service, caller: Caller, events: Sequence[object], *, plain: bool = False
) -> EventsAnswer:
    """Record what `caller` may tell; each event stands alone.

    `plain`: every text in them is, see `is_plain`.
    """
    logs.keep_unspoken(lambda: _people_in(events))
    model = service.live.model
    consent_required = model is not None and model.settings.tracking.consent == "required"
    facts: list[Fact | Prepared] = []
    places: list[int] = []
    rejected: list[Rejection] = []
    buyers: list[str] = []
    dismissed = False
    quick = service.store.ordinary_event if plain else _never
    for place, event in enumerate(events):
        try:
            allowed = _allowed(event, caller, consent_required=consent_required)
            fact = quick(allowed) or parse_fact(allowed)
        except FactRejected as error:
            rejected.append(Rejection(place, error.reason, error.message))
            continue
        facts.append(fact)
        places.append(place)
        kind = fact.type if isinstance(fact, Prepared | Event) else "decision"
        if kind == "purchase":
            # By the id the shop knows, not by the pseudonym that is kept.
            buyers += filter(None, (cast("Mapping[str, str]", allowed).get("customer_id"),))
        dismissed = dismissed or kind == "dismiss_promotion"
    result = await service.intake.record_events(facts)
    service.pasts.forget(buyers)
    if dismissed:
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


def _allowed(event: object, caller: Caller, *, consent_required: bool) -> object:
    """The event as it may be told; raises FactRejected."""
    if not isinstance(event, dict):
        return event
    told = cast("dict[str, object]", event)
    kind = told.get("type")
    if kind == "decision":
        raise FactRejected("forbidden", "decisions come from suggestion calls or an import")
    if isinstance(kind, str) and kind in ORDER_TYPES and not caller.may("server"):
        raise FactRejected("forbidden", f"{kind} needs a key of scope server")
    named = told.get("event_id")
    if isinstance(named, str) and named.startswith(OWN_PREFIX) and not caller.may("server"):
        # Such an id can be guessed, and who came first with it would keep the order out.
        raise FactRejected("forbidden", f"ids that begin with {OWN_PREFIX} are those of webhooks")
    return {"consent": False, **told} if consent_required else told


def _never(_event: object) -> None:
    return None
