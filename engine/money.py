"""Money as integer minor units of one currency; never a float, never two currencies in one sum."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

# ISO 4217 currencies whose minor unit is not a hundredth.
_MINOR_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
LARGEST_MINOR = 2**53  # exact in every JSON reader, far above any price


def minor_digits(currency: str) -> int:
    """Decimals of `currency` by ISO 4217 (NOK 2, JPY 0, KWD 3)."""
    return _MINOR_DIGITS.get(currency, 2)


def is_currency(code: str) -> bool:
    """Return whether it is written as an ISO 4217 code."""
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()


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
