"""The languages offers are written in: one message table, one glossary of attribute words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "nb"]

_LANGUAGES: Mapping[str, Language] = {"en": "en", "nb": "nb", "no": "nb", "nn": "nb"}

MESSAGES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "rate": "{part} of {whole}",
        "together": "Bought together with {items} in {rate} orders",
        "popular": "Popular: in {rate} orders",
        "picked": "Picked by {shop}",
        "times": "{ratio}x the {label}",
        "from_to": "{label} {before} → {after}",
        "adds": "adds {members}",
        "instead": "{label} {after} instead of {before}",
        "upgrade": "{what} for {money} more",
        "better": "A better version",
        "and": "and",
        "money": "{amount} {code}",
    },
    "nb": {
        "rate": "{part} av {whole}",
        "together": "Kjøpt sammen med {items} i {rate} ordrer",
        "popular": "Populær: i {rate} ordrer",
        "picked": "Valgt av {shop}",
        "times": "{ratio}x {label}",
        "from_to": "{label} {before} → {after}",
        "adds": "med {members}",
        "instead": "{label} {after} i stedet for {before}",
        "upgrade": "{what} for {money} mer",
        "better": "En bedre utgave",
        "and": "og",
        "money": "{amount} {symbol}",
    },
}

# English words of attribute names, as shops write them in column headers.
_GLOSSARY: Mapping[Language, Mapping[str, str]] = {
    "en": {"cpu": "CPU", "ram": "RAM", "ssd": "SSD", "gpu": "GPU"},
    "nb": {
        "amenities": "fasiliteter",
        "area": "areal",
        "battery": "batteri",
        "bedrooms": "soverom",
        "beds": "senger",
        "blend": "blanding",
        "camera": "kamera",
        "capacity": "kapasitet",
        "color": "farge",
        "colour": "farge",
        "contents": "innhold",
        "cpu": "CPU",
        "deliverables": "leveranser",
        "display": "skjerm",
        "features": "funksjoner",
        "gpu": "GPU",
        "guests": "gjester",
        "guarantee": "garanti",
        "length": "lengde",
        "material": "materiale",
        "memory": "minne",
        "per": "per",
        "month": "måned",
        "pieces": "deler",
        "posts": "innlegg",
        "power": "effekt",
        "processor": "prosessor",
        "projects": "prosjekter",
        "ram": "RAM",
        "resolution": "oppløsning",
        "score": "poeng",
        "screen": "skjerm",
        "seats": "plasser",
        "servings": "porsjoner",
        "size": "størrelse",
        "speed": "hastighet",
        "ssd": "SSD",
        "storage": "lagring",
        "support": "støtte",
        "users": "brukere",
        "volume": "volum",
        "warranty": "garanti",
        "week": "uke",
        "weeks": "uker",
        "weight": "vekt",
        "width": "bredde",
        "workshops": "arbeidsmøter",
        "year": "år",
        "years": "år",
    },
}


def language_of(*wanted: str | None) -> Language:
    """The first of `wanted` (`nb-NO`, `no`, `en_GB`, ...) that is spoken here, else English."""
    for locale in wanted:
        tag = (locale or "").strip().replace("_", "-").partition(",")[0].partition(";")[0]
        language = _LANGUAGES.get(tag.partition("-")[0].casefold())
        if language is not None:
            return language
    return "en"


def translate_word(word: str, language: Language) -> str:
    """A word of an attribute name; as the shop wrote it where the glossary lacks it."""
    return _GLOSSARY[language].get(word.casefold(), word)
