"""Numbers as reports write them, in the notation of a language."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_decimal, format_percent

from mersalg.engine.locales import Language

_MISSING = "–"


class Figures:
    """Counts, shares, differences and money of one language; a dash for what is None.

    Parameters
    ----------
    language : {"en", "nb"}
        Whose signs for decimals and thousands are used.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._percent = "#,##0.0\u00a0%" if language == "nb" else "#,##0.0%"

    def count(self, number: int) -> str:
        """Return `1,234` or `1 234`."""
        return format_decimal(number, "#,##0", locale=self._language)

    def days(self, number: float) -> str:
        """Return `7` or, of a period that is not of whole days, `1.5`."""
        return format_decimal(number, "#,##0.##", locale=self._language)

    def percent(self, share: float | None) -> str:
        """Return `12.3%` or `12,3 %`."""
        if share is None:
            return _MISSING
        return format_percent(share, self._percent, locale=self._language)

    def level(self, level: float) -> str:
        """Return a confidence level without decimals it does not need: `95%` or `99.9 %`."""
        pattern = self._percent.replace("0.0", "0.##")
        return format_percent(level, pattern, locale=self._language)

    def points(self, difference: float | None) -> str:
        """Return a difference of two shares in percentage points, with its sign."""
        if difference is None:
            return _MISSING
        # Adding zero removes the sign of a rounded zero.
        points = round(difference * 100, 1) + 0.0
        return format_decimal(points, "+#,##0.0;-#,##0.0", locale=self._language)

    def difference(self, difference: float) -> str:
        """Return a difference of two means of counts, with its sign."""
        # Adding zero removes the sign of a rounded zero.
        number = round(difference, 3) + 0.0
        return format_decimal(number, "+#,##0.000;-#,##0.000", locale=self._language)

    def p_value(self, value: float) -> str:
        """Return a p-value to three significant digits."""
        text = f"{value:.3g}"
        return text.replace(".", ",") if self._language == "nb" else text

    def amount(self, text: str | None, currency: str | None, *, sign: bool = False) -> str:
        """Return a decimal string of the report as money, with as many decimals as it has."""
        if text is None:
            return _MISSING
        pattern = "#,##0" + "." * ("." in text) + "0" * len(text.partition(".")[2])
        if sign:
            pattern = f"+{pattern};-{pattern}"
        number = format_decimal(Decimal(text), pattern, locale=self._language)
        return f"{number} {currency or ''}".rstrip()
