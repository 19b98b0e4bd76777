"""What an upgrade gains and loses, attribute by attribute, read from catalogue texts.

A text is a number with or without a unit (`64`, `64 GB`, `0,5 l`), a yes or no, a step of a known
scale (`small`), a set (`boards; files`) or some other text. Larger numbers, yes for no, higher
steps and added members are gains; their opposites are losses; other texts merely differ. Where
either side is empty nothing is known. No number is taken as better for being smaller: an attribute
of that kind (a weight, a noise level) is left out of the shop file's `attributes`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from engine.catalogue import Catalogue
from engine.offers import Change

_NUMBER = re.compile(
    r"(?P<whole>[+-]?(?:[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+))"
    r"(?P<decimals>[.,][0-9]+)?\s*"
    r"(?P<unit>(?:[^\W\d_]|[\"″'%°])[^\d;|,]{0,15}(?:(?<=m)[23])?)?"
)
_YES = frozenset({"yes", "true", "ja", "y"})
_NO = frozenset({"no", "false", "nei", "n"})
_UNKNOWN = frozenset({"", "-", "–", "—", "?", "n/a", "unknown", "ukjent"})

# Each scale ascends; several words may name one step.
_SCALES: tuple[tuple[frozenset[str], ...], ...] = (
    (
        frozenset({"xs", "extra small", "mini"}),
        frozenset({"s", "sm", "small", "liten"}),
        frozenset({"m", "md", "medium", "rg", "regular", "middels", "vanlig"}),
        frozenset({"l", "lg", "large", "stor"}),
        frozenset({"xl", "extra large", "ekstra stor"}),
        frozenset({"xxl"}),
    ),
    (
        frozenset({"basic", "basis", "starter", "start"}),
        frozenset({"standard", "plus", "pluss"}),
        frozenset({"premium", "pro", "professional"}),
        frozenset({"enterprise"}),
    ),
    (
        frozenset({"bronze", "bronse"}),
        frozenset({"silver", "sølv"}),
        frozenset({"gold", "gull"}),
        frozenset({"platinum", "platina"}),
    ),
)

# Unit -> (dimension, size in the smallest unit of the dimension).
_UNITS: dict[str, tuple[str, Decimal]] = {
    **{
        unit: ("bytes", Decimal(1000) ** power)
        for power, unit in enumerate(("kb", "mb", "gb", "tb", "pb"))
    },
    **{
        unit: ("volume", Decimal(size))
        for unit, size in (
            *(("ml", 1), ("cl", 10), ("dl", 100), ("l", 1000)),
            *(("fl oz", "29.5735"), ("pt", "473.176"), ("qt", "946.353")),
            *(("ga", "3785.41"), ("gal", "3785.41")),
        )
    },
    **{
        unit: ("mass", Decimal(size))
        for unit, size in (
            *(("mg", 1), ("g", 1000), ("kg", 10**6)),
            *(("oz", "28349.5"), ("lb", 453_592), ("lbs", 453_592)),
        )
    },
    **{
        unit: ("length", Decimal(size))
        for unit, size in (("mm", 1), ("cm", 10), ("m", 1000), ("km", 10**6))
    },
}


@dataclass(frozen=True, slots=True)
class Number:
    """`comma_thousands`: `5,000` was read as five thousand, though it may have meant five."""

    value: Decimal
    unit: str
    comma_thousands: bool = False
    comma_decimals: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Sorted by the catalogue's order of attributes; one attribute may both gain and lose."""

    gains: tuple[Change, ...] = ()
    losses: tuple[Change, ...] = ()
    differs: tuple[Change, ...] = ()
    """Other texts, of which neither is known to be better."""


