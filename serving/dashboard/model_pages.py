"""`/dashboard/models` and `/dashboard/try`: what serves, what could, and what a cart is offered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query
from starlette.responses import RedirectResponse, Response

from mersalg.engine import clock, money
from mersalg.engine.errors import ModelError
from mersalg.engine.facts import Offer
from mersalg.engine.manifest import Manifest
from mersalg.engine.merchandising.reasons import REJECTIONS
from mersalg.engine.model import Model
from mersalg.engine.storage.audit import AuditEntry
from mersalg.serving.answers import OfferDisplay, ShownOffer, display_of
from mersalg.serving.checkout import decide
from mersalg.serving.dashboard.pages import pages_router
from mersalg.serving.dashboard.shell import TheVisit, Visit
from mersalg.serving.model_difference import compare_models
from mersalg.serving.presentation.names import Names
from mersalg.serving.routes.models import publish_model, roll_back
from mersalg.serving.schemas import RequestLine, SuggestionRequest

router = pages_router()

_ENTRIES = 1_000
_PUBLISHING = ("publish", "roll back")
_MAX_FOUND = 20
_MAX_ITEMS = 50
_REJECTED = 30
_COUNTS = ("orders", "items", "rules", "tiers_ladders_with_steps", "customers")
_METRICS = ("hit_rate_at_10", "discovery_hit_rate_at_10")


@router.get("/dashboard/models")
async def show_models(
    visit: TheVisit,
    before: Annotated[str, Query(max_length=100)] = "",
    after: Annotated[str, Query(max_length=100)] = "",
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the versions side by side, and the difference of two of them."""
    service = visit.service
    manifests = await asyncio.to_thread(service.registry.versions)
    entries = await asyncio.to_thread(service.store.audit.latest, _ENTRIES, _PUBLISHING)
    current = service.registry.current()
    versions = [_version(visit, manifest, entries, current) for manifest in reversed(manifests)]
    difference, problem = None, ""
    missing = {before, after} - {"", *(manifest.version for manifest in manifests)}
    if missing:
        problem = visit.words("version_not_there", version=", ".join(sorted(missing)))
    elif before and after:
        try:
            models = [
                await asyncio.to_thread(service.explainer.model, name) for name in (before, after)
            ]
            difference = await asyncio.to_thread(compare_models, *models)
        except ModelError:
            problem = visit.words("version_unusable")
    return await visit.page(
        "models",
        "models.html",
        versions=versions,
        before=before,
        after=after,
        difference=difference,
        names=Names(service.live.model),
        price=partial(_price, visit, service.live.model),
        problem=problem,
        done=done,
        rule="",
        here=visit.address("/dashboard/models"),
    )


@router.post("/dashboard/models/publish")
async def publish_version(visit: TheVisit) -> RedirectResponse:
    """Publish a version, and go back to the page."""
    form = await visit.form()
    await publish_model(visit.service, visit.caller, form.get("version", ""))
    return RedirectResponse(visit.address("/dashboard/models", done="published"), 303)


@router.post("/dashboard/models/rollback")
async def roll_version_back(visit: TheVisit) -> RedirectResponse:
    """Publish the version before this one, and go back to the page."""
    await visit.form()
    await roll_back(visit.service, visit.caller)
    return RedirectResponse(visit.address("/dashboard/models", done="rolled_back"), 303)


def _version(
    visit: Visit, manifest: Manifest, entries: Sequence[AuditEntry], current: str | None
) -> dict[str, object]:
    """Return a version in words; `published` says when and by whom, the newest first."""
    counts = [
        (visit.words(f"count_{name}"), visit.figures.count(manifest.counts[name]))
        for name in _COUNTS
        if isinstance(manifest.counts.get(name), int)
    ]
    metrics = [
        (visit.words(f"metric_{name}"), _metric(visit, manifest.metrics[name]))
        for name in _METRICS
        if manifest.metrics.get(name, {}).get("mersalg")
    ]
    published = [
        (visit.moment(entry.occurred_at), entry.who)
        for entry in entries
        if entry.target == manifest.version and entry.outcome == "done"
    ]
    return {
        "version": manifest.version,
        "created": visit.moment(clock.to_micros(datetime.fromisoformat(manifest.created_at))),
        "summary": manifest.summary,
        "counts": counts,
        "metrics": metrics,
        "published": published,
        "is_current": manifest.version == current,
    }


