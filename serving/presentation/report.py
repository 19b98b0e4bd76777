"""The report JSON as texts: what the terminal, the HTML file and the dashboard all show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from mersalg.engine.locales import Language
from mersalg.engine.tracking.query import TIME_KEYS
from mersalg.serving.presentation.checks import MISMATCH
from mersalg.serving.presentation.figures import minor_units
from mersalg.serving.presentation.glossary import MEANS, NOT_IN_DOUBT, QUALITY, RATES, glossary_of
from mersalg.serving.presentation.names import Names, is_decided
from mersalg.serving.presentation.texts import (
    EntryWords,
    KindText,
    QualityText,
    ReportText,
)
from mersalg.serving.presentation.verdict import verdict_of

Report = Mapping[str, Any]

_OTHER: Mapping[Language, Language] = {"en": "nb", "nb": "en"}


def present(
    report: Report, shop: str | None, language: Language, names: Names | None = None
) -> ReportText:
    """Return every text of a report in `language`; `shop` is the title, where it is known.

    Groups of items, rules and upgrades get their `names` beside their ids; the groups come in the
    order of their time, else of the money that was kept, the most first.
    """
    return _Presenter(report, language, names or Names(None)).present(shop)


def completion_text(entry: Report, language: Language) -> str:
    """Return how offers change the share of completed checkouts, or why that is not known."""
    return EntryWords(language).effect(entry)


def headline_of(report: Report) -> str:
    """Return the rate that comes first: that of customers, of checkouts where only these are known.

    An offer log may know only who accepted, so that its rates of buyers are not comparable.
    """
    entries = (measured["customer"] for measured in report["total"].values())
    return "checkout" if any(each["status"] == "not_comparable" for each in entries) else "customer"


class _Presenter:
    def __init__(self, report: Report, language: Language, names: Names) -> None:
        self._report, self._names = report, names
        self._language: Language = language
        self._words = EntryWords(language)
        self._terms, self._phrase = self._words.terms, self._words.phrase
        self._figures = self._words.figures
        self._currency: str | None = report["currency"]
        self._kinds = tuple(report["total"])
        self._headline = headline_of(report)

    def present(self, shop: str | None) -> ReportText:
        report = self._report
        other = report.get("comparison")
        return ReportText(
            glossary=glossary_of(self._language),
            other_language=_OTHER[self._language],
            shop=shop or self._phrase("all_offers"),
            period=self._period(report, "period"),
            settings=self._settings(),
            verdict=verdict_of(report, self._language),
            kinds=tuple(self._kind(kind, report["total"][kind]) for kind in self._kinds),
            together=self._words.extra_sales(report["extra_sales"], self._currency),
            against=self._period(other, "against") if other else "",
            n_group_keys=len(self._group_keys()),
            group_headers=self._group_headers(),
            groups=tuple(cells for row in self._ordered() for cells in self._group(row)),
            quality=self._quality(),
            notes=self._notes(),
        )

    def _period(self, report: Report, phrase: str) -> str:
        begin = report["from"] or self._phrase("beginning")
        return self._phrase(phrase, begin=begin, end=report["to"] or self._phrase("now"))

    def _settings(self) -> tuple[str, ...]:
        report, days = self._report, self._report["attribution_window_days"]
        level = self._figures.level(report["level"])
        length = report["days"]
        return (
            *(() if length is None else (self._phrase("length", days=self._figures.days(length)),)),
            self._phrase("timezone", timezone=report["timezone"]),
            self._phrase("currency", currency=self._currency)
            if self._currency
            else self._phrase("no_currency"),
            self._phrase(f"shown_{report['impressions']}"),
            self._phrase(
                "credited_window" if days else "credited_checkout",
                days=days,
                checkout_days=report["checkout_days"],
            ),
            *((self._phrase("only_vouched"),) if report["count"] == "vouched" else ()),
            self._phrase(
                "intervals_watched" if report["watched"] else "intervals_once", level=level
            ),
        )

    def _kind(self, kind: str, measured: Report) -> KindText:
        conversions = measured["conversions"]
        return KindText(
            kind=kind,
            term=self._terms[kind],
            translation=glossary_of(_OTHER[self._language]).terms[kind].name.lower(),
            rates=tuple(
                self._words.rate(name, measured[name], measured.get(f"net_{name}"))
                for name in sorted(RATES, key=lambda name: name != self._headline)
            ),
            conversions=self._phrase(
                "conversions",
                total=self._figures.count(conversions["total"]),
                clicked=self._figures.count(conversions["accepted_click"]),
                viewed=self._figures.count(conversions["view_through"]),
            ),
            revenue=self._money(measured["revenue"]),
            net_revenue=self._money(measured["net_revenue"]),
            incremental=tuple(
                self._incremental(measured["incremental"], measured["net_incremental"])
            ),
            extra_sales=self._words.extra_sales(measured["extra_sales"], self._currency),
            change=self._change(kind),
        )

    def _incremental(self, entry: Report, net: Report) -> Sequence[str]:
        """Return a plain sentence, then the effect, what it is worth, and what else changed.

        Gross and net of returns, one after the other.
        """
        if entry["status"] == "not_comparable":
            return [
                *self._effects(entry["per_unit"], net["per_unit"], "unit"),
                self._phrase("by_checkout", effect=self._words.effect(entry)),
                *self._holdout(entry),
            ]
        lines = self._effects(entry, net, "checkout")
        cuped = None if entry["value"] is None else entry["revenue_per_checkout"].get("cuped")
        if cuped is not None and cuped["value"] is None:
            lines.append(self._phrase("not_adjusted", reason=self._words.reason(cuped)))
        elif cuped is not None:
            lines.append(
                self._phrase(
                    "adjusted",
                    amount=self._money(minor_units(cuped["value"], self._currency), sign=True),
                    interval=self._words.money_between(cuped, self._currency),
                    units=self._figures.count(cuped["units_with_history"]),
                )
            )
        return [*lines, *self._holdout(entry)]

    def _effects(self, entry: Report, net: Report, trial: str) -> list[str]:
        """Return the effects on a share of checkouts or units, on means of them and completion."""
        treatment, control = entry["treatment"], entry["control"]
        if entry["value"] is None:
            return [self._words.effect(entry)]
        lines = [
            self._phrase(
                "anyway",
                treated=self._figures.percent(treatment["value"]),
                control=self._figures.percent(control["value"]),
            ),
            self._phrase(
                f"effect_of_{trial}s",
                points=self._figures.points(entry["value"]),
                interval=self._words.between(entry, self._figures.points),
                treated=self._figures.count(treatment["denominator"]),
                control=self._figures.count(control["denominator"]),
            ),
            self._phrase("net_value", value=self._words.effect(net)),
        ]
        of = self._phrase(f"each_{trial}")
        for field, known, unknown in MEANS:
            name = field.format(trial)
            gross_text, net_text = (
                self._mean(each[name], known, unknown, of) for each in (entry, net)
            )
            lines.append(gross_text)
            if net_text != gross_text or entry[name]["value"] is not None:
                lines.append(self._phrase("net_value", value=net_text))
        effect, name = self._words.effect(entry["completion"]), self._terms["completion"].name
        return [*lines, self._phrase("completion", name=name, effect=effect)]

    def _mean(self, entry: Report, phrase: str, unknown: str, each: str) -> str:
        """Return an effect on what `each` has of something: money as text, else a number."""
        if entry["value"] is None:
            return self._phrase(unknown, each=each, reason=self._words.reason(entry))
        if isinstance(entry["value"], str):
            amount = self._money(minor_units(entry["value"], self._currency), sign=True)
            interval = self._words.money_between(entry, self._currency)
        else:
            amount = self._figures.difference(entry["value"])
            interval = self._words.between(entry, self._figures.difference)
        return self._phrase(phrase, amount=amount, each=each, interval=interval).rstrip()

    def _holdout(self, entry: Report) -> Sequence[str]:
        """Return which hold-out shares are compared, who stated them, and what is left out."""
        texts = [
            self._phrase(
                "holdout_share" if each["compared"] else "holdout_left_out",
                share=self._figures.level(each["share"]),
                by=", ".join(self._phrase(f"stated_by_{by}") for by in each["stated_by"]),
                checkouts=self._figures.count(each["treatment"] + each["control"]),
            )
            for each in entry["shares"]
        ]
        return [self._phrase("holdout", shares="; ".join(texts))] if texts else []

    def _change(self, kind: str) -> tuple[str, ...]:
        """Return the change of headline and revenue since another period, where one is asked."""
        other = self._report.get("comparison")
        if other is None:
            return ()
        change, before = other["change"][kind], other["total"][kind]
        headline = change[self._headline]
        rate = (
            self._phrase("not_known", reason=self._words.reason(headline))
            if headline["status"] == "not_comparable"
            else self._phrase(
                "change",
                points=self._figures.points(headline["value"]),
                interval=self._words.between(headline, self._figures.points),
                before=self._figures.percent(before[self._headline]["value"]),
            )
        )
        return (
            rate,
            self._phrase("change_revenue", amount=self._money(change["revenue"], sign=True)),
        )

    def _group_keys(self) -> Sequence[str]:
        return list(self._report["groups"][0]["key"]) if self._report["groups"] else []

    def _group_headers(self) -> tuple[str, ...]:
        words = ("kind", "rate", "of", "kept_revenue")
        return (*self._group_keys(), *map(self._phrase, words))

    def _ordered(self) -> list[Report]:
        """Return the groups by time, and by the money kept, the most first."""

        def place(row: Report) -> tuple[list[str], Decimal]:
            kept = sum((Decimal(row[kind]["net_revenue"] or 0) for kind in self._kinds), Decimal(0))
            return [text for key, text in row["key"].items() if key in TIME_KEYS], -kept

        return sorted(self._report["groups"], key=place)

    def _group(self, row: Report) -> Iterator[tuple[str, ...]]:
        """Yield a row for each kind; without those of which nothing was decided in the group."""
        keys = [
            self._phrase("bucket_not_over", bucket=text)
            if name in TIME_KEYS and row["immature"]
            else self._names.beside(name, text)
            for name, text in row["key"].items()
        ]
        kinds = [kind for kind in self._kinds if is_decided(row[kind])]
        for kind in kinds or self._kinds:
            entry = row[kind][self._headline]
            rate = self._words.rate(self._headline, entry, None)
            yield (
                *keys,
                self._phrase(f"kind_{kind}"),
                f"{rate.value} {rate.interval}".rstrip(),
                self._words.fraction(entry),
                self._money(row[kind]["net_revenue"]),
            )

    def _quality(self) -> tuple[QualityText, ...]:
        quality = self._report["quality"]
        p_value = quality["srm_p_value"]
        counts = {name: self._figures.count(quality[name]) for name in QUALITY}
        if quality["unvouched"]:
            share = self._figures.percent(quality["unvouched"] / quality["checkouts"])
            text = {"count": counts["unvouched"], "whole": counts["checkouts"], "share": share}
            counts["unvouched"] = self._phrase("of_checkouts", **text)
        return (
            *(
                QualityText(
                    self._terms[name],
                    counts[name],
                    quality[name] > 0 and name not in NOT_IN_DOUBT,
                )
                for name in QUALITY
            ),
            QualityText(
                self._terms["srm_p_value"],
                "–" if p_value is None else f"p = {self._figures.p_value(p_value)}",
                p_value is not None and p_value < MISMATCH,
            ),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = [
            self._phrase(
                "problem",
                name=text.term.name,
                count=text.value,
                definition=text.term.definition.rstrip("."),
            )
            for text in self._quality()[:-1]
            if text.is_notable
        ]
        quality = self._report["quality"]
        if self._headline != RATES[0]:
            notes.append(self._phrase("only_checkouts", name=self._terms[self._headline].name))
        if quality["currency"] != "ok":
            notes.append(self._phrase("currency_problem", status=quality["currency"]))
        p_value = quality["srm_p_value"]
        if p_value is not None and p_value < MISMATCH:
            p_text = self._figures.p_value(p_value)
            notes.append(self._phrase("uneven_groups", p_value=p_text))
        for kind in self._kinds:
            for uneven in self._report["total"][kind]["incremental"]["uneven"]:
                ((key, value),) = uneven["key"].items()
                notes.append(
                    self._phrase(
                        "uneven_group",
                        kind=self._terms[kind].name,
                        key=self._phrase(f"key_{key}"),
                        value=value,
                        p_value=self._figures.p_value(uneven["p_value"]),
                    )
                )
        return tuple(notes) or (self._phrase("no_problems"),)

    def _money(self, text: str | Decimal | None, *, sign: bool = False) -> str:
        return self._figures.amount(text, self._currency, sign=sign)
