"""`POST /v1/adapters/...`: events in the words of GA4, Segment and Shopify."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine import clock
from engine.adapters import shopify
from engine.adapters.choosing import Adapter, adapter_named
from engine.errors import FactRejected
from serving import errors, openapi
from serving.request_body import largest_body, parse_json, read_body, read_json
from serving.routes.direct import DirectRoute
from serving.routes.events import EventsAnswer, answer_of, take
from serving.security import ANYONE, admit
from serving.service import Service, service_of

router = APIRouter(tags=["events"], route_class=DirectRoute)

_ANSWERS = errors.documented(401, 403, 413, 415, 422, 503)


@router.post(
    "/v1/adapters/ga4",
    summary="Record events in the words of Google Analytics 4",
    response_model=EventsAnswer,
    responses=_ANSWERS,
    openapi_extra=openapi.foreign_body(openapi.GA4_EXAMPLE),
)
async def from_ga4(request: Request) -> Response:
    """Record a Measurement Protocol body, one event, or a push to a data layer.

    `promotion_id` is the `offer_id`. Events that concern no offer and no order are ignored. Keys as
    for `/v1/events`.
    """
    return await _from(request, "ga4")


@router.post(
    "/v1/adapters/segment",
    summary="Record events in the words of Segment",
    response_model=EventsAnswer,
    responses=_ANSWERS,
    openapi_extra=openapi.foreign_body(openapi.SEGMENT_EXAMPLE),
)
async def from_segment(request: Request) -> Response:
    """Record one `track` message or a batch.

    `promotion_id` is the `offer_id`. Keys as for `/v1/events`.
    """
    return await _from(request, "segment")


@router.post(
    "/v1/adapters/shopify",
    summary="Record orders and refunds of a Shopify webhook",
    response_model=EventsAnswer,
    responses=_ANSWERS,
    openapi_extra=openapi.foreign_body(openapi.SHOPIFY_EXAMPLE, signed=True),
)
async def from_shopify(request: Request) -> Response:
    """Record a webhook.

    It needs no key: its signature (`X-Shopify-Hmac-Sha256`), made with the secret in
    `MERSALG_SHOPIFY_SECRET`, proves where it comes from.
    """
    service = service_of(request)
    secret = service.settings.shopify_secret
    if secret is None:
        raise errors.ApiError(
            403, "forbidden", "no MERSALG_SHOPIFY_SECRET is set: webhooks cannot be proven"
        )
    body = await read_body(request)
    signature = request.headers.get("x-shopify-hmac-sha256", "")
    if not shopify.is_from_shopify(body, signature, secret):
        raise errors.ApiError(401, "unauthorized", "the signature is not that of the body")
    topic = request.headers.get("x-shopify-topic")
    events = _translated(
        lambda data, at: shopify.translate(data, at, topic), parse_json(body), service
    )
    return answer_of(await take(service, ANYONE, events))


async def _from(request: Request, name: str) -> Response:
    caller = admit(request, "storefront")
    service = service_of(request)
    events = _translated(
        adapter_named(name), await read_json(request, largest_body(request, caller)), service
    )
    return answer_of(await take(service, caller, events))


def _translated(adapter: Adapter, payload: object, service: Service) -> list[dict[str, object]]:
    try:
        events = adapter(payload, clock.now())
    except FactRejected as error:
        raise errors.ApiError(422, "invalid", error.message) from error
    if len(events) > service.settings.max_events:
        most = service.settings.max_events
        raise errors.ApiError(
            422, "too_many_events", f"send at most {most} events a call", details={"limit": most}
        )
    return events
