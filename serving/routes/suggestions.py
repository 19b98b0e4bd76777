"""`POST /v1/suggestions`: what to offer for a cart. It never breaks a checkout."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from engine.experiment import assign_arm, unit_of
from engine.facts import Arm, Decision, Tracking
from engine.model import Model
from serving import errors, logs, openapi
from serving.answers import answer_json
from serving.checkout import consents, decide
from serving.customer_past import Bought
from serving.request_body import read_json
from serving.routes.direct import DirectRoute
from serving.schemas import SuggestionRequest, SuggestionResponse
from serving.security import admit
from serving.service import Service, service_of

_log = logging.getLogger("mersalg.suggestions")

router = APIRouter(tags=["suggestions"], route_class=DirectRoute)


@router.post(
    "/v1/suggestions",
    summary="Suggest cross-sell and upsell for a cart",
    response_model=SuggestionResponse,
    responses=errors.documented(401, 403, 413, 415, 422),
    openapi_extra=openapi.json_body("SuggestionRequest", openapi.SUGGESTION_EXAMPLE, admits=True),
)
async def suggest(request: Request) -> Response:
    """Answers 200 with as much as can be offered, perhaps nothing: unknown items, a missing model
    or a lost database are no errors here. `tracking` says where the decision is kept."""
    return Response(await answer(request), media_type="application/json")


async def answer(request: Request) -> bytes:
    """The call's answer as JSON; raises ApiError for a call that is refused."""
    caller = admit(request, "storefront")
    service = service_of(request)
    laps = service.metrics.laps()
    asked = _parse(await read_json(request))
    laps.lap("parse")
    logs.keep_unspoken(lambda: (asked.customer_id, asked.session_id))
    arms, model = service.arms, service.live.model
    patience = service.intake.patience()
    known = await arms.known(
        asked.session_id, patience if _login_could_change_arm(model, asked) else None
    )
    # Without consent nobody is looked up: what was dismissed in this checkout is all there is.
    remembered = (
        asked
        if consents(model, asked)
        else asked.model_copy(update={"customer_id": None, "session_id": None})
    )
    recall = service.settings.storefront_recall or caller.may("server")
    bought: Sequence[Bought] = ()
    if recall:
        bought = await service.pasts.since(model, remembered.customer_id, patience)
    # Else whoever names a customer would see by what is missing what was waved away.
    own = remembered if recall else remembered.model_copy(update={"customer_id": None})
    dismissed = await service.dismissals.of(model, own, patience)
    laps.lap("look_ups")
    decision = _decide(service, model, asked, known, bought, dismissed, recall=recall)
    logs.decision_id.set(decision.decision_id)
    laps.lap("decide")
    arms.remember(asked.session_id, decision.arm)
    tracking = await service.intake.record(decision, patience)
    laps.lap("record")
    _count(service, decision, tracking, late=patience.is_over)
    body = answer_json(decision, tracking)
    laps.lap("answer")
    return body


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


def _parse(data: object) -> SuggestionRequest:
    try:
        return SuggestionRequest.model_validate(data)
    except ValidationError as error:
        details = errors.validation_details(error.errors(include_input=False, include_url=False))
        raise errors.invalid(details) from error


def _login_could_change_arm(model: Model | None, asked: SuggestionRequest) -> bool:
    """Whether the customer was drawn into another arm than the session: 2 h (1 - h) of logins."""
    if model is None or asked.session_id is None or asked.customer_id is None:
        return False
    experiment = model.settings.experiment
    units = (unit_of(asked.customer_id, None), unit_of(None, asked.session_id))
    drawn = {assign_arm(unit, salt=experiment.salt, holdout=experiment.holdout) for unit in units}
    return len(drawn) > 1


def _decide(
    service: Service,
    model: Model | None,
    asked: SuggestionRequest,
    known: Arm | None,
    bought: Sequence[Bought],
    dismissed: Sequence[str],
    *,
    recall: bool,
) -> Decision:
    try:
        return decide(
            model,
            asked,
            known_arm=known,
            bought=bought,
            dismissed=dismissed,
            paused=service.guard.paused is not None,
            recall=recall,
        )
    except Exception:
        # An error of ours must not cost the shop a checkout: answer as if there were no model.
        decision = decide(None, asked, known_arm=known)
        logs.decision_id.set(decision.decision_id)
        _log.exception("no suggestions could be made")
        service.metrics.degraded["decide_failure"].inc()
        return decision
