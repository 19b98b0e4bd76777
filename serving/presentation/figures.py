"""Numbers, money, days and entries of a report as people read them, in a language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal, format_percent, get_currency_symbol

from mersalg.engine import money
from mersalg.engine.locales import Language
from mersalg.serving.presentation.glossary import Term, glossary_of

MISSING = "–"
_MINUS = "\u2212"
_WEEK = re.compile(r"(\d{4})-W(\d\d)")


def minor_units(amount: str | Decimal, currency: str | None) -> Decimal:
    """Return money without decimals beyond those of its currency: effects a checkout have two."""
    exact = Decimal(amount)
    digits = 0 if currency is None else money.minor_digits(currency)
    is_finer = currency is not None and int(exact.as_tuple().exponent) < -digits
    return round(exact, digits) if is_finer else exact


def few_digits(amount: Decimal) -> Decimal:
    """Return an amount to three digits, for the fourth means nothing beside its interval."""
    step = Decimal(10) ** max(0, amount.adjusted() - 2)
    return (amount / step).to_integral_value() * step


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


class EntryWords:
    """Numbers, phrases, and entries of a report in one language; a dash for what is None.

    Without a `currency` amounts of entries are bare numbers.
    """

    def __init__(self, language: Language, currency: str | None = None) -> None:
        self.language: Language = language
        self.currency, self.glossary = currency, glossary_of(language)
        self.terms, self.phrase = self.glossary.terms, self.glossary.phrase
        self._percent = "#,##0.0\u00a0%" if language == "nb" else "#,##0.0%"

    def count(self, number: int) -> str:
        """Return `1,234` or `1 234`."""
        return self._number(number, "#,##0")

    def days(self, number: float) -> str:
        """Return `7` or, of a period that is not of whole days, `1.5`."""
        return self._number(number, "#,##0.##")

    def percent(self, share: float | None) -> str:
        """Return `12.3%` or `12,3 %`."""
        if share is None:
            return MISSING
        return format_percent(share, self._percent, locale=self.language)

    def level(self, level: float) -> str:
        """Return a confidence level without decimals it does not need: `95%` or `99.9 %`."""
        pattern = self._percent.replace("0.0", "0.##")
        return format_percent(level, pattern, locale=self.language)

    def points(self, difference: float | None) -> str:
        """Return a difference of two shares in percentage points, with its sign."""
        if difference is None:
            return MISSING
        # Adding zero removes the sign of a rounded zero.
        return self._number(round(difference * 100, 1) + 0.0, "+#,##0.0;-#,##0.0")

    def difference(self, difference: float) -> str:
        """Return a difference of two means of counts, with its sign."""
        # Adding zero removes the sign of a rounded zero.
        return self._number(round(difference, 3) + 0.0, "+#,##0.000;-#,##0.000")

    def decimal(self, value: float) -> str:
        """Return a number with two decimals, such as a lift."""
        return self._number(value, "#,##0.00")

    def p_value(self, value: float) -> str:
        """Return a p-value to three significant digits."""
        text = f"{value:.3g}"
        return text.replace(".", ",") if self.language == "nb" else text

    def amount(
        self, value: str | Decimal | None, currency: str | None, *, sign: bool = False
    ) -> str:
        """Return money with as many decimals as `value` has: `NOK 1,234.50` or `1 234,50 kr`.

        `value` is a decimal string of the report, or the number; without a currency the number
        is alone.
        """
        if value is None:
            return MISSING
        amount = Decimal(value)
        decimals = max(0, -int(amount.as_tuple().exponent))
        number = self._number(abs(amount), "#,##0" + "." * (decimals > 0) + "0" * decimals)
        mark = _MINUS if amount < 0 else "+" * sign
        if currency is None:
            return mark + number
        symbol = get_currency_symbol(currency, locale=self.language)
        if self.language == "nb":
            return f"{mark}{number}\u00a0{symbol}"
        return f"{mark}{symbol}{chr(160) * symbol[-1].isalpha()}{number}"

    def rounded(self, amounts: Sequence[Decimal]) -> Sequence[Decimal]:
        """Return amounts to two digits of the first, as a sentence names them.

        To three of the largest where the first is far smaller.
        """
        largest = max((abs(amount) for amount in amounts), default=Decimal(0))
        digits = max(amounts[0].adjusted() - 1, largest.adjusted() - 2) if amounts else 0
        step = Decimal(10) ** max(0, digits)
        return [(amount / step).to_integral_value() * step for amount in amounts]

    def day(self, day: date, *, year: bool = False, weekday: bool = False) -> str:
        """Return `3 Nov`, `3 Nov 2026` or `Tue 3 Nov`; in Norwegian `3. nov.`."""
        skeleton = "y" * year + "MMM" + "E" * weekday + "d"
        if self.language == "nb":
            return format_skeleton(skeleton, day, locale="nb")
        pattern = "EEE d MMM" if weekday else "d MMM"
        return format_date(day, pattern + " y" * year, locale="en")

    def period(self, first: date, last: date) -> str:
        """Return the days of a period, the year once where it is the same."""
        joint, end = " til " if self.language == "nb" else " to ", self.day(last, year=True)
        if first == last:
            return end
        return f"{self.day(first, year=first.year != last.year)}{joint}{end}"

    def bucket(self, text: str, *, short: bool = False) -> str:
        """Return a day, week or month of a report as people read it; `short` is for an axis."""
        if week := _WEEK.fullmatch(text):
            name = "uke" if self.language == "nb" else "week"
            return f"{name} {int(week[2])}" + f", {week[1]}" * (not short)
        if len(text) == len("2026-01"):
            pattern = "LLL y" if short else "LLLL y"
            return format_date(date.fromisoformat(f"{text}-01"), pattern, locale=self.language)
        return self.day(date.fromisoformat(text), weekday=not short)

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
        value, interval = self.percent(entry["value"]), self.between(entry, self.percent)
        if net is None:
            return RateText(term, value, interval, fraction)
        net_value, net_interval = self.percent(net["value"]), self.between(net, self.percent)
        return RateText(term, value, interval, fraction, net_value, net_interval)

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
        minor = None if amount is None else minor_units(amount, self.currency)
        return self.amount(minor, self.currency, sign=sign)

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
            "effect", points=self.points(entry["value"]), interval=self.between(entry, self.points)
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

    def _number(self, number: float | Decimal, pattern: str) -> str:
        text = format_decimal(number, pattern, locale=self.language)
        return text.replace("-", _MINUS)
