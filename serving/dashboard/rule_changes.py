"""Stopping and pinning from a page as `PUT /v1/rules` does, and offering again after a pause."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import RedirectResponse

from mersalg.engine import clock
from mersalg.engine.live_catalogue import InForce, rules_at
from mersalg.engine.merchandising.sections import OffersSection
from mersalg.engine.tracking import guardrail
from mersalg.serving import errors
from mersalg.serving.dashboard.pages import pages_router
from mersalg.serving.dashboard.shell import TheVisit
from mersalg.serving.routes.rules import end_rule, put_rule
from mersalg.serving.security import audited
from mersalg.serving.service import Service

router = pages_router()

_ACTIONS = {"pin": "pinned", "block": "stopped"}
PREFIX = "dashboard/"
"""Begin of the ids of rules that a page sets."""


def rule_id_of(action: str, antecedent: Sequence[str], item_id: str) -> str:
    """Return the id of the rule that a page sets: the same for the same change."""
    text = "\0".join((*sorted(antecedent), item_id))
    return f"{PREFIX}{action}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def rules_now(service: Service) -> list[InForce]:
    """Return pins and blocks in force at this moment."""
    trained = service.live.trained
    timezone = trained.settings.shop.timezone if trained else "UTC"
    offers = service.shop.offers or (trained.settings.offers if trained else OffersSection())
    return rules_at(clock.now(), service.shop.rules, offers, timezone)


@router.post("/dashboard/change")
async def change_rule(visit: TheVisit) -> RedirectResponse:
    """Stop or pin an item, alone or beside others, and go back to the page."""
    form = await visit.form()
    action, item_id = form.get("action", ""), form.get("item", "")
    if action not in _ACTIONS:
        raise errors.invalid([{"where": "action", "message": "must be pin or block"}])
    antecedent = [value for _, value in parse_qsl(form.get("antecedent", ""))]
    of = {"consequent": item_id, "antecedent": antecedent} if antecedent else {"item": item_id}
    rule_id = rule_id_of(action, antecedent, item_id)
    await put_rule(visit.service, visit.caller, rule_id, {"action": action, **of})
    return _back(form.get("back", ""), done=_ACTIONS[action], rule=rule_id)


@router.post("/dashboard/undo")
async def undo_rule(visit: TheVisit) -> RedirectResponse:
    """End a rule that was set here, and go back to the page."""
    form = await visit.form()
    await end_rule(visit.service, visit.caller, form.get("rule", ""))
    return _back(form.get("back", ""), done="undone", rule=None)


@router.post("/dashboard/resume")
async def resume_offers(visit: TheVisit) -> RedirectResponse:
    """Offer again after a pause, as `mersalg guardrail resume`, and go back to the page."""
    form = await visit.form()
    service = visit.service
    async with audited(service, visit.caller, "resume offers"):
        service.guard.take(await asyncio.to_thread(guardrail.resume, service.store, clock.now()))
    return _back(form.get("back", ""), done="resumed", rule=None)


def _back(address: str, *, done: str, rule: str | None) -> RedirectResponse:
    """Return the way to a page of ours, with what was done."""
    parts = urlsplit(address)
    path = parts.path if parts.path.startswith("/dashboard") else "/dashboard/items"
    parameters = [pair for pair in parse_qsl(parts.query) if pair[0] not in ("done", "rule")]
    query = [*parameters, ("done", done), *((("rule", rule),) if rule else ())]
    return RedirectResponse(f"{path}?{urlencode(query)}", 303)
