"""Numbers in names that are no amount of ware: what a thing is like, can hold or is made for.

Carats and gigabytes, the strength of a tablet, the weight of paper, of a body or of a load, the
litres of a rucksack or a kettle.
"""

from __future__ import annotations

import re

from mersalg.engine.words import read_toml

_DIGIT = re.compile("[0-9]")
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_STRENGTH = re.compile(
    rf"{_NUMBER}\s?(?:mg|mcg|[µμu]g|iu|ie|gsm)\b"
    rf"(?:\s*/\s*(?:{_NUMBER}\s?)?(?:ml|l|g|dose|stk|tab)\b)?"
    rf"|{_NUMBER}\s?g\s?(?:/|pr\.?|per)\s?(?:m2|m²|kvm|sqm|m\b|l\b|ml\b|100\s?(?:g|ml)\b)"
)
_GIGABYTES = re.compile(r"(?<![0-9.,])(?:16|32|64|128|256|512)\s?G\b(?!/)")


def _any(words: str) -> str:
    """Compile a pattern of words; `_` is an optional space, `~` for any letters."""
    chosen = words.replace("_", r"\s?").replace("~", r"\w*").split()
    return rf"\b(?:{'|'.join(chosen)})\b"


_KILOS = r"\s?(?:kg|kilos?|lbs?|pounds?)\b"
_KILOGRAMS = re.compile(rf"[0-9]\s?\+?{_KILOS}")
_WORDS = read_toml("mersalg.engine")["properties"]
_LOAD = re.compile(
    _any(_WORDS["before_load"])
    + rf"\.?\s?:?\s?(?:of\s|på\s)?{_NUMBER}(?:\s?[-–]\s?{_NUMBER})?\s?\+?{_KILOS}\+?"
    rf"|{_NUMBER}\s?\+{_KILOS}|{_NUMBER}{_KILOS}\s?\+|{_NUMBER}{_KILOS}\s"
    + _any(_WORDS["after_load"])
)
_GRAMS = re.compile(r"(?<![0-9.,])[0-9]{1,3}\s?(?:g|gr|gram)\b")
# Words of a name or a category, and the numbers beside them that are no amount.
_CONTEXTS = tuple(
    (re.compile(_any(_WORDS[name])), numbers)
    for name, numbers in (
        ("memory", _GRAMS),
        ("jewellery", re.compile(rf"{_NUMBER}\s?ct\b")),
        ("weight", _GRAMS),
        (
            "capacity",
            re.compile(
                rf"{_NUMBER}\s?-?\s?(?:ml|cl|dl|l|lt|liters?|litres?|gal|qt|kg|g|lbs?|oz)\b"
            ),
        ),
    )
)


def without_strengths(text: str) -> str:
    """Return a text in small letters without strengths, paper weights and gigabytes (`64G`)."""
    if not _DIGIT.search(text):
        return text.casefold()
    return _STRENGTH.sub(" ", _GIGABYTES.sub(" ", text).casefold())


def without_properties(name: str, category: str = "") -> str:
    """Return a name in small letters without what it says of loads, bodies and capacity."""
    around = f"{name} {category.casefold()}"
    for context, numbers in _CONTEXTS:
        # The numbers are sooner looked for than so many words.
        if numbers.search(name) and context.search(around):
            name = numbers.sub(" ", name)
    return _LOAD.sub(" ", name) if _KILOGRAMS.search(name) else name
