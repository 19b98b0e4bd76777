"""Words and units of attributes: `storage_gb` is storage, counted in GB."""

from __future__ import annotations

import re
from functools import lru_cache

from mersalg.engine.locales import Language, translate_words
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.words import read_toml

# Suffix of an attribute name -> unit as printed, and whether "twice of it" says something: twice
# the storage does, twice the megapixels does not.
UNITS: dict[str, tuple[str, bool]] = {
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
        for word in ([part] if part.casefold() in UNITS else _HUMP.split(part))
    ]
    suffix = ""
    if len(words) > 1 and words[-1].casefold() in UNITS:
        suffix = words.pop().casefold()
    return words, suffix
