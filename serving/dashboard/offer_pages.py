"""`/dashboard/items`, `/rules` and `/ladders`: tables of what each earns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from mersalg.serving.dashboard.offer_lines import (
    KEY_OF,
    Scales,
    all_counted,
    counted,
    line_of,
    page_rows,
)
from mersalg.serving.dashboard.offers import SHOWN, SORTED_BY, csv_of, in_order, matching
from mersalg.serving.dashboard.problem_pages import pages_router
from mersalg.serving.dashboard.rule_changes import rules_now
from mersalg.serving.dashboard.shell import TheVisit, Visit
from mersalg.serving.presentation.entries import EntryWords
from mersalg.serving.presentation.names import Names
from mersalg.serving.presentation.worthwhile import RECENT, Worth, worth_doing

router = pages_router()

_ON_A_PAGE = 50

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
    by = KEY_OF[name]
    report = await counted(visit, by)
    if report is None:
        return await visit.still_counting(name)
    sort = sort if sort in SORTED_BY else "kept"
    every = page_rows(visit, report, by)
    rows = in_order(matching(every, q, show), sort, ascending=order == "asc")
    if form == "csv":
        disposition = f'attachment; filename="{name}.csv"'
        headers = {"Content-Disposition": disposition}
        return Response(csv_of(rows), media_type="text/csv; charset=utf-8", headers=headers)
    start = min(start, max(0, len(rows) - 1)) // _ON_A_PAGE * _ON_A_PAGE
    shown = rows[start : start + _ON_A_PAGE]
    kept: dict[str, Any] = {"q": q or None, "show": show or None, "sort": sort, "order": order}
    return await visit.page(
        name,
        "offers.html",
        by=by,
        lines=[line_of(visit, row) for row in shown],
        scales=Scales.of(shown),
        n_rows=len(rows),
        n_all=len(every),
        start=start,
        stop=start + len(shown),
        next_page=visit.address(**kept, start=start + _ON_A_PAGE)
        if start + _ON_A_PAGE < len(rows)
        else None,
        last_page=visit.address(**kept, start=max(0, start - _ON_A_PAGE)) if start else None,
        columns=[_column(visit, each, sort, order, q, show) for each in SORTED_BY],
        csv=visit.address(**kept, format="csv"),
        q=q,
        show=show,
        shown=SHOWN,
        sort=sort,
        order=order,
        currency=report["currency"] or "",
        level=visit.figures.level(report["level"]),
        days=report["days"],
        here=visit.address(**kept, start=start or None),
        done=done,
        rule=rule,
        last_period=None if every else await visit.last_period(),
        worth=await _worth(visit) if name == "items" else None,
    )


async def _worth(visit: Visit) -> list[Worth] | None:
    """Return the changes of the week; None while they are being counted."""
    reports = await all_counted(visit)
    if reports is None:
        return None
    service, words = visit.service, EntryWords(visit.language)
    decisions = await asyncio.to_thread(service.store.facts.newest_decisions, RECENT)
    names, rules = Names(service.live.model), rules_now(service)
    return await asyncio.to_thread(worth_doing, reports, rules, decisions, names, words)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be sorted by: the address that does, and `aria-sort` where it is."""

    name: str
    label: str
    address: str
    sorted: str


def _column(visit: Visit, name: str, sort: str, order: str, q: str, show: str) -> Column:
    is_sorted = name == sort
    first = "asc" if name == "name" else "desc"
    other = {"asc": "desc", "desc": "asc"}[order if order == "asc" else "desc"]
    address = visit.address(
        q=q or None, show=show or None, sort=name, order=other if is_sorted else first
    )
    direction = ("ascending" if order == "asc" else "descending") if is_sorted else ""
    return Column(name, visit.words(f"column_{name}"), address, direction)
