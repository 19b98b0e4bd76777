"""Single entries of a report in one language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from mersalg.engine.locales import Language
from mersalg.serving.presentation.figures import Figures, minor_units
from mersalg.serving.presentation.glossary import Term, glossary_of

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


class EntryWords(Figures):
    """Figures and phrases of one language, and single entries of a report in them."""

    def __init__(self, language: Language, currency: str | None = None) -> None:
        super().__init__(language)
        self.currency, self.glossary = currency, glossary_of(language)
        self.terms, self.phrase = self.glossary.terms, self.glossary.phrase

    def rate(self, name: str, entry: Report, net: Report | None) -> RateText:
        """Return a rate with its interval and counts, and its twin `net` of returns."""
        term = self.terms[name]
        if entry["status"] == "not_comparable":
            return RateText(term, self.phrase("only_accepted"), "", "")
        if entry["value"] is None:
            fraction = self.phrase("nothing_counted", whole=0, counted=term.counted)
            return RateText(term, self.phrase("no_data"), "", fraction)
        fraction = self.phrase(
            "fraction_counted",
            part=self.count(entry["numerator"]),
            whole=self.count(entry["denominator"]),
            counted=term.counted,
        )
        text = RateText(
            term, self.percent(entry["value"]), self.between(entry, self.percent), fraction
        )
        if net is None:
            return text
        net_interval = self.between(net, self.percent)
        return replace(text, net_value=self.percent(net["value"]), net_interval=net_interval)

    def fraction(self, entry: Report) -> str:
        """Return the counts of a share."""
        counts = (self.count(entry[name]) for name in ("numerator", "denominator"))
        return self.phrase("fraction", **dict(zip(("part", "whole"), counts, strict=True)))

    def range(self, entry: Report, write: Callable[[Any], str]) -> str:
        """Return the interval of an entry as part of a sentence."""
        return self.phrase("range", lower=write(entry["lower"]), upper=write(entry["upper"]))

    def between(self, entry: Report, write: Callable[[Any], str]) -> str:
        """Return the interval of an entry in brackets."""
        return f"[{self.range(entry, write)}]"

    def money(self, amount: str | Decimal | None, *, sign: bool = False) -> str:
        """Return money in the decimals of its currency; effects a checkout have two more."""
        known = None if amount is None else minor_units(amount, self.currency)
        return self.amount(known, self.currency, sign=sign)

    def money_between(self, entry: Report) -> str:
        """Return the interval of money without its currency; empty where it is not known."""
        return "" if entry["lower"] is None else self.between(entry, self.bare_money)

    def bare_money(self, amount: str, *, sign: bool = True) -> str:
        """Return money, by default a difference, without its currency."""
        return self.amount(minor_units(amount, self.currency), None, sign=sign)

    def effect(self, entry: Report) -> str:
        """Return a difference of shares with its interval, or why it is not known."""
        if entry["value"] is None:
            return self.phrase("not_known", reason=self.reason(entry))
        return self.phrase(
            "effect",
            points=self.points(entry["value"]),
            interval=self.between(entry, self.points),
        )

    def extra_sales(self, entry: Report) -> str:
        """Return an effect in money a month with its range, or why it is not known."""
        if entry["value"] is None:
            return self.phrase("not_known", reason=self.reason(entry))
        return f"{self.money(entry['value'], sign=True)} {self.money_between(entry)}"

    def reason(self, entry: Report) -> str:
        """Why there is no number: the report says it in English, other languages in general."""
        if self.language == "en" and entry.get("reason"):
            return str(entry["reason"])
        status = entry["status"]
        if status == "not_comparable" and "treatment" in entry:
            return self.phrase("reason_unlike_checkouts")
        return self.phrase(
            f"reason_{status}" if status in ("blocked", "not_comparable") else "reason_no_data"
        )
