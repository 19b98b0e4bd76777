"""`/dashboard/items`, `/rules` and `/ladders`: tables of what each earns, and a page of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from mersalg.engine.facts import Decision, Kind, Offer
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.tracking.extra_sales import DAYS
from mersalg.serving import errors
from mersalg.serving.dashboard import offers, rule_changes
from mersalg.serving.dashboard.pages import pages_router
from mersalg.serving.dashboard.shell import TheVisit, Visit
from mersalg.serving.presentation.figures import few_digits
from mersalg.serving.presentation.names import Key, Names
from mersalg.serving.presentation.overview import funnel_of
from mersalg.serving.presentation.worthwhile import RECENT, Worth, worth_doing
from mersalg.serving.routes.reports import FEWEST_BUYERS

router = pages_router()

_ON_A_PAGE = 50
_ENTRIES = 1_000
"""Changes by rules, among which those of an offer are looked for."""
_CHANGES = ("set rule", "end rule")

Search = Annotated[str, Query(alias="q", max_length=200)]


@router.get("/dashboard/items")
@router.get("/dashboard/rules")
@router.get("/dashboard/ladders")
async def show_offers(
    visit: TheVisit,
    q: Search = "",
    show: Annotated[str, Query(max_length=20)] = "",
    sort: Annotated[str, Query(max_length=20)] = "kept",
    order: Annotated[str, Query(max_length=4)] = "desc",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    form: Annotated[str, Query(alias="format", max_length=4)] = "",
    done: Annotated[str, Query(max_length=20)] = "",
    rule: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """Show a table of items, rules or upgrades, or write its rows as CSV."""
    name = visit.request.url.path.rsplit("/", 1)[1]
    by = offers.KEY_OF[name]
    report = await offers.counted(visit, by)
    if report is None:
        return await visit.still_counting(name)
    sort = sort if sort in offers.SORTED_BY else "kept"
    every = offers.page_rows(visit, report, by)
    rows = offers.in_order(offers.matching(every, q, show), sort, ascending=order == "asc")
    if form == "csv":
        disposition = f'attachment; filename="{name}.csv"'
        headers = {"Content-Disposition": disposition}
        return Response(offers.csv_of(rows), media_type="text/csv; charset=utf-8", headers=headers)
    start = min(start, max(0, len(rows) - 1)) // _ON_A_PAGE * _ON_A_PAGE
    shown = rows[start : start + _ON_A_PAGE]
    worth = await _worth(visit) if name == "items" else None
    asked: dict[str, Any] = {"q": q, "show": show, "sort": sort, "order": order}
    parameters = {name: value or None for name, value in asked.items()}
    following = start + _ON_A_PAGE
    return await visit.page(
        name,
        "offers.html",
        is_whole=name != "items" or worth is not None,
        by=by,
        lines=[offers.line_of(visit, row) for row in shown],
        scales=offers.Scales.of(shown),
        n_rows=len(rows),
        n_all=len(every),
        start=start,
        stop=start + len(shown),
        next_page=visit.address(**parameters, start=following) if following < len(rows) else None,
        last_page=visit.address(**parameters, start=max(0, start - _ON_A_PAGE)) if start else None,
        kept=parameters,
        csv=visit.address(**parameters, format="csv"),
        **asked,
        shown=offers.SHOWN,
        currency=report["currency"] or "",
        level=visit.figures.level(report["level"]),
        days=report["days"],
        here=visit.address(**parameters, start=start or None),
        done=done,
        rule=rule,
        last_period=None if every else await visit.last_period(),
        worth=worth,
    )


async def _worth(visit: Visit) -> list[Worth] | None:
    """Return the changes of the week; None while they are being counted."""
    reports = await offers.all_counted(visit)
    if reports is None:
        return None
    service = visit.service
    decisions = await asyncio.to_thread(service.store.facts.newest_decisions, RECENT)
    names, rules = Names(service.live.model), rule_changes.rules_now(service)
    return await asyncio.to_thread(worth_doing, reports, rules, decisions, names, visit.figures)


@router.get("/dashboard/items/item")
@router.get("/dashboard/rules/rule")
@router.get("/dashboard/ladders/upgrade")
async def show_offer(
    visit: TheVisit,
    kind: Annotated[Kind, Query(alias="of")],
    key: Annotated[str, Query(max_length=2_000)] = "",
    done: Annotated[str, Query(max_length=20)] = "",
    rule: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """Show one item, rule or upgrade: what it earns, where it is suggested and why."""
    name = visit.request.url.path.split("/")[2]
    by = offers.KEY_OF[name]
    reports = await offers.all_counted(visit)
    if reports is None:
        return await visit.still_counting(name)
    report = reports[by]
    rows = [
        row for row in offers.page_rows(visit, report, by) if row.key == key and row.kind == kind
    ]
    if not rows:
        raise errors.ApiError(404, "not_offered", "nothing of this was offered in the period")
    row = rows[0]
    others: tuple[Key, ...] = ("rule", "upgrade")
    related = [
        offers.line_of(visit, each)
        for other in others
        if by == "item"
        for each in offers.in_order(
            offers.page_rows(visit, reports[other], other), "kept", ascending=False
        )
        if each.item_id == row.item_id and each.kind == kind
    ][:_ON_A_PAGE]
    decisions = await asyncio.to_thread(visit.service.store.facts.newest_decisions, RECENT)
    with_it = [
        (decision, offer)
        for decision in decisions
        for offer in decision.offers
        if _is_of(row, by, offer)
    ]
    entries = await asyncio.to_thread(visit.service.store.audit.latest, _ENTRIES, _CHANGES)
    own_rules = {
        rule_changes.rule_id_of(action, row.beside, row.item_id) for action in ("pin", "block")
    }
    if row.changed is not None and row.changed.rule_id is not None:
        own_rules.add(row.changed.rule_id)
    line = offers.line_of(visit, row)
    here = visit.address(of=kind, key=key)
    return await visit.page(
        name,
        "offer.html",
        by=by,
        line=line,
        back=visit.address(f"/dashboard/{name}"),
        here=here,
        sentence=_sentence(visit, line, report["currency"]),
        funnel=funnel_of(visit.figures, row.measured, row.kind),
        level=visit.figures.level(report["level"]),
        days=report["days"],
        formula=_formula(visit, row, report),
        related=related,
        scales=offers.Scales.of([row, *(each.row for each in related)]),
        places=_places(visit, with_it),
        n_decisions=len(decisions),
        seen=[_seen(visit, decision) for decision, _ in with_it[:10]] if visit.may_change else [],
        history=[
            (visit.moment(entry.occurred_at), _done(visit, entry), entry.who)
            for entry in entries
            if entry.target in own_rules
        ],
        currency=report["currency"] or "",
        done=done,
        rule=rule,
    )


def _done(visit: Visit, entry: AuditEntry) -> str:
    """Return what an administrator did, in words."""
    action = "undone" if entry.action == "end rule" else "done"
    if action == "done" and entry.target is not None:
        action = {"pin": "pinned", "block": "stopped"}.get(entry.target.split("/")[1], "done")
    failed = "" if entry.outcome == "done" else f" ({entry.outcome})"
    return visit.words(f"was_{action}") + failed


def _is_of(row: offers.OfferRow, by: Key, offer: Offer) -> bool:
    if offer.item_id != row.item_id or offer.kind != row.kind:
        return False
    if by == "upgrade":
        return offer.replaces is not None and offer.replaces.item_id == row.beside[0]
    if by == "rule":
        return offer.evidence is not None and offer.evidence.antecedent_item_ids == row.beside
    return True


def _sentence(visit: Visit, line: offers.Line, currency: str | None) -> str:
    """Return what an offer earns, in one sentence."""
    value = line.row.effect["value"]
    if value is None:
        return visit.words("offer_not_clear_yet", bought=line.why_no_effect)
    amount = visit.figures.amount(few_digits(abs(Decimal(value))), currency)
    return visit.words(f"offer_{line.row.says}", amount=amount)


def _formula(
    visit: Visit, row: offers.OfferRow, report: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return how the numbers were counted, with the counts."""
    count, rate, net = visit.figures.count, row.rate, row.measured["net_incremental"]
    treated, control = net["treatment"], net["control"]
    entry = net["offer_revenue_per_checkout"]
    values: dict[str, dict[str, object]] = {
        "rate": {
            "part": count(rate["numerator"]),
            "whole": count(rate["denominator"]),
            "value": visit.figures.percent(rate["value"]),
        }
    }
    if entry["value"] is not None:
        values["effect"] = {
            "bought": count(treated["numerator"]),
            "decided": count(treated["denominator"]),
            "bought_without": count(control["numerator"]),
            "decided_without": count(control["denominator"]),
            "points": visit.figures.points(net["value"]),
        }
        values["money"] = {
            "value": visit.figures.amount(entry["value"], report["currency"], sign=True),
            "checkouts": count(treated["denominator"] + control["denominator"]),
            "month": DAYS,
            "days": visit.figures.days(report["days"]),
        }
    labels = {"rate": "column_rate", "effect": "because_of", "money": "column_effect"}
    return [
        (visit.words(labels[name]), visit.words(f"formula_{name}", **each))
        for name, each in values.items()
    ]


