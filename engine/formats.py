"""Numbers, shares and money in the buyer's own notation.

Its signs are Babel's; the digits are written here, for a buyer waits for the text of an offer.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import format_percent, get_currency_symbol

from mersalg.engine import money
from mersalg.engine.locales import Language

_MOST_DECIMALS = 6


@lru_cache(maxsize=4_096)
def money_text(minor: int, currency: str, language: Language) -> str:
    """`1000 NOK`, `1 000 kr`, `9.50 EUR`: no decimals where whole.

    English parts thousands from 10,000 on, as its texts read `1000 NOK`; Norwegian always.
    """
    amount = money.to_decimal(minor, currency)
    decimals = 0 if amount == amount.to_integral_value() else money.minor_digits(currency)
    if language == "nb":
        number = _written(f"{amount:,.{decimals}f}", language)
        # The sign and its number stay on one line.
        return f"{number}\u00a0{_symbol(currency, language)}"
    return f"{_written(_apart(amount, decimals), language)} {currency}"


@lru_cache(maxsize=4_096)
def number_text(value: Decimal, language: Language) -> str:
    """Return `0,5` or `0.5`, to six decimals; thousands are separated from 10,000 on."""
    digits = _apart(value, _MOST_DECIMALS)
    return _written(digits.rstrip("0").rstrip("."), language)


def _apart(value: Decimal, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) >= 10_000 else f"{value:.{decimals}f}"


def _written(digits: str, language: Language) -> str:
    """Digits as Python writes them, in the signs of the language."""
    return digits.translate(_signs(language))


@lru_cache
def _symbol(currency: str, language: Language) -> str:
    return get_currency_symbol(currency, locale=language)


@lru_cache
def _signs(language: Language) -> dict[int, str]:
    symbols = Locale.parse(language).number_symbols["latn"]
    return {ord(","): symbols["group"], ord("."): symbols["decimal"]}


def share_text(share: float, language: Language) -> str:
    """Whole per cent, rounded down so that none is promised that is not there; `15%`, `15 %`."""
    whole = Decimal(str(round(share, 9))).quantize(Decimal("0.01"), rounding=ROUND_FLOOR)
    return format_percent(whole, locale=language)