@lru_cache(maxsize=65_536)
def parse_number(text: str) -> Number | None:
    """The number a text states, with its unit as written, or None where it states none.

    A comma before exactly three digits (`5,000`) parts thousands, but after a lone zero and in
    every other place decimals.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    whole, decimals = found["whole"], found["decimals"] or ""
    grouped = "," in whole
    # `0,500` is half a litre, not five hundred.
    if grouped and not decimals and whole.lstrip("+-").startswith("0"):
        whole, _, decimals = whole.partition(",")
        grouped, decimals = False, f",{decimals}"
    digits = re.sub(r"[ \u00a0\u202f,]", "", whole) + decimals.replace(",", ".")
    unit = (found["unit"] or "").strip()
    return Number(Decimal(digits), unit, grouped and not decimals, decimals.startswith(","))


def members(text: str, separators: str = ";|") -> tuple[str, ...]:
    """Members of a set as written, each once, in their order; by commas where no `;` or `|`."""
    parts = re.split(f"[{separators}]", text)
    if len(parts) == 1 and "," in text and separators == ";|":
        parts = text.split(",")
    return tuple(dict.fromkeys(stripped for part in parts if (stripped := part.strip())))


def added(before: str, after: str) -> tuple[str, ...]:
    """Members of the set `after` that `before` lacks, whatever their case."""
    separators = ";|" if re.search(r"[;|]", before + after) else ","
    known = {member.casefold() for member in members(before, separators)}
    return tuple(member for member in members(after, separators) if member.casefold() not in known)


def truth(text: str) -> bool | None:
    """Yes or no, or None where the text says neither."""
    word = text.strip().casefold()
    return True if word in _YES else False if word in _NO else None


def _step(text: str) -> tuple[int, int] | None:
    word = text.strip().casefold()
    for scale, steps in enumerate(_SCALES):
        for step, words in enumerate(steps):
            if word in words:
                return scale, step
    return None


def is_step(before: str, after: str) -> bool:
    """Both are words of one known scale (`small`, `large`)."""
    first, second = _step(before), _step(after)
    return first is not None and second is not None and first[0] == second[0]


def _in_common_notation(before: Number, after: Number) -> tuple[Number, Number] | None:
    """Both commas read alike; None where one number leaves open what the other's comma means."""
    if before.comma_thousands == after.comma_thousands:
        return before, after
    if not (before.comma_decimals or after.comma_decimals):
        return None
    read = [
        replace(number, value=number.value / 1000) if number.comma_thousands else number
        for number in (before, after)
    ]
    return read[0], read[1]


def _in_common_unit(before: Number, after: Number) -> tuple[Decimal, Decimal] | None:
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


def number_ratio(before: str, after: str) -> Decimal | None:
    """How many times `before` goes into `after`; None where they cannot be compared."""
    first, second = parse_number(before), parse_number(after)
    values = _in_common_unit(first, second) if first and second else None
    return values[1] / values[0] if values and values[0] > 0 else None


Verdict = Literal["same", "gain", "loss", "both", "differs", "unknown"]


def _by_size(before: Decimal | int, after: Decimal | int) -> Verdict:
    return "gain" if after > before else "loss" if after < before else "same"


@lru_cache(maxsize=65_536)
def compare_texts(before: str, after: str) -> Verdict:
    """The verdict on one attribute; `both` is a set that gained some members and lost others."""
    before, after = before.strip(), after.strip()
    if before.casefold() in _UNKNOWN or after.casefold() in _UNKNOWN:
        return "unknown"
    if before.casefold() == after.casefold():
        return "same"
    first_number, second_number = parse_number(before), parse_number(after)
    if first_number and second_number:
        values = _in_common_unit(first_number, second_number)
        return _by_size(*values) if values else "differs"
    first_truth, second_truth = truth(before), truth(after)
    if first_truth is not None and second_truth is not None:
        return _by_size(int(first_truth), int(second_truth))
    first_step, second_step = _step(before), _step(after)
    if first_step and second_step and first_step[0] == second_step[0]:
        return _by_size(first_step[1], second_step[1])
    if not re.search(r"[;|,]", before + after):
        return "differs"
    gained, lost = bool(added(before, after)), bool(added(after, before))
    if gained and lost:
        # Two sets without a common member are two different things, not a trade.
        return "both" if len(added(before, after)) < len(members(after)) else "differs"
    return "gain" if gained else "loss" if lost else "same"


def compare_attributes(rows: Sequence[tuple[str, str, str]]) -> Comparison:
    """`rows` are (attribute, text of the base item, text of the better one)."""
    gains: list[Change] = []
    losses: list[Change] = []
    differs: list[Change] = []
    for attribute, before, after in rows:
        verdict = compare_texts(before, after)
        change = Change(attribute, before, after)
        if verdict in ("gain", "both"):
            gains.append(change)
        if verdict in ("loss", "both"):
            losses.append(change)
        if verdict == "differs":
            differs.append(change)
    return Comparison(tuple(gains), tuple(losses), tuple(differs))


def compare_items(catalogue: Catalogue, base: int, better: int) -> Comparison:
    """Every attribute of the catalogue, between two items by dense index."""
    return compare_attributes(
        [(name, texts[base], texts[better]) for name, texts in catalogue.attributes.items()]
    )
