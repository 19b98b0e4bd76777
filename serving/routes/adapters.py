"""`POST /v1/adapters/...`: events in the words of GA4, Segment and Shopify."""

from __future__ import annotations

import asyncio
import hmac
import logging
from dataclasses import replace
from http import HTTPStatus
from weakref import WeakKeyDictionary

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.engine import clock
from mersalg.engine.adapters import shopify
from mersalg.engine.adapters.selection import ItemNames, adapter_named
from mersalg.engine.errors import FactRejected, shown
from mersalg.engine.model import Model
from mersalg.engine.storage.fact_rows import Rejection
from mersalg.serving import errors
from mersalg.serving.request_body import largest_body, parse_json, read_body, read_json
from mersalg.serving.routes.customers import erase_customer
from mersalg.serving.routes.direct import DirectRoute
from mersalg.serving.routes.events import EventsAnswer, answer_of, take
from mersalg.serving.routes.items import take_items
from mersalg.serving.security import ANYONE, Caller, admit
from mersalg.serving.service import service_of

_log = logging.getLogger("mersalg.webhooks")

_item_names: WeakKeyDictionary[Model, ItemNames] = WeakKeyDictionary()

_SHOPIFY = Caller(frozenset(), "shopify")
"""Who erases a customer by a webhook, in the audit log."""

router = APIRouter(tags=["events"], route_class=DirectRoute)


@router.post("/v1/adapters/ga4", response_model=EventsAnswer)
async def from_ga4(request: Request) -> Response:
    """Record a Measurement Protocol body, one event, or a push to a data layer.

    `promotion_id` is the `offer_id`. An item without an `item_id` is known by its `item_name`, as
    the catalogue names it. Events that concern no offer and no order are ignored. Keys as
    for `/v1/events`.
    """
    return await _from(request, "ga4")


@router.post("/v1/adapters/segment", response_model=EventsAnswer)
async def from_segment(request: Request) -> Response:
    """Record one `track` message or a batch.

    `promotion_id` is the `offer_id`. Keys as for `/v1/events`.
    """
    return await _from(request, "segment")


@router.post("/v1/adapters/shopify", response_model=EventsAnswer)
async def from_shopify(request: Request) -> Response:
    """Record a webhook.

    It needs no key: its signature (`X-Shopify-Hmac-Sha256`), made with the secret in
    `MERSALG_SHOPIFY_SECRET`, proves where it comes from. `customers/redact` erases the customer as
    `DELETE /v1/customers/{id}`; `products/create`, `products/update`, `products/delete` and
    `inventory_levels/update` change items as `POST /v1/items`; other topics that are no sale or
    return are `ignored`. What cannot be
    taken, a body over the limit too, is answered 200 with the reason in `rejected`, logged and
    counted in `quality`: after other answers Shopify would end its subscription.
    """
    service = service_of(request)
    secret = service.settings.shopify_secret
    if secret is None:
        raise errors.ApiError(
            403, "forbidden", "no MERSALG_SHOPIFY_SECRET is set: webhooks cannot be proven"
        )
    digest, body = hmac.new(secret, digestmod="sha256"), b""
    too_large: errors.ApiError | None = None
    try:
        body = await read_body(request, digest=digest)
    except errors.ApiError as error:
        if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        too_large = error
    signature = request.headers.get("x-shopify-hmac-sha256", "")
    if not shopify.is_from_shopify(digest, signature):
        raise errors.ApiError(401, "unauthorized", "the signature is not that of the body")
    topic = request.headers.get("x-shopify-topic")
    try:
        if too_large is not None:
            raise too_large
        payload = parse_json(body)
        erases = topic == "customers/redact"
        customer_id = shopify.redacted_customer(payload) if erases else ""
        now, items = clock.now(), dict(service.shop.items)  # which another thread changes
        is_of_items = topic in shopify.TOPICS
        stated = shopify.stated_items(payload, topic, now, items) if is_of_items else []
        events = [] if is_of_items else shopify.translate(payload, now, topic)
    except (FactRejected, errors.ApiError) as error:
        service.metrics.events.labels("rejected").inc()
        taken = EventsAnswer(0, 0, [Rejection(0, "invalid", error.message)])
    else:
        if erases:
            erased = await erase_customer(service, _SHOPIFY, customer_id)
            return Response(orjson.dumps(erased), media_type="application/json")
        if stated:
            accepted = await take_items(service, stated)
            n_newer = sum(item is not None for item in accepted)
            taken = EventsAnswer(n_newer, len(accepted) - n_newer, [])
        else:
            taken = await take(service, ANYONE, events)
        if not events and not stated:
            service.metrics.events.labels("ignored").inc()
            taken = replace(taken, ignored=topic or "a webhook without a topic")
            _log.info("a webhook of %s was ignored", shown(taken.ignored))
    if taken.rejected:
        # Shopify ends a subscription after some refusals, which no retry would mend.
        problems = [f"{candidate.code}: {candidate.message}" for candidate in taken.rejected]
        _log.warning("a webhook of %s was refused: %s", shown(topic), "; ".join(problems))
        await asyncio.to_thread(service.store.facts.count_refusal, clock.now())
    return answer_of(taken, retries=False)


async def _from(request: Request, name: str) -> Response:
    caller = admit(request, "storefront")
    service = service_of(request)
    payload = await read_json(request, largest_body(request, caller))
    most = service.settings.max_events
    try:
        events = adapter_named(name)(payload, clock.now())
    except FactRejected as error:
        raise errors.ApiError(422, "invalid", error.message) from error
    if len(events) > most:
        problem = f"send at most {most} events a call"
        raise errors.ApiError(422, "too_many_events", problem, details={"limit": most})
    if (model := service.live.model) is not None:
        if model not in _item_names:
            _item_names[model] = ItemNames(model.catalogue)
        _item_names[model].put_ids(events)
    return answer_of(await take(service, caller, events))
