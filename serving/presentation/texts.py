"""The texts of a report as plain values, of its single entries, and as the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mersalg.engine.locales import Language
from mersalg.serving.presentation.figures import Figures, minor_units
from mersalg.serving.presentation.glossary import Glossary, Term, glossary_of
from mersalg.serving.presentation.verdict import Verdict

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RateText:
    """One rate: its term, the numbers gross, and its twin net of returns (empty without one)."""

    term: Term
    value: str
    interval: str
    fraction: str
    net_value: str = ""
    net_interval: str = ""
    net_fraction: str = ""


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


@dataclass(frozen=True, slots=True)
class ReportText:
    """Every text of a report.

    Attributes
    ----------
    glossary : Glossary
        Words of the language that the texts are in.
    other_language : {"en", "nb"}
        Language of `KindText.translation`.
    verdict : Verdict
        What the report comes to.
    together : str
        Extra sales a month of both kinds.
    against : str
        The period compared with; empty without one.
    group_headers, groups : tuple
        `n_group_keys` columns of keys, then the kind, its rate, counts and money kept.
    notes : tuple of str
        Problems with the data, one sentence each; one that says so where there are none.
    """

    glossary: Glossary
    other_language: Language
    shop: str
    period: str
    settings: tuple[str, ...]
    verdict: Verdict
    kinds: tuple[KindText, ...]
    together: str
    against: str
    n_group_keys: int
    group_headers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    quality: tuple[QualityText, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> Sequence[tuple[str, Sequence[Sequence[str]]]]:
        """The report as a table: a label, then for each kind the lines of its cell."""
        terms = self.glossary.terms
        first = self.kinds[0] if self.kinds else None
        rows: list[tuple[str, Sequence[Sequence[str]]]] = [
            (rate.term.name, [self._cell(kind.rates[at]) for kind in self.kinds])
            for at, rate in enumerate(first.rates if first else ())
        ]
        rows.append((terms["conversions"].name, [[kind.conversions] for kind in self.kinds]))
        money = [
            [
                f"{kind.revenue} ({kind.term.counted})",
                self.glossary.phrase("net_value", value=kind.net_revenue),
            ]
            for kind in self.kinds
        ]
        rows.append((terms["revenue"].name, money))
        extra = [[kind.extra_sales] for kind in self.kinds]
        if len(self.kinds) > 1:
            together = self.glossary.phrase("together")
            extra[0].append(f"{together}: {self.together}")
        rows.append((terms["extra_sales"].name, extra))
        rows.append((terms["incremental"].name, [kind.incremental for kind in self.kinds]))
        if self.against:
            rows.append((self.against, [kind.change for kind in self.kinds]))
        return rows

    def _cell(self, rate: RateText) -> Sequence[str]:
        cell = [f"{rate.value} {rate.interval}".rstrip(), rate.fraction]
        if rate.net_value:
            net = self.glossary.phrase("net_value", value=rate.net_value)
            cell.append(f"{net} {rate.net_interval}".rstrip())
        return cell


class EntryWords:
    """Single entries of a report in one language."""

    def __init__(self, language: Language) -> None:
        self._language: Language = language
        self.figures = Figures(language)
        glossary = glossary_of(language)
        self.terms, self.phrase = glossary.terms, glossary.phrase

    def rate(self, name: str, entry: Report, net: Report | None) -> RateText:
        """Return a rate with its interval and counts, and its twin `net` of returns."""
        term = self.terms[name]
        if entry["status"] == "not_comparable":
            return RateText(term, self.phrase("only_accepted"), "", "")
        if entry["value"] is None:
            fraction = self.phrase("nothing_counted", counted=term.counted)
            return RateText(term, self.phrase("no_data"), "", fraction)
        fraction = self.phrase(
            "fraction_counted",
            part=self.figures.count(entry["numerator"]),
            whole=self.figures.count(entry["denominator"]),
            counted=term.counted,
        )
        text = (
            term,
            self.figures.percent(entry["value"]),
            self.between(entry, self.figures.percent),
            fraction,
        )
        if net is None:
            return RateText(*text)
        net_value = self.figures.percent(net["value"])
        return RateText(
            *text, net_value, self.between(net, self.figures.percent), self.fraction(net)
        )

    def fraction(self, entry: Report) -> str:
        """Return the counts of a share."""
        counts = (self.figures.count(entry[name]) for name in ("numerator", "denominator"))
        return self.phrase("fraction", **dict(zip(("part", "whole"), counts, strict=True)))

    def range(self, entry: Report, write: Callable[[Any], str]) -> str:
        """Return the interval of an entry as part of a sentence."""
        return self.phrase("range", lower=write(entry["lower"]), upper=write(entry["upper"]))

    def between(self, entry: Report, write: Callable[[Any], str]) -> str:
        """Return the interval of an entry in brackets."""
        return f"[{self.range(entry, write)}]"

    def money_between(self, entry: Report, currency: str | None) -> str:
        """Return the interval of money; empty where it is not known."""
        if entry["lower"] is None:
            return ""
        amount = self.figures.amount
        return self.between(entry, lambda end: amount(minor_units(end, currency), None, sign=True))

    def effect(self, entry: Report) -> str:
        """Return a difference of shares with its interval, or why it is not known."""
        if entry["value"] is None:
            return self.phrase("not_known", reason=self.reason(entry))
        return self.phrase(
            "effect",
            points=self.figures.points(entry["value"]),
            interval=self.between(entry, self.figures.points),
        )

    def extra_sales(self, entry: Report, currency: str | None) -> str:
        """Return an effect in money a month with its range, or why it is not known."""
        if entry["value"] is None:
            return self.phrase("not_known", reason=self.reason(entry))
        amount = self.figures.amount(entry["value"], currency, sign=True)
        return f"{amount} {self.money_between(entry, currency)}"

    def reason(self, entry: Report) -> str:
        """Why there is no number: the report says it in English, other languages in general."""
        if self._language == "en" and entry.get("reason"):
            return str(entry["reason"])
        status = entry["status"]
        if status == "not_comparable" and "treatment" in entry:
            return self.phrase("reason_unlike_checkouts")
        return self.phrase(
            f"reason_{status}" if status in ("blocked", "not_comparable") else "reason_no_data"
        )