def _metric(visit: Visit, metric: Mapping[str, Any]) -> str:
    value = visit.figures.percent(metric["mersalg"]["value"])
    others = [each["value"] for name, each in metric.items() if not name.startswith("mersalg")]
    if not others:
        return value
    return visit.words("metric_beside", value=value, best=visit.figures.percent(max(others)))


def _price(visit: Visit, model: Model | None, minor: int | None) -> str:
    if minor is None or model is None:
        return "–"
    currency = model.catalogue.currency
    return visit.figures.amount(money.to_text(minor, currency), currency)


@router.get("/dashboard/try")
async def try_cart(
    visit: TheVisit,
    item: Annotated[list[str] | None, Query(max_length=_MAX_ITEMS)] = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show what a cart would be offered, and why; nothing is recorded."""
    service, model = visit.service, visit.service.live.model
    chosen = list(dict.fromkeys(each[:200] for each in item or [] if each))
    matches = await asyncio.to_thread(_find, model, q, set(chosen))
    names = Names(model)
    decision, explained, shown = None, None, list[ShownOffer]()
    if chosen and model is not None:
        request = SuggestionRequest(
            checkout_id="try",
            locale=visit.language,
            lines=tuple(RequestLine(each) for each in chosen),
        )
        decision = decide(
            model, request, holdout=False, paused=service.guard.paused is not None, recall=False
        )
        explained = await asyncio.to_thread(service.explainer.explain, decision, _REJECTED)
        shown = list(display_of(model, request, decision).offers)

    def with_item(added: str) -> str:
        return visit.address(item=None) + "".join(map(_pair, [*chosen, added]))

    def without_item(gone: str) -> str:
        return visit.address(item=None) + "".join(_pair(each) for each in chosen if each != gone)

    explanation = None if explained is None else explained.explanation
    pinned = set(explanation.pinned_item_ids) if explanation else set[str]()
    return await visit.page(
        "try",
        "try.html",
        cart=[(each, names[each], model is not None and each in model.catalogue.items)
              for each in chosen],
        q=q,
        found=matches,
        given=[
            _given(visit, offer, seen.display, pinned)
            for offer, seen in zip(decision.offers if decision else (), shown, strict=True)
        ],
        is_asked=decision is not None,
        rejected=[
            (each.kind, each.name, visit.words(f"reason_of_{each.reason}"))
            for each in (explanation.rejected if explanation else ())
        ],
        n_rejected=sum(explanation.counts.values()) if explanation else 0,
        reasons=[
            (visit.words(f"reason_of_{reason.code}"), n)
            for reason in REJECTIONS
            if explanation and (n := explanation.counts.get(reason.code))
        ],
        with_item=with_item,
        without_item=without_item,
    )  # fmt: skip


def _pair(item_id: str) -> str:
    return f"&item={quote(item_id, safe='')}"


def _find(model: Model | None, text: str, chosen: set[str]) -> list[tuple[str, str]]:
    """Return items whose name or id holds every word of a text."""
    words = text.casefold().split()
    if model is None or not words:
        return []
    catalogue, matches = model.catalogue, list[tuple[str, str]]()
    for item_id, name in zip(catalogue.items.ids, catalogue.names, strict=True):
        searched = f"{name} {item_id}".casefold()
        if item_id not in chosen and all(word in searched for word in words):
            matches.append((item_id, name or item_id))
    return sorted(matches, key=lambda each: (len(each[1]), each[1]))[:_MAX_FOUND]


def _given(visit: Visit, offer: Offer, seen: OfferDisplay, pinned: set[str]) -> dict[str, object]:
    """Return an offer as buyers see it, and why it was chosen."""
    names, evidence = Names(visit.service.live.model), offer.evidence
    is_pinned = offer.item_id in pinned
    if is_pinned:
        why = visit.words("why_pinned")
    elif offer.replaces is not None:
        why = visit.words("why_upgrade", name=names[offer.replaces.item_id])
    elif evidence is None or not evidence.antecedent_item_ids:
        why = visit.words("why_popular")
    else:
        why = visit.words(
            "why_rule",
            names=names.joined(evidence.antecedent_item_ids),
            joint=visit.figures.count(evidence.n_joint),
            whole=visit.figures.count(evidence.n_antecedent),
            lift=visit.figures.decimal(evidence.lift_lower),
        )
    price = seen.difference or seen.price or ""
    return {"offer": offer, "price": price, "why": why, "pinned": is_pinned}
