"""The first page: what the offers are worth, whether to believe it, both rates, and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

from markupsafe import Markup

from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.tracking.power import days_left
from mersalg.serving.dashboard.funnel import Funnel, arms_of, funnel_of
from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.dashboard.timeline import STEPS, Timeline, timeline_of
from mersalg.serving.presentation.charts import (
    COLOURS,
    Scale,
    share_bar,
    whisker,
)
from mersalg.serving.presentation.report import present
from mersalg.serving.presentation.texts import KindText, QualityText, ReportText
from mersalg.serving.presentation.verdict import State, Verdict, verdict_of

Report = Mapping[str, Any]

_MISMATCH = 0.001


@dataclass(frozen=True, slots=True)
class Worth:
    """Extra sales a month of a kind, or of both together (None)."""

    kind: str | None
    amount: str
    between: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one thing that could make the numbers wrong is in order."""

    state: State
    name: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class ArmBar:
    """The share of one arm's checkouts in which the item was bought."""

    name: str
    share: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class RateCard:
    """One of the two rates: how often, how much of it is ours, and what it brought in."""

    text: KindText
    change: str
    effect: str
    effect_range: str
    arms: Sequence[ArmBar]
    anyway: str
    formula: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Overview:
    """What the template of the first page shows; every text is escaped there."""

    report: ReportText
    verdict: Verdict
    exposures: str
    worth: Sequence[Worth]
    worth_formula: Sequence[tuple[str, str]]
    checks: Sequence[Check]
    cards: Sequence[RateCard]
    level: str
    has_data: bool
    step: str
    steps: Sequence[tuple[str, str]]
    timeline: Timeline | None
    funnels: Sequence[Funnel]


def overview_of(
    visit: Visit, report: Report, step: str, actions: Sequence[AuditEntry] = ()
) -> Overview:
    """Return the first page of a report that is split by `step`.

    `actions` are those of administrators, for the marks of the chart.
    """
    return _Page(visit, report, step).overview(actions)


