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
    """A row in the words and numbers of a page."""

    visit: Visit
    row: OfferRow

    @property
    def address(self) -> str | None:
        """The row's own page."""
        row = self.row
        if not row.item_id:
            return None
        name = next(name for name, by in KEY_OF.items() if by == row.by)
        return self.visit.address(f"/dashboard/{name}/{row.by}", of=row.kind, key=row.key)

    @property
    def antecedent(self) -> str:
        """What the cart holds, as a field of a form."""
        return antecedent_text(self.row.beside)

    @property
    def rate(self) -> str:
        """How often it converted."""
        return self.visit.figures.percent(self.row.rate["value"])

    @property
    def rate_range(self) -> str:
        """The interval of that."""
        return self._range(*(self._percent(end) for end in ("lower", "upper")))

    @property
    def shrunken(self) -> str:
        """The rate drawn towards that of all."""
        return self.visit.figures.percent(self.row.rate["shrunken"])

    @property
    def shown(self) -> str:
        """How often it was shown."""
        return self.visit.figures.count(self.row.rate["denominator"])

    @property
    def kept(self) -> str:
        """What was sold after it and kept."""
        return self.visit.figures.amount(whole(self.row.kept), None)

    @property
    def effect(self) -> str:
        """Extra sales a month; empty where they are not known."""
        return "" if self.row.effect.value is None else self.money(self.row.effect.value)

    @property
    def effect_range(self) -> str:
        """The interval of that; why there is none."""
        effect = self.row.effect
        if effect.lower is None or effect.upper is None:
            return ""
        return self._range(self.money(effect.lower), self.money(effect.upper))

    @property
    def why_no_effect(self) -> str:
        """What is missing for an effect."""
        net = self.row.measured["net_incremental"]
        control = net["control"]
        if net["status"] == "blocked":
            return self.visit.words("reason_blocked")
        bought, decided = (self.visit.figures.count(control[name] or 0) for name in _FRACTION)
        return self.visit.words("bought_without", bought=bought, decided=decided)

    @property
    def evidence(self) -> str:
        """The counts behind a rule."""
        return evidence_text(self.visit, self.row.evidence)

    @property
    def lift(self) -> str:
        """Lower bound of the lift of a rule."""
        evidence = self.row.evidence
        return "" if evidence is None else self.visit.figures.decimal(evidence.lift_lower)

    def money(self, amount: Decimal) -> str:
        """Return a difference in money in few digits."""
        return self.visit.figures.amount(whole(few_digits(amount)), None, sign=True)

    def _percent(self, end: str) -> str:
        return self.visit.figures.percent(self.row.rate[end])

    def _range(self, lower: str, upper: str) -> str:
        return self.visit.words("range", lower=lower, upper=upper)


_FRACTION = ("numerator", "denominator")


def whole(amount: Decimal | None) -> Decimal | None:
    """Return an amount without decimals."""
    return None if amount is None else amount.quantize(Decimal(1))


def evidence_text(visit: Visit, evidence: Evidence | None) -> str:
    """Return the counts behind a rule in words; empty where there are none."""
    if evidence is None:
        return ""
    joint, whole = (visit.figures.count(n) for n in (evidence.n_joint, evidence.n_antecedent))
    return visit.words("of_orders", joint=joint, whole=whole)
