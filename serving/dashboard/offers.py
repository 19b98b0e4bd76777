"""What each item, rule or upgrade earns: rows of a report, in words and as CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from mersalg.engine.csv_cells import safe_cell
from mersalg.engine.facts import KINDS, Evidence, Kind
from mersalg.engine.live_catalogue import InForce, rule_of
from mersalg.engine.model import Model
from mersalg.engine.tracking.query import UNKNOWN
from mersalg.serving.dashboard import rule_changes
from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.presentation.charts import Scale
from mersalg.serving.presentation.figures import few_digits
from mersalg.serving.presentation.names import Key, Names, is_decided, parts_of
from mersalg.serving.routes.reports import FEWEST_BUYERS

Report = Mapping[str, Any]

KEY_OF: Mapping[str, Key] = {"items": "item", "rules": "rule", "ladders": "upgrade"}


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One kind of one row of a report."""

    by: Key
    key: str
    """`by`, `key`: as in the report."""
    kind: Kind
    item_id: str
    name: str
    """`item_id`, `name`: what is offered; empty of the row that has the others."""
    beside: tuple[str, ...]
    """Ids of the antecedent of a rule, or of the base item of an upgrade."""
    beside_names: str
    """Their names."""
    measured: Report
    """The entries of the report."""
    evidence: Evidence | None
    changed: InForce | None
    """The pin or block of exactly this row."""

    @property
    def state(self) -> str:
        """Return `pinned`, `stopped` or nothing."""
        return self.changed.state if self.changed else ""

    @property
    def rate(self) -> Report:
        """How often the offer converted, of those shown."""
        return self.measured["offer"]

    @property
    def effect(self) -> Report:
        """Extra sales a month."""
        return self.measured["extra_sales"]

    @property
    def says(self) -> Literal["earning", "losing", "unclear"]:
        """What the whole interval of the effect says."""
        lower, upper = (Decimal(self.effect[end] or 0) for end in ("lower", "upper"))
        return "earning" if lower > 0 else "losing" if upper < 0 else "unclear"

    @property
    def kept(self) -> Decimal | None:
        """What was sold after an offer and kept."""
        text = self.measured["net_revenue"]
        return None if text is None else Decimal(text)


def rows_of(
    groups: Iterable[Report], by: Key, model: Model | None, rules: Sequence[InForce]
) -> list[OfferRow]:
    """Return a row for each group of a report by `by`, and kind of which something was decided.

    The model names the items and has the counts behind its rules; `rules` are those in force.
    """
    names, rows = Names(model), list[OfferRow]()
    for group in groups:
        key = group["key"][by]
        if key == UNKNOWN:
            continue
        beside, item_id = parts_of(by, key)
        for kind in KINDS:
            measured = group.get(kind)
            if measured is None or not is_decided(measured):
                continue
            name = names[item_id] if item_id else ""
            evidence = evidence_of(model, beside, item_id) if by == "rule" else None
            changed = rule_of(rules, beside, item_id) if item_id else None
            given = (item_id, name, beside, names.joined(beside), measured, evidence, changed)
            rows.append(OfferRow(by, key, kind, *given))
    return rows


def evidence_of(model: Model | None, beside: Sequence[str], item_id: str) -> Evidence | None:
    """Return the counts behind a rule; None where the model has none."""
    if model is None or not beside:
        return None
    index, table = model.catalogue.items.index_of, model.rules
    consequent, places = index(item_id), [index(each) for each in beside]
    if consequent is None or None in places:
        return None
    wanted = sorted(position for position in places if position is not None)
    alike = (table.consequent == consequent) & (table.lengths == len(wanted))
    for rule in np.flatnonzero(alike).tolist():
        if table.antecedents[rule].tolist() == wanted:
            own = table.take(np.array([rule]))
            n_joint, n_antecedent = int(own.n_joint[0]), int(own.n_antecedent[0])
            derived = (each.item(0) for each in (own.confidence(), own.lift(), own.lift_lower()))
            return Evidence(tuple(beside), n_joint, n_antecedent, *derived)
    return None


SORTED_BY = ("name", "shown", "rate", "shrunken", "kept", "effect", "evidence")


def in_order(rows: Collection[OfferRow], sort: str, *, ascending: bool) -> list[OfferRow]:
    """Return rows by one of `SORTED_BY`; those of which it is not known come last."""

    def value(row: OfferRow) -> Any:
        return {
            "name": (row.name.casefold(), row.beside_names.casefold()) if row.name else None,
            "shown": row.rate["denominator"],
            "rate": row.rate["value"],
            "shrunken": row.rate["shrunken"],
            "kept": row.kept,
            "effect": row.effect["value"] and Decimal(row.effect["value"]),
            "evidence": row.evidence and row.evidence.lift_lower,
        }[sort]

    with_value = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    return [*sorted(with_value, key=value, reverse=not ascending), *unknown]


