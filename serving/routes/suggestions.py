"""`POST /v1/suggestions`: what to offer for a cart. It never breaks a checkout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.engine.facts import Decision, Scope, Tracking
from mersalg.engine.model import Model
from mersalg.engine.storage.questions import KnownBuyer
from mersalg.serving import errors, logs
from mersalg.serving.answers import Display, answer_json, display_of, unknown_item_ids
from mersalg.serving.checkout import decide
from mersalg.serving.request_body import decode, ignored, largest_body, read_body
from mersalg.serving.routes.direct import DirectRoute
from mersalg.serving.schemas import SuggestionRequest
from mersalg.serving.security import Caller, admit, scope_of
from mersalg.serving.service import Service, service_of

_Result = TypeVar("_Result")

_LONG_BODY = 65_536
"""Bytes of a call that is parsed beside the event loop."""
_LONG_CART = 500
"""Entries of a call that is decided beside the event loop."""

router = APIRouter(tags=["suggestions"], route_class=DirectRoute)


@router.post("/v1/suggestions", operation_id="suggest", response_model=None)
async def suggest(request: Request) -> Response:
    """Return as much as can be offered, perhaps nothing.

    Unknown items, a missing model or a lost database are no errors here. `tracking` says where the
    decision is stored. A field that is not known is a 422 where it is at most two letters from a
    known one, else it is named in `warnings`.
    """
    caller = admit(request, "storefront")
    service = service_of(request)
    laps = service.metrics.laps()
    unknown: list[str] = []
    body = await read_body(request, largest_body(request, caller))
    asked = await _asked(service, caller, body, unknown)
    if asked.preview and not caller.may("server"):
        raise errors.ApiError(403, "forbidden", "a preview needs a key of scope server")
    laps.lap("parse")
    logs.redact(lambda: (asked.customer_id, asked.session_id))
    scope, problem = scope_of(
        service.settings, caller, asked.checkout_token, asked.checkout_id, asked.customer_id
    )
    # The token is signed over the id as it was sent.
    nobody = asked.leave_out_nobody()
    model, budget = service.live.model, service.intake.budget()
    # Otherwise a caller who names a customer would see by what is missing what they dismissed.
    recall = service.settings.storefront_recall or scope != "storefront"
    salt = service.salt.stored
    buyer = await service.buyers.of(model, asked, budget, recall=recall, salt=salt)
    laps.lap("look_ups")
    deciding = partial(_decide, service, model, asked, buyer, recall=recall, scope=scope, salt=salt)
    is_long = _entries(asked) > _LONG_CART
    decision, display = await _in_thread(service, deciding) if is_long else deciding()
    logs.decision_id.set(decision.decision_id)
    laps.lap("decide")
    not_known = unknown_item_ids(model, asked)
    tracking: Tracking = "off"
    if not asked.preview:
        if decision.control_share:
            service.buyers.set_arm(decision.session_id, decision.arm)
        tracking = await service.intake.record(decision, budget)
        laps.lap("record")
        _count(service, decision, tracking, late=budget.is_spent)
        service.metrics.unknown_items.inc(len(not_known))
    warnings = [*ignored(unknown), *nobody, *([f"checkout_token {problem}"] if problem else ())]
    answer = answer_json(decision, tracking, display, warnings, not_known)
    laps.lap("answer")
    return Response(answer, media_type="application/json")


async def _asked(
    service: Service, caller: Caller, body: bytes, unknown: list[str]
) -> SuggestionRequest:
    """Return the call; raise ApiError 422 where it is malformed, or long for a page.

    Fields that are not known are added to `unknown`.
    """
    parse = partial(decode, body, SuggestionRequest, unknown)
    asked = await _in_thread(service, parse) if len(body) > _LONG_BODY else parse()
    by_server, most = caller.may("server"), service.settings.storefront_lines
    if not by_server and _entries(asked) > most:
        problem = f"the cart and the lists of a storefront key hold at most {most} entries together"
        raise errors.invalid([{"where": "lines", "message": problem}])
    service.labels.bound(asked, by_server=by_server)
    return asked


def _entries(asked: SuggestionRequest) -> int:
    lists = (asked.lines, asked.exclude_item_ids, asked.declined_item_ids)
    return sum(len(each) for each in lists if each)


async def _in_thread(service: Service, work: Callable[[], _Result]) -> _Result:
    """Do what takes long in a thread, one after the other; the event loop goes on."""
    async with service.long_carts:
        return await asyncio.to_thread(work)


def _count(service: Service, decision: Decision, tracking: Tracking, *, late: bool) -> None:
    offers, degraded = service.metrics.offers, service.metrics.degraded
    for offer in decision.offers:
        offers[offer.kind, decision.arm].n += 1
    if tracking != "recorded":
        degraded[tracking].inc()
    if not service.intake.available:
        degraded["database_away"].inc()
    elif late:
        degraded["deadline"].inc()
    if service.live.model is None:
        degraded["no_model"].inc()
    elif service.guard.paused is not None:
        degraded["paused"].inc()


def _decide(
    service: Service,
    model: Model | None,
    asked: SuggestionRequest,
    buyer: KnownBuyer,
    *,
    recall: bool,
    scope: Scope | None,
    salt: str | None,
) -> tuple[Decision, Display]:
    try:
        decision = decide(
            model,
            asked,
            holdout=not asked.preview,
            known_arm=buyer.arm,
            bought=buyer.purchases,
            dismissed=buyer.dismissed_item_ids,
            paused=service.guard.paused is not None,
            recall=recall,
            scope=scope,
            salt=salt,
        )
        return decision, display_of(model, asked, decision)
    except Exception as error:
        # An error of ours must not cost the shop a checkout: answer as if there were no model.
        decision = decide(
            None, asked, holdout=not asked.preview, known_arm=buyer.arm, scope=scope, salt=salt
        )
        logs.decision_id.set(decision.decision_id)
        service.live.note_failure(model, error)
        service.metrics.degraded["decide_failure"].inc()
        return decision, display_of(None, asked, decision)
