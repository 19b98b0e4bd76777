"""Numbers, shares and money in the buyer's own notation."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from babel.numbers import format_decimal, format_percent, get_currency_symbol

from engine import money
from engine.locales import Language


@lru_cache(maxsize=4_096)
def money_text(minor: int, currency: str, language: Language) -> str:
    """`1000 NOK`, `1 000 kr`, `9.50 EUR`: no decimals where whole.

    English parts thousands from 10,000 on, as its texts read `1000 NOK`; Norwegian always.
    """
    digits = money.minor_digits(currency)
    amount = money.to_decimal(minor, currency)
    decimals = "" if amount == amount.to_integral_value() else "." + "0" * digits
    if language == "nb":
        number = format_decimal(amount, format="#,##0" + decimals, locale=language)
        # The sign and its number stay on one line.
        return f"{number}\u00a0{get_currency_symbol(currency, locale=language)}"
    return f"{number_text(amount, language, decimals)} {currency}"


@lru_cache(maxsize=4_096)
def number_text(value: Decimal, language: Language, decimals: str = ".######") -> str:
    """`0,5` or `0.5`; thousands apart from 10,000 on: four digits are read at a glance."""
    pattern = "0" if abs(value) < 10_000 else "#,##0"
    return format_decimal(value, format=pattern + decimals, locale=language)


def share_text(share: float, language: Language) -> str:
    """Whole per cent, rounded down so that none is promised that is not there; `15%`, `15 %`."""
    whole = Decimal(str(round(share, 9))).quantize(Decimal("0.01"), rounding=ROUND_FLOOR)
    return format_percent(whole, locale=language)
