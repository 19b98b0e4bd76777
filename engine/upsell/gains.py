"""Gains and losses of an upgrade, attribute by attribute, read from catalogue texts.

A text is a number with or without a unit (`64`, `64 GB`, `0,5 l`, `unlimited`), measures along
several sides (`90x200 cm`), a yes or no, a step of a scale (`small`, or the shop's own levels), a
set (`boards; files`), a pack (`6x0,33 l`) or some other text. Larger numbers, yes for no, higher
steps and added members are gains; their opposites are losses; other texts merely differ. Where
either side is empty nothing is known. A number is better for being smaller only where the shop
says so (`lower_is_better`): a weight, a noise level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.facts import Change
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.numbers import Mark, in_common_unit, parse_number
from mersalg.engine.upsell.packs import parse_pack
from mersalg.engine.upsell.traits import Kind, is_amount, sense_of
from mersalg.engine.vocabulary import StringTable
from mersalg.engine.words import read_toml

PACK_SIZE = "pack_size"
"""The attribute compared by the amount it states."""

_LONGEST_PLAIN = 15
"""Digits of a number that is compared as an integer."""
_SAME_PACK = 1.05
"""Packs that differ by no more are one size: 26 and 26.5 ounces."""

_WORDS = read_toml("mersalg.engine")["values"]
_YES, _NO, _NOTHING, _UNKNOWN = (
    frozenset[str](_WORDS[name]) for name in ("yes", "no", "nothing", "unknown")
)

Levels = tuple[str, ...]
"""Words of one ordered attribute, the least first."""

# Each scale ascends; several words may name one step.
_SCALES: tuple[tuple[frozenset[str], ...], ...] = tuple(
    tuple(map(frozenset, steps)) for steps in _WORDS["scales"]
)
_SIDES = re.compile(r"(?P<sides>[0-9.]+(?:\s*[x×]\s*[0-9.]+)+)\s*(?P<unit>[^\W\d_]*)")

Verdict = Literal["same", "gain", "loss", "both", "differs", "unknown"]
_TURNED: Mapping[Verdict, Verdict] = {"gain": "loss", "loss": "gain"}


class Comparison(Struct, frozen=True, gc=False):
    """Sorted by the catalogue's order of attributes; one attribute may both gain and lose."""

    gains: tuple[Change, ...] = ()
    losses: tuple[Change, ...] = ()
    differs: tuple[Change, ...] = ()
    """Other texts, of which neither is known to be better."""
    fit: tuple[Change, ...] = ()
    """Sizes of garments, wheels, seasons: a buyer of one has no use for the other."""
    taste: tuple[Change, ...] = ()
    """Colours, scents, languages."""


def members(text: str, separators: str = ";|") -> tuple[str, ...]:
    """Members of a set as written, each once, in their order; by commas where no `;` or `|`."""
    if text.strip().casefold() in _NOTHING:
        return ()
    parts = re.split(f"[{separators}]", text)
    if len(parts) == 1 and "," in text and separators == ";|":
        parts = text.split(",")
    return tuple(dict.fromkeys(stripped for part in parts if (stripped := part.strip())))


def added(before: str, after: str) -> tuple[str, ...]:
    """Members of the set `after` that `before` lacks, whatever their case."""
    separators = ";|" if re.search(r"[;|]", before + after) else ","
    earlier = {member.casefold() for member in members(before, separators)}
    return tuple(
        member for member in members(after, separators) if member.casefold() not in earlier
    )


def truth(text: str) -> bool | None:
    """Yes or no, or None where the text says neither."""
    word = text.strip().casefold()
    return True if word in _YES else False if word in _NO else None


def is_step(before: str, after: str, levels: Levels = ()) -> bool:
    """Both are words of one scale: the shop's `levels`, or a known one (`small`, `large`)."""
    first, second = _step(before, levels), _step(after, levels)
    return first is not None and second is not None and first[0] == second[0]


def _step(text: str, levels: Levels) -> tuple[int, int] | None:
    word = text.strip().casefold()
    for step, level in enumerate(levels):
        if word == level.strip().casefold():
            return -1, step
    for scale, steps in enumerate(_SCALES):
        for step, words in enumerate(steps):
            if word in words:
                return scale, step
    return None


def _by_size(before: Decimal | float, after: Decimal | float) -> Verdict:
    return "gain" if after > before else "loss" if after < before else "same"


def compare_texts(
    before: str,
    after: str,
    levels: Levels = (),
    lower_is_better: bool = False,
    decimal: Mark = ".",
) -> Verdict:
    """Return the verdict on one attribute; `both` is a set that gained and lost members."""
    if not levels and _is_plain(before) and _is_plain(after):
        # Of whole numbers there are many pairs; each is sooner compared than remembered.
        verdict = _by_size(int(before), int(after))
        return _TURNED.get(verdict, verdict) if lower_is_better else verdict
    return _verdict(before, after, levels, lower_is_better, decimal)


def _is_plain(text: str) -> bool:
    return text.isdigit() and text.isascii() and len(text) <= _LONGEST_PLAIN


