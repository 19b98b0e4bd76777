"""The changes of a week that are worth making, in words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from mersalg.engine.tracking.worthwhile import Action, Candidate, worthwhile
from mersalg.serving.dashboard import rule_changes
from mersalg.serving.dashboard.offer_lines import (
    RECENT,
    all_counted,
    few_digits,
    page_rows,
    whole,
)
from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.presentation.names import Names


@dataclass(frozen=True, slots=True)
class Worth:
    """One change that is worth making, in words."""

    action: Action
    title: str
    reason: str
    gain: str
    gain_range: str
    rule_action: str
    antecedent: str


async def worth_doing(visit: Visit) -> list[Worth] | None:
    """Return the changes of the week; None while they are being counted."""
    reports = await all_counted(visit)
    if reports is None:
        return None
    candidates: list[Candidate] = []
    for by, report in reports.items():
        for row in page_rows(visit, report, by):
            is_stop = by == ("item" if row.kind == "cross_sell" else "upgrade")
            if row.item_id and row.changed is None and (is_stop or by == "rule"):
                candidates.append(
                    Candidate(row.key, by, row.kind, row.beside, row.item_id, row.measured)
                )
    of_items = reports["item"]
    if not of_items["days"]:
        return []
    decisions = await asyncio.to_thread(visit.service.store.facts.newest_decisions, RECENT)
    found = await asyncio.to_thread(
        worthwhile, candidates, of_items["total"], of_items["days"], decisions
    )
    return [_worth(visit, each, of_items["currency"]) for each in found]


def _worth(visit: Visit, action: Action, currency: str | None) -> Worth:
    names, of, money = Names(visit.service.live.model), action.candidate, visit.figures.amount
    net = of.measured["net_incremental"]
    value, lower, upper = (
        whole(few_digits(Decimal(each)))
        for each in (action.gain.value, action.gain.lower, action.gain.upper)
    )
    words = {
        "name": names[of.item_id],
        "beside": names.joined(of.antecedent),
        "with_offer": visit.figures.percent(net["treatment"]["value"]),
        "without": visit.figures.percent(net["control"]["value"]),
        "carts": visit.figures.count(round(action.carts)),
    }
    said = action.action + ("_upgrade" if of.by == "upgrade" else "")
    return Worth(
        action,
        visit.words(f"worth_{said}", **words),
        visit.words(f"worth_{said}_why", **words),
        visit.words("a_week", amount=money(value, currency, sign=True)),
        visit.words("range", lower=money(lower, None), upper=money(upper, None)),
        "pin" if action.action == "pin" else "block",
        rule_changes.antecedent_text(of.antecedent),
    )
