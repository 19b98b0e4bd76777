"""`/dashboard/health`: what of the facts is missing or wrong, and what to do about it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.responses import Response

from mersalg.engine import clock
from mersalg.engine.facts import KINDS, Decision
from mersalg.engine.model import Model
from mersalg.serving.dashboard.offers import counted
from mersalg.serving.dashboard.pages import pages_router
from mersalg.serving.dashboard.shell import TheVisit, Visit
from mersalg.serving.presentation.glossary import QUALITY, glossary_of
from mersalg.serving.presentation.verdict import IN_DOUBT, MUCH, WHOLES, share_in_doubt
from mersalg.serving.presentation.worthwhile import RECENT

router = pages_router()

_NAMED = 5
_FEWEST_VIEWED = 0.5
"""Share of checkouts with offers of which a view must arrive; pages below it do not report them."""
_ALWAYS_SHOWN = (
    *("orders_without_checkout", "early", "dated_on_arrival"),
    *("unmatched", "unpriced", "reused_checkouts"),
)
"""Counts of facts in doubt of which it is also said that there is none."""
_SILENT_HOURS = 24

State = Literal["ok", "warn", "wait"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is in order, or what is wrong, and what to do."""

    name: str
    state: State
    title: str
    text: str
    advice: str = ""
    codes: Sequence[str] = ()


@router.get("/dashboard/health")
async def show_health(visit: TheVisit) -> Response:
    """Show what of the integration is in order, and what to fix."""
    report = await counted(visit)
    if report is None:
        return await visit.still_counting("health")
    facts = visit.service.store.facts
    decisions = await asyncio.to_thread(facts.newest_decisions, RECENT)
    newest = await asyncio.to_thread(facts.newest)
    checks = list(_checks(visit, report, decisions, newest))
    checks.sort(key=lambda each: ("warn", "wait", "ok").index(each.state))
    return await visit.page(
        "health",
        "health.html",
        checks=checks,
        n_wrong=sum(check.state == "warn" for check in checks),
        counts=[
            (term, visit.figures.count(report["quality"][name]))
            for name in QUALITY
            if (term := glossary_of(visit.language).terms[name])
        ],
        newest="" if newest is None else visit.moment(newest),
    )


def _checks(
    visit: Visit, report: Mapping[str, Any], decisions: Sequence[Decision], newest: int | None
) -> Iterator[Check]:
    count, words, quality = visit.figures.count, visit.words, report["quality"]
    terms = glossary_of(visit.language).terms
    age = None if newest is None else (clock.now() - newest) / clock.MICROS_PER_DAY * 24
    if age is None:
        yield Check("arrive", "wait", words("health_nothing"), words("health_nothing_text"))
        return
    if age > _SILENT_HOURS:
        yield _wrong(visit, "arrive", hours=count(round(age)))
    else:
        yield _right(visit, "arrive", n=count(len(decisions)))
    yield _unknown_items(visit, decisions, visit.service.live.model)
    yield _views(visit, report)
    if not quality["orders"] and decisions:
        yield _wrong(visit, "orders")
    for name in (*_ALWAYS_SHOWN, *(each for each in IN_DOUBT if each not in _ALWAYS_SHOWN)):
        term, n, share = terms[name], quality[name], share_in_doubt(quality, name)
        if n:
            title = words("health_n", n=count(n), name=term.name)
            whole = words(f"whole_{'_'.join(WHOLES[name])}")
            of_whole = words("health_share", share=visit.figures.percent(share), whole=whole)
            text = f"{term.definition} {of_whole}"
            yield Check(name, "warn" if share > MUCH else "ok", title, text, term.advice)
        elif name in _ALWAYS_SHOWN:
            yield _right(visit, name)


def _right(visit: Visit, name: str, **values: object) -> Check:
    title, text = (visit.words(f"health_{name}_ok{end}", **values) for end in ("", "_text"))
    return Check(name, "ok", title, text)


def _wrong(visit: Visit, name: str, codes: Sequence[str] = (), **values: object) -> Check:
    texts = (visit.words(f"health_{name}{end}", **values) for end in ("", "_text", "_do"))
    return Check(name, "warn", *texts, codes=codes)


def _unknown_items(visit: Visit, decisions: Sequence[Decision], model: Model | None) -> Check:
    """Return whether carts hold items that the model does not know."""
    if model is None:
        return Check("unknown_items", "wait", visit.words("health_no_model"), "")
    unknown: Counter[str] = Counter()
    n_carts = 0
    for decision in decisions:
        held = {line.item_id for line in decision.lines}
        missing = {item_id for item_id in held if item_id not in model.catalogue.items}
        unknown.update(missing)
        n_carts += bool(missing)
    if not unknown:
        return _right(visit, "unknown_items", n=visit.figures.count(len(decisions)))
    return _wrong(
        visit,
        "unknown_items",
        codes=[item_id for item_id, _ in unknown.most_common(_NAMED)],
        n=visit.figures.count(len(unknown)),
        carts=visit.figures.count(n_carts),
        of=visit.figures.count(len(decisions)),
    )


def _views(visit: Visit, report: Mapping[str, Any]) -> Check:
    """Return whether pages report which offers were seen."""
    if report["impressions"] != "viewed":
        return _right(visit, "views_served")
    kinds = [report["total"][kind] for kind in KINDS if kind in report["total"]]
    decided = sum(kind["incremental"]["treatment"]["denominator"] for kind in kinds)
    shown = sum(kind["checkout"]["denominator"] for kind in kinds)
    if not decided:
        return Check("views", "wait", visit.words("health_views_wait"), "")
    share = visit.figures.percent(min(1.0, shown / decided))
    if shown / decided < _FEWEST_VIEWED:
        return _wrong(visit, "views", share=share)
    return _right(visit, "views", share=share)