@lru_cache(maxsize=4_096)
def _verdict(
    before: str, after: str, levels: Levels, lower_is_better: bool, decimal: Mark
) -> Verdict:
    before, after = before.strip(), after.strip()
    if before.casefold() in _UNKNOWN or after.casefold() in _UNKNOWN:
        return "unknown"
    if before.casefold() == after.casefold():
        return "same"
    if levels and is_step(before, after, levels):
        return _by_size(*(float((_step(text, levels) or (0, 0))[1]) for text in (before, after)))
    verdict = _by_amount(before, after, decimal)
    if verdict is not None:
        return _TURNED.get(verdict, verdict) if lower_is_better else verdict
    first_truth, second_truth = truth(before), truth(after)
    if first_truth is not None and second_truth is not None:
        return _by_size(int(first_truth), int(second_truth))
    first_step, second_step = _step(before, ()), _step(after, ())
    if first_step and second_step and first_step[0] == second_step[0]:
        return _by_size(first_step[1], second_step[1])
    return _by_members(before, after)


def _by_amount(before: str, after: str, decimal: Mark = ".") -> Verdict | None:
    """Of two numbers, or two measures along as many sides; None of other texts."""
    first, second = parse_number(before, decimal), parse_number(after, decimal)
    if first and second:
        values = in_common_unit(first, second)
        return _by_size(*values) if values else "differs"
    sides, others = _SIDES.fullmatch(before), _SIDES.fullmatch(after)
    if not (sides and others) or sides["unit"].casefold() != others["unit"].casefold():
        return None
    earlier, later = _numbers(sides["sides"]), _numbers(others["sides"])
    if len(earlier) != len(later):
        return None
    changed: set[Verdict] = {*map(_by_size, earlier, later)}
    changed.discard("same")
    return "differs" if len(changed) > 1 else changed.pop() if changed else "same"


def are_amounts(attribute: str, before: str, after: str) -> bool:
    """Both texts say how much or how large, though not by one number: packs, sides."""
    if attribute == PACK_SIZE:
        return parse_pack(before) is not None and parse_pack(after) is not None
    return _SIDES.fullmatch(before.strip()) is not None and _by_amount(before, after) is not None


def _numbers(text: str) -> list[float]:
    parts = [part.strip(" .") for part in re.split(r"[x×]", text)]
    return [float(part) for part in parts if part.count(".") < 2 and part]


def _by_members(before: str, after: str) -> Verdict:
    nothing = _NOTHING & {before.casefold(), after.casefold()}
    if not nothing and not re.search(r"[;|,]", before + after):
        return "differs"
    gained, lost = added(before, after), added(after, before)
    if gained and lost:
        separators = ";|" if re.search(r"[;|]", before + after) else ","
        held = {member.casefold() for member in members(after, separators)}
        # Two sets without a common member are two different things, not a trade.
        return "differs" if held == {member.casefold() for member in gained} else "both"
    return "gain" if gained else "loss" if lost else "same"


def _by_pack(before: str, after: str) -> Verdict:
    first, second = parse_pack(before), parse_pack(after)
    if not before.strip() or not after.strip():
        return "unknown"
    if before.casefold() == after.casefold():
        return "same"
    if first is None or second is None:
        return compare_texts(before, after)
    first, second = first.beside(second), second.beside(first)
    if first.dimension != second.dimension:
        return "differs"
    if max(first.amount, second.amount) <= _SAME_PACK * min(first.amount, second.amount):
        return "same"
    return _by_size(first.amount, second.amount)


def compare_attributes(
    rows: Sequence[tuple[str, str, str]],
    attributes: AttributesSection | None = None,
    kind: Kind = "",
) -> Comparison:
    """Compare rows of (attribute, text of the base item, text of the better one).

    What has levels of the shop's own, or is better for being smaller, is no matter of fit or taste.
    `kind` is that of the items, as of `Traits`.
    """
    attributes = attributes or AttributesSection()
    changes: dict[str, list[Change]] = {}
    for attribute, before, after in rows:
        if before == after:  # as of most items of one kind
            continue
        levels = attributes.attribute_levels.get(attribute, ())
        lower = attribute in attributes.lower_is_better
        if attribute == PACK_SIZE:
            verdict = _by_pack(before, after)
        else:
            decimal = attributes.decimals.get(attribute, ".")
            verdict = compare_texts(before, after, levels, lower, decimal)
        sense = None
        if verdict not in ("same", "unknown") and not levels and not lower:
            sense = sense_of(attribute, before, after, kind)
        for each in (sense,) if sense else ("gain", "loss") if verdict == "both" else (verdict,):
            changes.setdefault(each, []).append(Change(attribute, before, after))
    verdicts = ("gain", "loss", "differs", "fit", "taste")
    return Comparison(*[tuple(changes.get(verdict, ())) for verdict in verdicts])


def amounts_of(
    catalogue: Catalogue, attributes: AttributesSection
) -> list[tuple[StringTable, bool]]:
    """Return the texts of attributes of which plain numbers differ by size and nothing else.

    Each with whether the lower one is better.
    """
    return [
        (texts, name in attributes.lower_is_better)
        for name, texts in catalogue.attributes.items()
        if name != PACK_SIZE
        and not attributes.attribute_levels.get(name)
        and (name in attributes.lower_is_better or is_amount(name))
    ]


def compare_items(
    catalogue: Catalogue,
    base: int,
    better: int,
    attributes: AttributesSection | None = None,
    kind: Kind = "",
) -> Comparison:
    """Every attribute of the catalogue, between two items by dense index; `kind` as of `Traits`."""
    rows = [(name, texts[base], texts[better]) for name, texts in catalogue.attributes.items()]
    return compare_attributes(rows, attributes, kind)
