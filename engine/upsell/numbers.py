"""Numbers as catalogue texts state them, with their units, and how they compare."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from mersalg.engine.words import read_toml

Mark = Literal[".", ","]
"""The decimal mark of a file."""
_UNIT = r"\s*(?P<unit>(?:[^\W\d_]|[\"″'%°])[^\d;|,]{0,15}(?:(?<=m)[23])?)?"
_SPACED = r"[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+"
_NUMBER = re.compile(
    rf"(?P<whole>[+-]?(?:{_SPACED}|[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+))(?P<decimals>[.,][0-9]+)?{_UNIT}"
)
_COMMA_NUMBER = re.compile(
    rf"(?P<whole>[+-]?(?:{_SPACED}|(?!0)[0-9]{{1,3}}(?:\.[0-9]{{3}})+(?![0-9])|[0-9]+))"
    rf"(?P<decimals>[.,][0-9]+)?{_UNIT}"
)
_UNLIMITED = frozenset({"unlimited", "ubegrenset", "ubegrensa", "∞"})


# Unit -> (dimension, size in the smallest unit of the dimension).
_UNITS: dict[str, tuple[str, Decimal]] = {
    unit.replace("_", " "): (dimension, Decimal(size))
    for dimension, sizes in read_toml("mersalg.engine")["numbers"].items()
    for units, size in sizes.items()
    for unit in units.split()
}


@dataclass(frozen=True, slots=True)
class Number:
    """`comma_thousands`: `5,000` was read as five thousand, though it may have meant five.

    `value` is infinite where the text says `unlimited`.
    """

    value: Decimal
    unit: str
    comma_thousands: bool = False
    comma_decimals: bool = False

    @property
    def limited(self) -> bool:
        """Whether the number is finite."""
        return self.value.is_finite()


@lru_cache(maxsize=4_096)
def parse_number(text: str, decimal: Mark = ".") -> Number | None:
    """Return the number a text states, with its unit as written; None where it states none.

    A comma before exactly three digits (`5,000`) parts thousands, but after a lone zero and in
    every other place decimals; of a file whose decimal mark is the comma, a point does so.
    """
    if text.strip().casefold() in _UNLIMITED:
        return Number(Decimal("Infinity"), "")
    found = (_COMMA_NUMBER if decimal == "," else _NUMBER).fullmatch(text.strip())
    if found is None:
        return None
    if decimal == ",":
        whole = re.sub(r"[ \u00a0\u202f.]", "", found["whole"])
        digits = whole + (found["decimals"] or "").replace(",", ".")
        return Number(Decimal(digits), (found["unit"] or "").strip())
    whole, decimals = found["whole"], found["decimals"] or ""
    grouped = "," in whole
    # `0,500` is half a litre, not five hundred.
    if grouped and not decimals and whole.lstrip("+-").startswith("0"):
        whole, _, decimals = whole.partition(",")
        grouped, decimals = False, f",{decimals}"
    digits = re.sub(r"[ \u00a0\u202f,]", "", whole) + decimals.replace(",", ".")
    unit = (found["unit"] or "").strip()
    return Number(Decimal(digits), unit, grouped and not decimals, decimals.startswith(","))


def in_common_unit(before: Number, after: Number) -> tuple[Decimal, Decimal] | None:
    """Both values in one unit; None where their units or notations cannot be reconciled."""
    pair = _in_common_notation(before, after)
    if pair is None:
        return None
    before, after = pair
    first, second = before.unit.casefold(), after.unit.casefold()
    # A number without a unit is taken to be in the other one's.
    if first == second or not first or not second:
        return before.value, after.value
    known_first, known_second = _UNITS.get(first), _UNITS.get(second)
    if known_first is None or known_second is None or known_first[0] != known_second[0]:
        return None
    return before.value * known_first[1], after.value * known_second[1]


def number_ratio(before: str, after: str, decimal: Mark = ".") -> Decimal | None:
    """How many times `before` goes into `after`; None where they cannot be compared."""
    first, second = parse_number(before, decimal), parse_number(after, decimal)
    values = in_common_unit(first, second) if first and second else None
    if values is None or values[0] <= 0 or not all(value.is_finite() for value in values):
        return None
    return values[1] / values[0]


def _in_common_notation(before: Number, after: Number) -> tuple[Number, Number] | None:
    """Both commas read alike; None where one number leaves open what the other's comma means."""
    if before.comma_thousands == after.comma_thousands:
        return before, after
    if not (before.limited and after.limited):
        return before, after
    if not (before.comma_decimals or after.comma_decimals):
        return None
    read = [
        replace(number, value=number.value / 1000) if number.comma_thousands else number
        for number in (before, after)
    ]
    return read[0], read[1]
