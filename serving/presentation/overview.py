"""The first page: what the offers are worth, whether to believe it, both rates, and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from mersalg.engine.config import ExperimentSection
from mersalg.engine.locales import Language
from mersalg.serving.presentation.charts import COLOURS, Scale, bars, whisker
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.report import KindText, ReportText
from mersalg.serving.presentation.timeline import Occurrences, spark_of, timeline_of
from mersalg.serving.presentation.verdict import Verdicts, arms_of

Report = Mapping[str, Any]

_NOTHING = Occurrences()


@dataclass(frozen=True, slots=True)
class Worth:
    """Extra sales a month of a kind, or of both together (None)."""

    kind: str | None
    amount: str
    between: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class RateCard:
    """One of the two rates: how often, how much of it is ours, and what it brought in."""

    text: KindText
    spark: Markup
    change: str
    effect: str
    effect_range: str
    arms: Sequence[tuple[str, str, Markup]]
    """For each arm its name, the share of its checkouts in which the item was bought, as a bar."""
    anyway: str
    formula: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Funnel:
    """A kind's steps: name, chart, what checkouts with offers did, and those without."""

    kind: str
    rows: Sequence[tuple[str, Markup, Sequence[str], Sequence[str]]]


class Overview(EntryWords):
    """What the template of the first page shows; every text is escaped there.

    The report is split by `step`: `day`, `week` or `month`. For `experiment` see `Verdicts`.
    """

    def __init__(
        self,
        report: Report,
        shop: str | None,
        language: Language,
        *,
        step: str,
        experiment: ExperimentSection | None = None,
        occurred: Occurrences = _NOTHING,
    ) -> None:
        super().__init__(language, report["currency"])
        self._report, self.step = report, step
        self._kinds: Mapping[str, Report] = report["total"]
        self.report = ReportText(report, shop, language, experiment=experiment)
        self.verdict = self.report.verdict
        self.checks = Verdicts(report, language).checks()
        effects = [kind["incremental"] for kind in self._kinds.values()]
        shown = [kind["checkout"]["denominator"] for kind in self._kinds.values()]
        self.has_data = any(shown) or any(sum(arms_of(effect)) for effect in effects)
        self.cards = [self._card(kind) for kind in self.report.kinds]
        self.timeline = timeline_of(self, report, step, occurred)
        self.funnels = [funnel_of(self, each, kind) for kind, each in self._kinds.items()]
        self.confidence = self.level(report["level"])

    @property
    def exposures(self) -> str:
        """How many checkouts were eligible, with offers and without."""
        effects = [kind["incremental"] for kind in self._kinds.values()]
        treated, control = max((arms_of(effect) for effect in effects), default=(0, 0))
        return self.phrase(
            "exposures",
            all=self.count(treated + control),
            treated=self.count(treated),
            control=self.count(control),
        )

    @property
    def worth(self) -> list[Worth]:
        """What the offers are worth, each kind and both together."""
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
        return [self._worth_of(kind, entry, scale) for kind, entry in entries]

    def _worth_of(self, kind: str | None, entry: Report, scale: Scale) -> Worth:
        if entry["value"] is None:
            return Worth(kind, self.phrase("not_clear"), "", Markup())
        value, lower, upper = (Decimal(entry[end]) for end in ("value", "lower", "upper"))
        about, low, high = self.rounded([value, lower, upper])
        bare = {"lower": low, "upper": high}
        return Worth(
            kind,
            self.phrase("not_clear") if lower <= 0 <= upper else self.money(about),
            self.range(bare, lambda amount: self.amount(amount, None)),
            whisker(float(value), float(lower), float(upper), scale, COLOURS.get(kind or "", "")),
        )

    @property
    def worth_formula(self) -> list[tuple[str, str]]:
        """How extra sales a month come about, with exact counts."""
        rows: list[tuple[str, str]] = []
        days = self.days(self._report["days"] or 0)
        for kind, measured in self._kinds.items():
            extra, net = measured["extra_sales"], measured["net_incremental"]
            name = self.phrase(f"kind_{kind}")
            if extra["value"] is None:
                rows.append((name, self.phrase("not_yet")))
                continue
            text = self.phrase(
                "worth_formula",
                effect=self.amount(net["offer_revenue_per_checkout"]["value"], self.currency),
                checkouts=self.count(extra["checkouts"]),
                days=days,
                amount=self.money(extra["value"]),
            )
            rows.append((name, text))
        together = self._report["extra_sales"]
        if together["value"] is not None and len(self._kinds) > 1:
            between = self.range(together, self.money)
            rows.append((self.phrase("together"), f"{self.money(together['value'])} ({between})"))
        return rows

    def _card(self, text: KindText) -> RateCard:
        effect = self._kinds[text.kind]["incremental"]
        is_known = effect["value"] is not None
        treated, control = effect["treatment"]["value"], effect["control"]["value"]
        arms: list[tuple[str, str, Markup]] = []
        if is_known:
            widest = max(treated, control) or 1.0
            arms = [
                (self.phrase(name), self.percent(share), bars([(share / widest, COLOURS[of])]))
                for name, share, of in (
                    ("arm_with", treated, text.kind),
                    ("arm_without", control, "control"),
                )
            ]
        anyway = ""
        if is_known and treated and treated > control:
            anyway = self.phrase("anyway_of_ten", n=round(10 * control / treated))
        formula = [
            (rate.term.name, f"{rate.value} {rate.interval} {rate.fraction}. {rate.term.formula}")
            for rate in text.rates
        ]
        formula.append((self.terms["incremental"].name, "; ".join(text.incremental)))
        unknown = "effect_blocked" if effect["status"] == "blocked" else "effect_not_yet"
        return RateCard(
            text=text,
            spark=spark_of(self, self._report, text.kind),
            change=self._change(text.kind),
            effect=self.points(effect["value"]) if is_known else "",
            effect_range=self.range(effect, self.points) if is_known else self.phrase(unknown),
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
            return self.phrase("change_unknown")
        is_clear = not change["lower"] <= 0 <= change["upper"]
        first, last = (date.fromisoformat(other[end]) for end in ("from", "to"))
        return self.phrase(
            "change_clear" if is_clear else "change_chance",
            points=self.points(change["value"]),
            before=self.percent(before["value"]),
            period=self.period(first, last),
        )


def funnel_of(figures: EntryWords, measured: Report, kind: str) -> Funnel:
    """Return the steps of checkouts: those with offers, and those of the control arm.

    Where everybody gets offers, they begin with the checkouts that were shown one.
    """
    words, colour = figures.phrase, COLOURS[kind]
    gross, net, clicks = (
        measured[name] for name in ("incremental", "net_incremental", "click_through")
    )
    (treated, control), shown = arms_of(gross), measured["checkout"]["denominator"]
    bought, n_kept = gross["treatment"]["numerator"], net["treatment"]["numerator"]
    if not treated:
        treated = shown
        bought, n_kept = (measured[name]["numerator"] for name in ("checkout", "net_checkout"))
    held_back = [words("held_back")]

    def step(name: str, of_treated: int, of_control: int | None) -> Any:
        shares = [(of_treated / treated if treated else 0.0, colour)]
        cells = [figures.percent(min(1.0, shares[0][0])), figures.count(of_treated)]
        other = held_back
        if of_control is not None:
            share = of_control / control if control else 0.0
            shares.append((share, COLOURS["control"]))
            other = [figures.percent(share if control else None), figures.count(of_control)]
        drawn = bars([(min(1.0, share), of) for share, of in shares])
        return (words(f"step_{name}"), drawn, cells, other)

    part, whole = (figures.count(clicks[name]) for name in ("numerator", "denominator"))
    clicked = (
        words("step_clicked"),
        bars([(clicks["value"] or 0.0, colour)]),
        [figures.percent(clicks["value"]), words("clicks_of_offers", part=part, whole=whole)],
        held_back,
    )
    return Funnel(
        kind,
        [
            step("decided", treated, control),
            step("shown", shown, None),
            clicked,
            step("bought", bought, gross["control"]["numerator"]),
            step("kept", n_kept, net["control"]["numerator"]),
        ],
    )