def _places(visit: Visit, with_it: Sequence[tuple[Decision, Offer]]) -> list[dict[str, str | int]]:
    """Return the reasons for which it was suggested, the most frequent first, and their counts."""
    names = Names(visit.service.live.model)
    counts: Counter[tuple[str, ...]] = Counter()
    newest: dict[tuple[str, ...], Offer] = {}
    for _, offer in with_it:
        beside = (
            (offer.replaces.item_id,)
            if offer.replaces is not None
            else (offer.evidence.antecedent_item_ids if offer.evidence else ())
        )
        counts[beside] += 1
        newest.setdefault(beside, offer)
    fewest = 1 if visit.may_change else FEWEST_BUYERS
    return [
        {"beside": names.joined(beside) or visit.words("any_cart"), "n": n}
        | dict(zip(("evidence", "lift"), _why(visit, newest[beside]), strict=True))
        for beside, n in counts.most_common(20)
        if n >= fewest
    ]


def _why(visit: Visit, offer: Offer) -> tuple[str, str]:
    """Return the counts behind an offer and its lift's lower bound, or what an upgrade gains."""
    if offer.evidence is None:
        return offer.text, ""
    counts, count = offer.evidence, visit.figures.count
    joint, whole = count(counts.n_joint), count(counts.n_antecedent)
    lift = visit.figures.decimal(counts.lift_lower) if counts.antecedent_item_ids else ""
    return visit.words("of_orders", joint=joint, whole=whole), lift


def _seen(visit: Visit, decision: Decision) -> dict[str, str]:
    """Return one recent decision that suggested it."""
    names = [Names(visit.service.live.model)[line.item_id] for line in decision.lines[:6]]
    return {
        "at": visit.moment(decision.occurred_at),
        "cart": ", ".join(names) or visit.words("empty_cart"),
        "arm": visit.words(f"arm_{decision.arm}"),
    }
