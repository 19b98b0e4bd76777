"""Numbers as catalogue texts state them, and attributes: their words and units, how they compare.

`storage_gb` is storage, counted in GB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from mersalg.engine.locales import Language, translate_words
from mersalg.engine.source_sections import AttributesSection
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
    match = (_COMMA_NUMBER if decimal == "," else _NUMBER).fullmatch(text.strip())
    if match is None:
        return None
    if decimal == ",":
        whole = re.sub(r"[ \u00a0\u202f.]", "", match["whole"])
        digits = whole + (match["decimals"] or "").replace(",", ".")
        return Number(Decimal(digits), (match["unit"] or "").strip())
    whole, decimals = match["whole"], match["decimals"] or ""
    grouped = "," in whole
    # `0,500` is half a litre, not five hundred.
    if grouped and not decimals and whole.lstrip("+-").startswith("0"):
        whole, _, decimals = whole.partition(",")
        grouped, decimals = False, f",{decimals}"
    digits = re.sub(r"[ \u00a0\u202f,]", "", whole) + decimals.replace(",", ".")
    unit = (match["unit"] or "").strip()
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


def number_ratio(before: Number, after: Number) -> Decimal | None:
    """Return how many times `before` goes into `after`; None where they cannot be compared."""
    values = in_common_unit(before, after)
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


# Suffix of an attribute name -> unit as printed, and whether "twice of it" says something: twice
# the storage does, twice the megapixels does not.
SUFFIXES: dict[str, tuple[str, bool]] = {
    unit: (printed, table == "amounts")
    for table, units in read_toml("mersalg.engine")["suffixes"].items()
    for unit, printed in units.items()
}

_WORD = re.compile(r"(?=.*[aeiouyæøå])[^\W\d_]{3,}|per|of|and", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-zæøå])(?=[A-ZÆØÅ])")


def attribute_label(
    attribute: str, language: Language, attributes: AttributesSection | None = None
) -> tuple[str, str]:
    """`storage_gb` -> (`storage`, `gb`): the words, and the unit suffix where there is one.

    The shop's own label comes first, then the words of the column name where the message
    catalogues know them. Other words are used in English alone, and only where they can be read
    (`torque`, not `attr_07`); else the label is "", and nothing is said of the attribute.
    """
    words, suffix = _read(attribute, language)
    given = attributes.attribute_labels.get(attribute) if attributes else None
    label = None if given is None else given.nb if language == "nb" else given.en
    return label or words, suffix


@lru_cache(maxsize=4096)
def _read(attribute: str, language: Language) -> tuple[str, str]:
    words, suffix = _parts(attribute)
    label = translate_words(words, language)
    if not label and language == "en" and all(map(_WORD.fullmatch, words)):
        label = " ".join(words)
    return label, suffix


@lru_cache
def is_countable(attribute: str) -> bool:
    """`projects` can be counted (so mange), `storage_gb` cannot (so mye)."""
    words, suffix = _parts(attribute)
    words = (translate_words(words, "en") or " ".join(words)).split()
    first = words[0].casefold() if words else ""
    return not suffix and first.endswith("s") and not first.endswith("ss")


def _parts(attribute: str) -> tuple[list[str], str]:
    words = [
        word
        for part in attribute.replace("_", " ").replace("-", " ").split()
        for word in ([part] if part.casefold() in SUFFIXES else _HUMP.split(part))
    ]
    suffix = ""
    if len(words) > 1 and words[-1].casefold() in SUFFIXES:
        suffix = words.pop().casefold()
    return words, suffix
