"""The report JSON as texts: what the terminal, the HTML file and the dashboard all show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mersalg.engine.config import ExperimentSection
from mersalg.engine.locales import Language
from mersalg.engine.tracking.query import TIME_KEYS
from mersalg.serving.presentation.figures import EntryWords, RateText
from mersalg.serving.presentation.glossary import (
    MEANS,
    NOT_IN_DOUBT,
    QUALITY,
    RATES,
    Term,
    glossary_of,
)
from mersalg.serving.presentation.names import Names, is_decided
from mersalg.serving.presentation.verdict import MISMATCH, Verdicts

Report = Mapping[str, Any]

_OTHER: Mapping[Language, Language] = {"en": "nb", "nb": "en"}


@dataclass(frozen=True, slots=True)
class KindText:
    """One of the two rates with everything that belongs to it; `rates` begins with the headline."""

    kind: str
    term: Term
    translation: str
    rates: tuple[RateText, ...]
    conversions: str
    revenue: str
    net_revenue: str
    incremental: tuple[str, ...]
    extra_sales: str
    change: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QualityText:
    """One count of facts that do not count, with its definition."""

    term: Term
    value: str
    is_notable: bool


class ReportText(EntryWords):
    """Every text of a report in a language; `shop` is the title, where it is known.

    Groups of items, rules and upgrades get their `names` beside their ids; the groups come in the
    order of their time, else of the money that was kept, the most first. For `experiment` see
    `Verdicts`.
    """

    def __init__(
        self,
        report: Report,
        shop: str | None,
        language: Language,
        names: Names | None = None,
        experiment: ExperimentSection | None = None,
    ) -> None:
        super().__init__(language, report["currency"])
        self._report, self._names = report, names or Names(None)
        # An offer log may know only who accepted, so that its rates of buyers are not comparable.
        statuses = {measured["customer"]["status"] for measured in report["total"].values()}
        self._headline = "checkout" if "not_comparable" in statuses else "customer"
        self._kinds = tuple(report["total"])
        self.other_language = _OTHER[language]
        """Language of `KindText.translation`."""
        self.shop = shop or self.phrase("all_offers")
        self.dates = self._dates(report, "period")
        other = report.get("comparison")
        self.against = self._dates(other, "against") if other else ""
        """The period compared with; empty without one."""
        self.verdict = Verdicts(report, language, experiment).verdict()
        self.kinds = tuple(self._kind(kind, report["total"][kind]) for kind in self._kinds)
        self.group_keys = list(report["groups"][0]["key"]) if report["groups"] else list[str]()
        self.groups = tuple(cells for row in self._ordered() for cells in self._group(row))
        """Columns of keys, then the kind, its rate, counts and money kept."""
        self.quality = self._quality()
        self.notes = self._notes()
        """Problems with the data, one sentence each; one that says so where there are none."""

    @property
    def rows(self) -> Sequence[tuple[str, Sequence[Sequence[str]]]]:
        """The report as a table: a label, then for each kind the lines of its cell."""
        terms, phrase = self.terms, self.phrase
        first = self.kinds[0] if self.kinds else None
        rows: list[tuple[str, Sequence[Sequence[str]]]] = [
            (rate.term.name, [self._cell(kind.rates[at]) for kind in self.kinds])
            for at, rate in enumerate(first.rates if first else ())
        ]
        rows.append((terms["conversions"].name, [[kind.conversions] for kind in self.kinds]))
        money = [
            [f"{kind.revenue} ({kind.term.counted})", phrase("net_value", value=kind.net_revenue)]
            for kind in self.kinds
        ]
        rows.append((terms["revenue"].name, money))
        extra = [[kind.extra_sales] for kind in self.kinds]
        if len(self.kinds) > 1:
            extra[0].append(
                f"{phrase('together')}: {self.extra_sales(self._report['extra_sales'])}"
            )
        rows.append((terms["extra_sales"].name, extra))
        rows.append((terms["incremental"].name, [kind.incremental for kind in self.kinds]))
        if self.against:
            rows.append((self.against, [kind.change for kind in self.kinds]))
        return rows

    def _cell(self, rate: RateText) -> Sequence[str]:
        cell = [f"{rate.value} {rate.interval}".rstrip(), rate.fraction]
        if rate.net_value:
            net = self.phrase("net_value", value=rate.net_value)
            cell.append(f"{net} {rate.net_interval}".rstrip())
        return cell

    def _dates(self, report: Report, phrase: str) -> str:
        begin = report["from"] or self.phrase("beginning")
        return self.phrase(phrase, begin=begin, end=report["to"] or self.phrase("now"))

    @property
    def settings(self) -> tuple[str, ...]:
        """How the report was counted."""
        report, days = self._report, self._report["attribution_window_days"]
        level = self.level(report["level"])
        length = report["days"]
        return (
            *(() if length is None else (self.phrase("length", days=self.days(length)),)),
            self.phrase("timezone", timezone=report["timezone"]),
            self.phrase("currency", currency=self.currency)
            if self.currency
            else self.phrase("no_currency"),
            self.phrase(f"shown_{report['impressions']}"),
            self.phrase(
                "credited_window" if days else "credited_checkout",
                days=days,
                checkout_days=report["checkout_days"],
            ),
            *((self.phrase("only_vouched"),) if report["count"] == "vouched" else ()),
            self.phrase(
                "intervals_watched" if report["watched"] else "intervals_once", level=level
            ),
        )

    def _kind(self, kind: str, measured: Report) -> KindText:
        conversions = measured["conversions"]
        return KindText(
            kind=kind,
            term=self.terms[kind],
            translation=glossary_of(_OTHER[self.language]).terms[kind].name.lower(),
            rates=tuple(
                self.rate(name, measured[name], measured.get(f"net_{name}"))
                for name in sorted(RATES, key=lambda name: name != self._headline)
            ),
            conversions=self.phrase(
                "conversions",
                total=self.count(conversions["total"]),
                clicked=self.count(conversions["accepted_click"]),
                viewed=self.count(conversions["view_through"]),
            ),
            revenue=self.money(measured["revenue"]),
            net_revenue=self.money(measured["net_revenue"]),
            incremental=tuple(
                self._incremental(measured["incremental"], measured["net_incremental"])
            ),
            extra_sales=self.extra_sales(measured["extra_sales"]),
            change=self._change(kind),
        )

    def _incremental(self, entry: Report, net: Report) -> Sequence[str]:
        """Return a plain sentence, then the effect, what it is worth, and what else changed.

        Gross and net of returns, one after the other.
        """
        if entry["status"] == "not_comparable":
            return [
                *self._effects(entry["per_unit"], net["per_unit"], "unit"),
                self.phrase("by_checkout", effect=self.effect(entry)),
                *self._holdout(entry),
            ]
        lines = self._effects(entry, net, "checkout")
        cuped = None if entry["value"] is None else entry["revenue_per_checkout"].get("cuped")
        if cuped is not None and cuped["value"] is None:
            lines.append(self.phrase("not_adjusted", reason=self.reason(cuped)))
        elif cuped is not None:
            lines.append(
                self.phrase(
                    "adjusted",
                    amount=self.money(cuped["value"], sign=True),
                    interval=self.money_between(cuped),
                    units=self.count(cuped["units_with_history"]),
                )
            )
        return [*lines, *self._holdout(entry)]

    def _effects(self, entry: Report, net: Report, trial: str) -> list[str]:
        """Return the effects on a share of checkouts or units, on means of them and completion."""
        treatment, control = entry["treatment"], entry["control"]
        if entry["value"] is None:
            return [self.effect(entry)]
        shares = {"treated": treatment["value"], "control": control["value"]}
        lines = [
            self.phrase("anyway", **{arm: self.percent(share) for arm, share in shares.items()}),
            self.phrase(
                f"effect_of_{trial}s",
                points=self.points(entry["value"]),
                interval=self.between(entry, self.points),
                treated=self.count(treatment["denominator"]),
                control=self.count(control["denominator"]),
            ),
            self.phrase("net_value", value=self.effect(net)),
        ]
        of = self.phrase(f"each_{trial}")
        for field, meaning, unknown in MEANS:
            name = field.format(trial)
            gross_text, net_text = (
                self._mean(each[name], meaning, unknown, of) for each in (entry, net)
            )
            lines.append(gross_text)
            if net_text != gross_text or entry[name]["value"] is not None:
                lines.append(self.phrase("net_value", value=net_text))
        effect, name = self.effect(entry["completion"]), self.terms["completion"].name
        return [*lines, self.phrase("completion", name=name, effect=effect)]

    def _mean(self, entry: Report, phrase: str, unknown: str, each: str) -> str:
        """Return an effect on what `each` has of something: money as text, else a number."""
        if entry["value"] is None:
            return self.phrase(unknown, each=each, reason=self.reason(entry))
        if isinstance(entry["value"], str):
            amount = self.money(entry["value"], sign=True)
            interval = self.money_between(entry)
        else:
            amount = self.difference(entry["value"])
            interval = self.between(entry, self.difference)
        return self.phrase(phrase, amount=amount, each=each, interval=interval).rstrip()

    def _holdout(self, entry: Report) -> Sequence[str]:
        """Return which hold-out shares are compared, who stated them, and what is left out."""
        texts = [
            self.phrase(
                "holdout_share" if each["compared"] else "holdout_left_out",
                share=self.level(each["share"]),
                by=", ".join(self.phrase(f"stated_by_{by}") for by in each["stated_by"]),
                checkouts=self.count(each["treatment"] + each["control"]),
            )
            for each in entry["shares"]
        ]
        return [self.phrase("holdout", shares="; ".join(texts))] if texts else []

    def _change(self, kind: str) -> tuple[str, ...]:
        """Return the change of headline and revenue since another period, where one is asked."""
        other = self._report.get("comparison")
        if other is None:
            return ()
        change, before = other["change"][kind], other["total"][kind]
        headline = change[self._headline]
        rate = (
            self.phrase("not_known", reason=self.reason(headline))
            if headline["status"] == "not_comparable"
            else self.phrase(
                "change",
                points=self.points(headline["value"]),
                interval=self.between(headline, self.points),
                before=self.percent(before[self._headline]["value"]),
            )
        )
        amount = self.money(change["revenue"], sign=True)
        return rate, self.phrase("change_revenue", amount=amount)

    @property
    def group_headers(self) -> tuple[str, ...]:
        """The headings of the columns of `groups`."""
        return (*self.group_keys, *map(self.phrase, ("kind", "rate", "of", "kept_revenue")))

    def _ordered(self) -> list[Report]:
        """Return the groups by time, and by the money kept, the most first."""

        def place(row: Report) -> tuple[list[str], Decimal]:
            net = sum((Decimal(row[kind]["net_revenue"] or 0) for kind in self._kinds), Decimal(0))
            return [text for key, text in row["key"].items() if key in TIME_KEYS], -net

        return sorted(self._report["groups"], key=place)

    def _group(self, row: Report) -> Iterator[tuple[str, ...]]:
        """Yield a row for each kind of which something was decided; of times, all if none was."""
        keys = [
            self.phrase("bucket_not_over", bucket=text)
            if name in TIME_KEYS and row["immature"]
            else self._names.beside(name, text)
            for name, text in row["key"].items()
        ]
        kinds = [kind for kind in self._kinds if is_decided(row[kind])]
        for kind in kinds or (self._kinds if set(row["key"]).intersection(TIME_KEYS) else ()):
            entry = row[kind][self._headline]
            rate = self.rate(self._headline, entry, None)
            yield (
                *keys,
                self.phrase(f"kind_{kind}"),
                f"{rate.value} {rate.interval}".rstrip(),
                self.fraction(entry),
                self.money(row[kind]["net_revenue"]),
            )

    def _quality(self) -> tuple[QualityText, ...]:
        quality = self._report["quality"]
        p_value = quality["srm_p_value"]
        counts = {name: self.count(quality[name]) for name in QUALITY}
        if quality["unvouched"]:
            share = self.percent(quality["unvouched"] / quality["checkouts"])
            text = {"count": counts["unvouched"], "whole": counts["checkouts"], "share": share}
            counts["unvouched"] = self.phrase("of_checkouts", **text)
        return (
            *(
                QualityText(term, counts[name], quality[name] > 0 and name not in NOT_IN_DOUBT)
                for name in QUALITY
                if (term := self.terms[name])
            ),
            QualityText(
                self.terms["srm_p_value"],
                "–" if p_value is None else f"p = {self.p_value(p_value)}",
                p_value is not None and p_value < MISMATCH,
            ),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = [
            self.phrase(
                "problem",
                name=text.term.name,
                count=text.value,
                definition=text.term.definition.rstrip("."),
            )
            for text in self.quality[:-1]
            if text.is_notable
        ]
        quality = self._report["quality"]
        if self._headline != RATES[0]:
            notes.append(self.phrase("only_checkouts", name=self.terms[self._headline].name))
        if quality["currency"] != "ok":
            notes.append(self.phrase("currency_problem", status=quality["currency"]))
        p_value = quality["srm_p_value"]
        if p_value is not None and p_value < MISMATCH:
            notes.append(self.phrase("uneven_groups", p_value=self.p_value(p_value)))
        for kind in self._kinds:
            for uneven in self._report["total"][kind]["incremental"]["uneven"]:
                ((key, value),) = uneven["key"].items()
                texts = {"kind": self.terms[kind].name, "key": self.phrase(f"key_{key}")}
                texts |= {"value": value, "p_value": self.p_value(uneven["p_value"])}
                notes.append(self.phrase("uneven_group", **texts))
        return tuple(notes) or (self.phrase("no_problems"),)
