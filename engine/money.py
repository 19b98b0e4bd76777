"""Money as integer minor units of one currency; never a float, never two currencies in one sum."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache

from mersalg.engine.errors import shown

# ISO 4217 currencies whose minor unit is not a hundredth.
_MINOR_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
LARGEST_MINOR = 2**53  # exact in every JSON reader, far above any price
_FINEST_PRICE = Decimal("1e-12")
"""In minor units: a line of the largest quantity is then exact to a thousandth of one."""
_LONGEST = 200  # characters of a number; what was read is kept in a cache
_WRITTEN = re.compile(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*")


def minor_digits(currency: str) -> int:
    """Decimals of `currency` by ISO 4217 (NOK 2, JPY 0, KWD 3)."""
    return _MINOR_DIGITS.get(currency, 2)


@lru_cache(8_192)  # A shop has far fewer prices than facts.
def to_minor(amount: Decimal | str | int | float, currency: str) -> int:
    """Integer minor units of `amount`, rounded half to even.

    Raises
    ------
    ValueError
        Not a finite number, or beyond 2**53 minor units.
    """
    return int(_scaled(amount, currency).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@lru_cache(8_192)
def to_price(amount: Decimal | str | int | float, currency: str) -> int | Decimal:
    """Minor units of the price of one unit: a Decimal where it is finer than the minor unit.

    Raises
    ------
    ValueError
        As `to_minor`.
    """
    price = _scaled(amount, currency).quantize(_FINEST_PRICE, rounding=ROUND_HALF_EVEN)
    whole = int(price)
    return whole if whole == price else price.normalize()


def is_currency(code: str) -> bool:
    """Return whether it is written as an ISO 4217 code."""
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()


def is_written(text: str) -> bool:
    """Return whether a text may stand for a number.

    Python's decimals take more than a shop means: 5_000, digits of every script.
    """
    return len(text) <= _LONGEST and _WRITTEN.fullmatch(text) is not None


def _scaled(amount: Decimal | str | int | float, currency: str) -> Decimal:
    if isinstance(amount, str) and not is_written(amount):
        raise ValueError(f"not an amount of money: {shown(amount)}")
    try:
        value = Decimal(str(amount)) if isinstance(amount, float) else Decimal(amount)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise ValueError(f"not an amount of money: {shown(amount)}") from error
    # The exponent is looked at first: scaling 1e999999 would cost memory, not only time.
    if not value.is_finite() or value.adjusted() > 15:
        raise ValueError(f"not an amount of money: {shown(amount)}")
    minor = value.scaleb(minor_digits(currency))
    if abs(minor) > LARGEST_MINOR:
        raise ValueError(f"amount too large: {shown(amount)}")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """`minor` units as a Decimal with the currency's own number of decimals."""
    return Decimal(minor).scaleb(-minor_digits(currency))


@lru_cache(2_048)  # of one offer each amount is written several times
def to_text(minor: int | Decimal, currency: str) -> str:
    """Return the decimal string of the outward contract: `599000` NOK is `"5990.00"`."""
    digits = minor_digits(currency)
    if isinstance(minor, Decimal):
        return f"{minor.scaleb(-digits):f}"
    if not digits:
        return str(minor)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{digits}d}"


def scale(minor: int | Decimal, part: Decimal | int, whole: Decimal | int) -> int:
    """`minor * part / whole`, rounded half to even: a share of an amount."""
    return int((Decimal(minor) * part / whole).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