class _Page:
    def __init__(self, visit: Visit, report: Report, step: str) -> None:
        self._visit, self._report, self._step = visit, report, step
        self._figures, self._words = visit.figures, visit.words
        self._kinds: Mapping[str, Report] = report["total"]
        self._currency: str | None = report["currency"]

    def overview(self, actions: Sequence[AuditEntry]) -> Overview:
        effects = [each["incremental"] for each in self._kinds.values()]
        shown = [each["checkout"]["denominator"] for each in self._kinds.values()]
        text = present(self._report, self._visit.shop, self._visit.language)
        return Overview(
            report=text,
            verdict=verdict_of(self._report, self._visit.language, self._days_left()),
            exposures=self._exposures(effects),
            worth=self._worth(),
            worth_formula=self._worth_formula(),
            checks=self._checks(effects, text.quality),
            cards=[self._card(each) for each in text.kinds],
            level=self._figures.level(self._report["level"]),
            has_data=any(shown) or any(sum(arms_of(each)) for each in effects),
            step=self._step,
            steps=[(name, self._visit.address(step=name)) for name in STEPS],
            timeline=timeline_of(self._visit, self._report, self._step, actions),
            funnels=[funnel_of(self._visit, kind, each) for kind, each in self._kinds.items()],
        )

    def _days_left(self) -> float | None:
        """Return the days until the data suffice, by the days since the first with a decision."""
        model = self._visit.service.live.model
        days: float | None = self._report["days"]
        groups: Sequence[Report] = self._report["groups"]
        if self._step == "day" and groups:
            first, last = (date.fromisoformat(groups[at]["key"]["day"]) for at in (0, -1))
            days = (last - first).days + 1
        if model is None or not days:
            return None
        return days_left(self._kinds, model.settings.experiment.worthwhile_effect, days)

    def _exposures(self, effects: Sequence[Report]) -> str:
        treated, control = max((arms_of(each) for each in effects), default=(0, 0))
        return self._words(
            "exposures",
            all=self._figures.count(treated + control),
            treated=self._figures.count(treated),
            control=self._figures.count(control),
        )

    def _worth(self) -> list[Worth]:
        entries: list[tuple[str | None, Report]] = [
            (kind, each["extra_sales"]) for kind, each in self._kinds.items()
        ]
        if len(entries) > 1:
            entries.append((None, self._report["extra_sales"]))
        ends = ("value", "lower", "upper")
        numbers = [
            None if each[end] is None else float(each[end]) for _, each in entries for end in ends
        ]
        scale = Scale.of(numbers)
        found: list[Worth] = []
        for kind, entry in entries:
            if entry["value"] is None:
                found.append(Worth(kind, self._words("not_clear"), "", Markup()))
                continue
            value, lower, upper = (Decimal(entry[end]) for end in ends)
            about, low, high = self._figures.rounded([value, lower, upper])
            is_clear = not lower <= 0 <= upper
            found.append(
                Worth(
                    kind,
                    self._figures.amount(about, self._currency)
                    if is_clear
                    else self._words("not_clear"),
                    self._words(
                        "range",
                        lower=self._figures.amount(low, None),
                        upper=self._figures.amount(high, None),
                    ),
                    whisker(
                        float(value), float(lower), float(upper), scale, COLOURS.get(kind or "", "")
                    ),
                )
            )
        return found

    def _worth_formula(self) -> list[tuple[str, str]]:
        """Return how extra sales a month come about, with exact counts."""
        rows: list[tuple[str, str]] = []
        days = self._figures.days(self._report["days"] or 0)
        for kind, measured in self._kinds.items():
            extra, net = measured["extra_sales"], measured["net_incremental"]
            name = self._words(f"kind_{kind}")
            if extra["value"] is None:
                rows.append((name, self._words("not_yet")))
                continue
            a_checkout = net["offer_revenue_per_checkout"]
            rows.append(
                (
                    name,
                    self._words(
                        "worth_formula",
                        effect=self._figures.amount(a_checkout["value"], self._currency),
                        checkouts=self._figures.count(extra["checkouts"]),
                        days=days,
                        amount=self._figures.amount(extra["value"], self._currency),
                    ),
                )
            )
        together = self._report["extra_sales"]
        if together["value"] is not None and len(self._kinds) > 1:
            value, lower, upper = (
                self._figures.amount(together[end], self._currency)
                for end in ("value", "lower", "upper")
            )
            between = self._words("range", lower=lower, upper=upper)
            rows.append((self._words("together"), f"{value} ({between})"))
        return rows

    def _checks(self, effects: Sequence[Report], quality: Sequence[QualityText]) -> list[Check]:
        if not effects:
            return []
        largest = max(effects, key=lambda each: sum(arms_of(each)))
        return [
            self._check_completion(largest["completion"]),
            self._check_basket(largest["revenue_per_checkout"]),
            self._check_groups(largest),
            self._check_data(quality),
        ]

    def _check_completion(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self._words("check_completion"), self._words("not_yet"))
        is_lost = entry["upper"] < 0
        return Check(
            "bad" if is_lost else "ok",
            self._words("check_lost" if is_lost else "check_not_lost"),
            self._words(
                "check_completion_text",
                treated=self._figures.percent(entry["treatment"]["value"]),
                control=self._figures.percent(entry["control"]["value"]),
                points=self._figures.points(entry["value"]),
                between=self._points_range(entry),
            ),
        )

    def _check_basket(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self._words("check_basket"), self._words("not_yet"))
        is_less = Decimal(entry["upper"]) < 0
        treated, control, value, lower, upper = (
            round(Decimal(entry[name]), 2)
            for name in ("treatment", "control", "value", "lower", "upper")
        )
        return Check(
            "warn" if is_less else "ok",
            self._words("check_basket_less" if is_less else "check_basket_agrees"),
            self._words(
                "check_basket_text",
                treated=self._figures.amount(treated, self._currency),
                control=self._figures.amount(control, None),
                change=self._figures.amount(value, None, sign=True),
                between=self._words(
                    "range",
                    lower=self._figures.amount(lower, None, sign=True),
                    upper=self._figures.amount(upper, None, sign=True),
                ),
            ),
        )

    def _check_groups(self, effect: Report) -> Check:
        p_value = self._report["quality"]["srm_p_value"]
        treated, control = arms_of(effect)
        if p_value is None or not control:
            return Check("wait", self._words("check_groups"), self._words("check_no_groups"))
        is_uneven = p_value < _MISMATCH
        return Check(
            "warn" if is_uneven else "ok",
            self._words("check_uneven" if is_uneven else "check_fair"),
            self._words(
                "check_groups_text",
                control=self._figures.count(control),
                all=self._figures.count(treated + control),
                share=self._figures.percent(control / (treated + control)),
                p_value=self._figures.p_value(p_value),
            ),
        )

    def _check_data(self, quality: Sequence[QualityText]) -> Check:
        immature = self._visit.terms["immature"]  # always some of the last days
        notable = [each.term.name for each in quality if each.is_notable and each.term != immature]
        if not notable:
            name = self._words("check_data_ok")
            return Check("ok", name, self._words("check_data_ok_text"), "quality")
        count = self._figures.count(len(notable))
        name = self._words("check_data_one" if len(notable) == 1 else "check_data", count=count)
        return Check("warn", name, ", ".join(islice(notable, 3)), "quality")

    def _points_range(self, entry: Report) -> str:
        lower, upper = (self._figures.points(entry[end]) for end in ("lower", "upper"))
        return self._words("range", lower=lower, upper=upper)

    def _card(self, text: KindText) -> RateCard:
        measured = self._kinds[text.kind]
        effect = measured["incremental"]
        known = effect["value"] is not None
        treated, control = effect["treatment"]["value"], effect["control"]["value"]
        arms: list[ArmBar] = []
        if known:
            widest = max(treated, control) or 1.0
            arms = [
                ArmBar(self._words("arm_with"), self._figures.percent(treated),
                       share_bar(treated / widest, COLOURS[text.kind])),
                ArmBar(self._words("arm_without"), self._figures.percent(control),
                       share_bar(control / widest, COLOURS["control"])),
            ]  # fmt: skip
        anyway = ""
        if known and treated and treated > control:
            anyway = self._words("anyway_of_ten", n=round(10 * control / treated))
        formula = [
            (each.term.name, f"{each.value} {each.interval} {each.fraction}. {each.term.formula}")
            for each in text.rates
        ]
        formula.append((self._visit.terms["incremental"].name, "; ".join(text.incremental)))
        unknown = "effect_blocked" if effect["status"] == "blocked" else "effect_not_yet"
        return RateCard(
            text=text,
            change=self._change(text.kind),
            effect=self._figures.points(effect["value"]) if known else "",
            effect_range=self._points_range(effect) if known else self._words(unknown),
            arms=arms,
            anyway=anyway,
            formula=formula,
        )

    def _change(self, kind: str) -> str:
        """Return how the rate of customers changed since the period before, where that is known."""
        other = self._report.get("comparison")
        if other is None:
            return ""
        change, before = other["change"][kind]["customer"], other["total"][kind]["customer"]
        if change["value"] is None or not before["denominator"]:
            return self._words("change_unknown")
        is_clear = not change["lower"] <= 0 <= change["upper"]
        first, last = (date.fromisoformat(other[end]) for end in ("from", "to"))
        return self._words(
            "change_clear" if is_clear else "change_chance",
            points=self._figures.points(change["value"]),
            before=self._figures.percent(before["value"]),
            period=self._figures.period(first, last),
        )
