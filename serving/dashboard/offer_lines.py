"""Rows of offers in the words and numbers of a page, and how pages wait for their counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mersalg.serving.dashboard import rule_changes
from mersalg.serving.dashboard.offers import Evidence, OfferRow, rows_of
from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.presentation.charts import Scale
from mersalg.serving.presentation.figures import few_digits
from mersalg.serving.presentation.names import Key, antecedent_text

FEWEST_BUYERS = 5
"""Groups of fewer are put together for all but administrators, as in `GET /v1/reports/rates`."""

KEY_OF: Mapping[str, Key] = {"items": "item", "rules": "rule", "ladders": "upgrade"}


async def counted(visit: Visit, *by: str) -> Mapping[str, Any] | None:
    """Return the report of a page by some keys; None while it is still being counted."""
    fold = 0 if visit.caller.may("admin") else FEWEST_BUYERS
    return await visit.counted(*by, fold_below=fold)


async def all_counted(visit: Visit) -> dict[Key, Mapping[str, Any]] | None:
    """Return the reports by each key; None while one of them is still being counted."""
    found = await asyncio.gather(*(counted(visit, key) for key in KEY_OF.values()))
    reports: dict[Key, Mapping[str, Any]] = {
        key: each for key, each in zip(KEY_OF.values(), found, strict=True) if each is not None
    }
    return reports if len(reports) == len(found) else None


def page_rows(visit: Visit, report: Mapping[str, Any], by: Key) -> list[OfferRow]:
    """Return the rows of a report, with the pins and blocks in force."""
    rules = rule_changes.rules_now(visit.service)
    return rows_of(report["groups"], by, visit.service.live.model, rules)


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of the dots of a page: of shares, and of money."""

    rate: Scale
    effect: Scale

    @classmethod
    def of(cls, rows: Sequence[OfferRow]) -> Scales:
        """Return scales with every interval."""
        bounds = [row.rate[end] for row in rows for end in ("lower", "upper")]
        money = [
            float(end)
            for row in rows
            for end in (row.effect.lower, row.effect.upper)
            if end is not None
        ]
        return cls(Scale.of(bounds), Scale.of(money))


@dataclass(frozen=True, slots=True)
class Line:
    """A row in the words and numbers of a page; ranges are intervals, `lift` a lower bound.

    Attributes
    ----------
    address : str or None
        The row's own page.
    antecedent : str
        What the cart holds, as a field of a form.
    effect, effect_range : str
        Extra sales a month; empty where they are not known.
    why_no_effect : str
        What is missing for an effect.
    """

    row: OfferRow
    address: str | None
    antecedent: str
    shown: str
    rate: str
    rate_range: str
    shrunken: str
    kept: str
    effect: str
    effect_range: str
    why_no_effect: str
    evidence: str
    lift: str


def line_of(visit: Visit, row: OfferRow) -> Line:
    """Return a row in the words and numbers of a page."""
    figures, words, effect, rate = visit.figures, visit.words, row.effect, row.rate
    name = next(name for name, by in KEY_OF.items() if by == row.by)
    net = row.measured["net_incremental"]
    bought, decided = (
        figures.count(net["control"][part] or 0) for part in ("numerator", "denominator")
    )
    is_blocked = net["status"] == "blocked"

    def between(*ends: str) -> str:
        return words("range", lower=ends[0], upper=ends[1])

    def money(amount: Decimal) -> str:
        return figures.amount(whole(few_digits(amount)), None, sign=True)

    return Line(
        row=row,
        address=visit.address(f"/dashboard/{name}/{row.by}", of=row.kind, key=row.key)
        if row.item_id and not visit.shared_until
        else None,
        antecedent=antecedent_text(row.beside),
        shown=figures.count(rate["denominator"]),
        rate=figures.percent(rate["value"]),
        rate_range=between(*(figures.percent(rate[end]) for end in ("lower", "upper"))),
        shrunken=figures.percent(rate["shrunken"]),
        kept=figures.amount(whole(row.kept), None),
        effect="" if effect.value is None else money(effect.value),
        effect_range=""
        if effect.lower is None or effect.upper is None
        else between(money(effect.lower), money(effect.upper)),
        why_no_effect=words("reason_blocked")
        if is_blocked
        else words("bought_without", bought=bought, decided=decided),
        evidence=evidence_text(visit, row.evidence),
        lift=figures.decimal(row.evidence.lift_lower) if row.evidence else "",
    )


def whole(amount: Decimal | None) -> Decimal | None:
    """Return an amount without decimals."""
    return None if amount is None else amount.quantize(Decimal(1))


def evidence_text(visit: Visit, evidence: Evidence | None) -> str:
    """Return the counts behind a rule in words; empty where there are none."""
    if evidence is None:
        return ""
    joint, whole = (visit.figures.count(n) for n in (evidence.n_joint, evidence.n_antecedent))
    return visit.words("of_orders", joint=joint, whole=whole)
