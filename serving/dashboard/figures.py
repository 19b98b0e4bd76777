"""Numbers as the page writes them: the same in every language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

_THIN_SPACE = "\u202f"

Rate = Mapping[str, object]
"""One entry of the report: value, lower, upper, numerator, denominator, method, status."""


@dataclass(frozen=True, slots=True)
class RateText:
    value: str
    interval: str
    fraction: str


def count(number: object) -> str:
    """1234567 -> `1 234 567`, with narrow spaces that do not break."""
    return f"{number:,}".replace(",", _THIN_SPACE) if isinstance(number, int) else str(number)


def percent(share: object) -> str:
    return f"{share * 100:.1f}{_THIN_SPACE}%" if isinstance(share, int | float) else "–"


def points(difference: object) -> str:
    """A difference of two shares, in percentage points."""
    return f"{difference * 100:+.1f}" if isinstance(difference, int | float) else "–"


def level(confidence: object) -> str:
    return f"{confidence * 100:g}{_THIN_SPACE}%" if isinstance(confidence, float) else ""


def amount(text: object, currency: str) -> str:
    """A decimal string of the report -> `12 345.60 NOK`."""
    if not isinstance(text, str):
        return "–"
    return f"{Decimal(text):,f}".replace(",", _THIN_SPACE) + f"{_THIN_SPACE}{currency}"


def rate(entry: Rate | None, counted: str = "") -> RateText:
    """A rate in words; `counted` names what the denominator counts. Empty where there is none."""
    if entry is None:
        return RateText("", "", "")
    if entry["value"] is None:
        return RateText("–", "no data", "")
    fraction = f"{count(entry['numerator'])} of {count(entry['denominator'])}"
    return RateText(
        percent(entry["value"]),
        f"{percent(entry['lower'])} to {percent(entry['upper'])}",
        f"{fraction} {counted}".rstrip(),
    )