SHOWN = ("earning", "losing", "unclear", "changed")


def matching(rows: Iterable[OfferRow], text: str, show: str) -> list[OfferRow]:
    """Return rows with every word of a text in their names or ids, and of one state of `SHOWN`.

    Without a text, and with another state, all are returned.
    """
    words = text.casefold().split()

    def matches(row: OfferRow) -> bool:
        text = " ".join((row.name, row.beside_names, row.key)).casefold()
        shown = {row.says, "changed" if row.changed else ""}
        return (show not in SHOWN or show in shown) and all(word in text for word in words)

    return [row for row in rows if matches(row)]


_COLUMNS = (
    *("key", "kind", "item_id", "name", "beside", "state", "shown", "converted"),
    *("rate", "rate_lower", "rate_upper", "rate_shrunken", "revenue", "net_revenue"),
    *("extra_sales_a_month", "extra_sales_lower", "extra_sales_upper", "why_not"),
    *("n_joint", "n_antecedent", "lift_lower"),
)


def csv_of(rows: Iterable[OfferRow]) -> str:
    """Return rows as CSV; texts that a spreadsheet would run as formulas are quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        rate, effect, evidence = row.rate, row.effect, row.evidence
        writer.writerow(
            [
                *map(safe_cell, (row.key, row.kind, row.item_id, row.name, row.beside_names)),
                row.state,
                *(rate["denominator"], rate["numerator"]),
                *(rate["value"], rate["lower"], rate["upper"], rate["shrunken"]),
                *(row.measured["revenue"], row.measured["net_revenue"]),
                *(effect["value"], effect["lower"], effect["upper"], effect["reason"]),
                *((evidence.n_joint, evidence.n_antecedent, evidence.lift_lower) if evidence
                  else (None, None, None)),
            ]
        )  # fmt: skip
    return text.getvalue()


async def counted(visit: Visit, *by: str) -> Mapping[str, Any] | None:
    """Return the report of a page by some keys; None while it is still being counted."""
    fold = 0 if visit.caller.may("admin") else FEWEST_BUYERS
    return await visit.counted(*by, fold_below=fold)


async def all_counted(visit: Visit) -> dict[Key, Mapping[str, Any]] | None:
    """Return the reports by each key; None while one of them is still being counted."""
    results = await asyncio.gather(*(counted(visit, key) for key in KEY_OF.values()))
    reports: dict[Key, Mapping[str, Any]] = {
        key: each for key, each in zip(KEY_OF.values(), results, strict=True) if each is not None
    }
    return reports if len(reports) == len(results) else None


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
            for end in (row.effect["lower"], row.effect["upper"])
            if end is not None
        ]
        return cls(Scale.of(bounds), Scale.of(money))


@dataclass(frozen=True, slots=True)
class Line:
    """A row in words of a page; its counts and shares are written where they are shown."""

    row: OfferRow
    address: str | None
    """The row's own page."""
    kept: str
    effect: str
    effect_range: str
    """`effect`, `effect_range`: extra sales a month, and their interval; empty where not known."""
    why_no_effect: str
    """What is missing for an effect."""


def line_of(visit: Visit, row: OfferRow) -> Line:
    """Return a row in the words and numbers of a page."""
    figures, effect = visit.figures, row.effect
    name = next(name for name, by in KEY_OF.items() if by == row.by)

    def money(amount: str) -> str:
        return figures.amount(few_digits(Decimal(amount)), None, sign=True)

    return Line(
        row=row,
        address=visit.address(f"/dashboard/{name}/{row.by}", of=row.kind, key=row.key)
        if row.item_id and not visit.shared_until
        else None,
        kept=figures.amount(None if row.kept is None else row.kept.quantize(Decimal(1)), None),
        effect="" if effect["value"] is None else money(effect["value"]),
        effect_range="" if effect["value"] is None else figures.range(effect, money),
        why_no_effect=_why_no_effect(visit, row.measured["net_incremental"]),
    )


def _why_no_effect(visit: Visit, net: Report) -> str:
    if net["status"] == "blocked":
        return visit.words("reason_blocked")
    control = net["control"]
    if not control["denominator"]:
        return visit.words("nobody_without")
    bought, decided = (visit.figures.count(control[part]) for part in ("numerator", "denominator"))
    return visit.words("bought_without", bought=bought, decided=decided)
