"""Traits that names state of fit, taste and kind: size, colour, and a thing or its accessory.

Two names that differ in nothing but size, colour, season or wheel are one thing for other people,
and a case is no better phone. Words are those of English and Norwegian shops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.upsell.numbers import SUFFIXES
from mersalg.engine.upsell.packs import without_pack
from mersalg.engine.words import word_sets

_NAMES, _ATTRIBUTES = (word_sets("mersalg.engine", table) for table in ("traits", "attributes"))
_WORN_ENDINGS = tuple(_NAMES["worn_endings"])
_COLOUR_ENDINGS = tuple(_NAMES["colour_endings"])
_OF_A_COLOUR = r"(?:label|edition|series|line)\b"
_DIGIT = re.compile("[0-9]")
_SEASON_STARTS = sorted(_NAMES["season_starts"])
_SEASON_START = re.compile(rf"(?:{'|'.join(_SEASON_STARTS)})s?(?=[^\W\d_]{{3,}})")
_SEASON_CODE = re.compile(r"(?:ss|aw|fw)\s?(?:20)?[0-9]{2}|20[0-9]{2}(?:/(?:20)?[0-9]{2})?")
_LETTERS = re.compile(r"x{0,4}s|x{0,5}l|[2-6]x[sl]|m|[xs]/[sml]|[sml]/x?[ml]")
_FAR_LETTERS = re.compile(r"x+s|xx+l|[2-6]x[sl]")
_LABELLED = re.compile(
    r"\b(?:sizes?|str|strl|størrelse|eur?|us|uk)(?:\b|(?=[0-9]))\.?\s*:?\s*"
    r"(?P<size>[0-9]{1,3}(?:[.,][0-9]+|½)?(?:\s*[-/]\s*[0-9]{1,3})?|(?:[0-9]?x{0,4}[sl]|[a-z])\b)"
)
_SHADE = re.compile(
    r"\b(?:ral|ncs|col(?:ou?r)?|farge|shade)\b[\s.:]*(?:nr|no)?[\s.:]*[0-9]{1,4}\b|\b0[0-9]{1,2}\b"
)
_PHRASES = {
    "all-season": "allseason",
    "one size": "onesize",
    "plus size": "plussize",
    "rose gold": "rosegold",
}
"""Phrases that mean one thing, as the word that the lists have for it."""
_SHADE_TO_THE_END = re.compile(r"\b[0-9]{1,3}(?:[.,][0-9]{1,2})?[a-z]?\b.*")
_WORN_NUMBERS = re.compile(
    r"\b[0-9]{1,2}\s[1-7]/[248]\b|\b[1-6]x\b|\b(?:[sml]|x{1,3}l)t\b"
    r"|\b[0-9]{1,2}(?:[.,]5|½)(?![\w.,/])|(?<=\s)[3-9]$|\bw\s?[0-9]{2}\s*[/x]?\s*l\s?[0-9]{2}\b|\b[0-9]{2,3}\s?(?:[a-h]{1,2}|w)\b"
    r"|\b[0-9]{1,3}(?:[.,][0-9])?\s*[-–/]\s*[0-9]{1,3}(?:[.,][0-9])?\s*"
    r"(?:mnd|m|md|months?|år|y|yrs?|years?|cm|kg)?\b"
    r"|\b[0-9]{2,3}\s?[x×]\s?[0-9]{2,3}[a-d]?\b"
    r"|\b[0-9]{2,3}(?:[.,]5|½)?\s*(?:cm|mm|mnd|months?|år|years?)?(?![\w.,/])"
    r"(?!\s*(?:(?!eu|uk|us)[^\W\d_]{1,2}|pack|stk|par|pairs?|speed|gears?|lumens?|den|denier)\b)"
)
_WHEELS = re.compile(
    r"\b[0-9]{3}/[0-9]{2}\s*-?\s*z?r?\s*[0-9]{2}\b|\br\s?[12][0-9]\b|\b(?:700c|650b)\b"
    r"|\b[12][0-9](?:[.,][0-9]{1,3})?"
    r"(?:\s?(?:\"|″|''|inch(?:es)?\b|in\b|tommers?\b|er\b)|-(?:inch|tommer)\b)"
)
_FOR = re.compile(
    r"\s(?:for|til|to fit|fits|compatible with|suitable for|passer|passende|kompatibel med)\s"
)
_WITH = re.compile(r"\s(?:with|med|incl|inkl|including|inkludert|w/)\b|[,(+–]|\s-\s")
_SIZE_ENDINGS = tuple(_ATTRIBUTES["size_endings"])
# The longest first. Short ones name an accessory as a word of their own only: `rem`, `ink`, `lid`.
_ENDINGS = tuple(
    sorted((word for word in _NAMES["accessories"] if len(word) >= 5), key=len, reverse=True)
)
_FIRST = tuple(_NAMES["accessories_first"])
_BEHIND = _NAMES["grades"] | {"multipack", "pack"}
_MADE_SO = re.compile(r"[^\W\d_]{2,}(?:ed|able|less|proof)")
"""Words behind the thing that a phrase names, which say what it is like."""
_MODEL = re.compile(
    r"(?<![\w.,/])[^\W\d_]?[0-9]{1,4}(?![\w.,/])"
    rf"(?!\s?-?\s?(?:{'|'.join(map(re.escape, SUFFIXES))})\b)"
)
_WORDS = re.compile(r"[^\W_]+(?:[.'’&][^\W_]+)*")
_LONG_WORDS = re.compile(r"[^\W\d_]{3,}")

Kind = Literal["worn", "eaten", "screen", ""]
Sense = Literal["fit", "taste"]


class Traits(NamedTuple):
    """Traits of one name, apart from what the thing is; several words are sorted."""

    stem: str
    """The words that remain."""
    sizes: str
    seasons: str
    tastes: str
    """`sizes`, `seasons`, `tastes`: as written, in small letters; sizes of an accessory are the
    models that it fits."""
    kind: Kind
    """`worn` of what has to fit a body, a wheel or a frame; food and drinks; screens."""
    accessory: str
    """What kind of accessory it is; "" of other things."""
    parts: frozenset[str]
    """The accessories that the head names anywhere."""
    head: str
    """The words before `for`, `til` or `with`."""
    words: str
    """Those of the whole name that say something: `Latte, large` and `Small latte` share one."""
    made_for: bool
    """Whether `for` or `til` occurs."""

    def fits_others(self, other: Traits) -> bool:
        """Return whether both name a size or a season, not the same: no buyer wants the other."""
        fitting = self.kind == "worn" or (self.accessory and other.accessory)
        sizes = fitting and self.sizes and other.sizes and self.sizes != other.sizes
        return bool(sizes or (self.seasons and other.seasons and self.seasons != other.seasons))

    def same_kind(self, other: Traits) -> bool:
        """Return whether neither is an accessory, or both are the same accessory.

        `Laptop sleeve Air 13` has all that `Laptop Air 13` says, and a sleeve.
        """
        for one, two in ((self, other), (other, self)):
            if one.accessory and one.accessory not in two.head:
                return False
            more = one.parts - two.parts and one.kind != "eaten"
            if more and set(two.head.split()) < set(one.head.split()):
                return False
        if not (self.made_for or other.made_for):
            return True
        return any(
            one.endswith(two) or two.endswith(one)
            for one in self.head.split()
            for two in other.head.split()
        )

    def shares_a_word(self, other: Traits) -> bool:
        """Return whether a word of one name is in the other."""
        return not set(self.words.split()).isdisjoint(other.words.split())


def _kind(words: frozenset[str]) -> Kind:
    if not words.isdisjoint(_NAMES["worn"]) or any(word.endswith(_WORN_ENDINGS) for word in words):
        return "worn"
    return "eaten" if words & _NAMES["eaten"] else "screen" if words & _NAMES["screens"] else ""


def _is_colour(word: str) -> bool:
    return word in _NAMES["colours"] or (len(word) > 5 and word.endswith(_COLOUR_ENDINGS))


@lru_cache(maxsize=16_384)
def traits_of(name: str, category: str = "") -> Traits:
    """Return the traits of a display name, apart from how much it holds.

    Its category helps to distinguish garments from drinks.
    """
    sizes: set[str] = set()
    seasons: set[str] = set()
    tastes: set[str] = set()

    def shade(match: re.Match[str]) -> str:
        tastes.add(match[0])
        return " "

    text = name.casefold()
    if _DIGIT.search(text):
        text = without_pack(_SHADE.sub(shade, text), category)
    around = frozenset(_WORDS.findall(f"{text} {category.casefold()}".replace("t-s", "ts")))
    kind = _kind(around)
    worn = kind == "worn"

    def taken(match: re.Match[str]) -> str:
        sizes.add(re.sub(r"\s", "", match.groupdict().get("size") or match[0]))
        return " "

    def season(match: re.Match[str]) -> str:
        seasons.add(re.sub(r"\s", "", match[0]).rstrip("s"))
        return " "

    if worn:
        text = _WHEELS.sub(taken, text)
        text = re.sub(rf"\b(?:{_SEASON_CODE.pattern})\b", season, text)
    if _DIGIT.search(text) or "s" in text:
        text = _LABELLED.sub(taken, text)
    if worn:
        text = _WORN_NUMBERS.sub(taken, text)
    if any(start in text for start in _SEASON_STARTS):
        text = _SEASON_START.sub(season, text)
    if around & _NAMES["tinted"]:
        text = _SHADE_TO_THE_END.sub(shade, text)
    for phrase, word in _PHRASES.items():
        text = text.replace(phrase, word)
    words: list[str] = []
    for word in _WORDS.findall(text):
        if (len(word) < 7 and kind != "eaten" and _LETTERS.fullmatch(word)) or (
            worn and word in _NAMES["sizes"]
        ):
            sizes.add(word)
        elif word in _NAMES["seasons"]:
            seasons.add(word)
        elif _is_colour(word) and not re.search(rf"\b{word}\s{_OF_A_COLOUR}", text):
            tastes.add(word)
        elif word not in _NAMES["shades"]:
            words.append(word)
    made_for = _FOR.search(text)
    cut = made_for.start() if made_for else len(text)
    included = _WITH.search(text, 1, cut)
    cut = included.start() if included else cut
    head = words if cut == len(text) else [w for w in _WORDS.findall(text[:cut]) if w in words]
    head = [word for word in head if len(word) > 2 and not _DIGIT.search(word)]
    accessory = _accessory(head)
    if accessory:
        sizes.update(_MODEL.findall(text))
    return Traits(
        _sorted(word for word in words if word not in _NAMES["containers"]) or _sorted(words),
        _sorted(sizes),
        _sorted(seasons),
        _sorted(tastes),
        kind,
        accessory,
        frozenset(part for word in head if (part := _part(word))),
        _sorted({*head}),
        _sorted({*_LONG_WORDS.findall(name.casefold())}),
        made_for is not None,
    )


def _sorted(words: Iterable[str]) -> str:
    return " ".join(sorted(words))


def item_traits(catalogue: Catalogue, item: int) -> Traits:
    """Return the traits of an item by dense index."""
    return traits_of(catalogue.names[item], catalogue.category_of(item))


def _accessory(words: list[str]) -> str:
    """Return the accessory a phrase names: its last word (`phone case`) or its first."""
    while len(words) > 1 and (words[-1] in _BEHIND or _MADE_SO.fullmatch(words[-1])):
        words = words[:-1]
    first = [word for word in words[:1] if word.endswith(_FIRST)]
    parts = [part for word in (*words[-1:], *first) if (part := _part(word))]
    return parts[0] if parts else ""


@lru_cache(maxsize=16_384)
def _part(word: str) -> str:
    """Return the accessory that a word names, alone or at its end."""
    for form in (word, word[:-1], word[:-2]):
        if form in _NAMES["accessories"]:
            return form
        if form.endswith(_ENDINGS):
            return next(each for each in _ENDINGS if form.endswith(each))
    return ""


def sense_of(attribute: str, before: str, after: str, kind: Kind) -> Sense | None:
    """Return whether an attribute is one of fit or of taste, of two texts that differ."""
    named, first, second = _named(attribute), _read_text(before), _read_text(after)
    numbers = first.is_number and second.is_number
    seasons = first.is_season and second.is_season
    if named.fit or (seasons and not (first.is_digits and second.is_digits)):
        return "fit"
    if (named.taste and not numbers) or (first.is_colours and second.is_colours):
        return "taste"
    worn = kind == "worn"
    is_letters = first.is_letters or (worn and first.is_size)
    if kind != "eaten" and is_letters and (second.is_letters or (worn and second.is_size)):
        return "fit"
    if not named.size:
        return None
    if worn or first.is_far or second.is_far:
        return "fit"
    labelled = all(text.is_labelled or text.is_number for text in (first, second))
    return "fit" if labelled and kind != "screen" else None


def is_amount(attribute: str) -> bool:
    """Return whether whole numbers of an attribute are never a matter of fit or taste."""
    return not any(_named(attribute))


class _Named(NamedTuple):
    """Of what an attribute is by its name; of `size` only where no amount is meant."""

    fit: bool
    taste: bool
    size: bool


@lru_cache
def _named(attribute: str) -> _Named:
    words = frozenset(re.split(r"[\W_]+", attribute.casefold()))
    of_size = words & _ATTRIBUTES["size"] or any(word.endswith(_SIZE_ENDINGS) for word in words)
    # `size_ml` is no size that fits.
    is_amount = words & SUFFIXES.keys() or words & _ATTRIBUTES["pack"]
    fit, taste = words & _ATTRIBUTES["fit"], words & _ATTRIBUTES["taste"]
    return _Named(bool(fit), bool(taste), bool(of_size) and not is_amount)


class _Text(NamedTuple):
    """What one text of an attribute is by itself; `is_far` are letters far from the middle size."""

    is_number: bool
    is_digits: bool
    is_season: bool
    is_colours: bool
    is_letters: bool
    is_size: bool
    is_far: bool
    is_labelled: bool


@lru_cache(4_096)  # A shop has far fewer texts than pairs of them.
def _read_text(text: str) -> _Text:
    text = text.casefold().strip()
    return _Text(
        re.fullmatch(r"[0-9]{1,3}(?:[.,][0-9]+|½)?", text) is not None,
        text.isdigit(),
        text in _NAMES["seasons"] or _SEASON_CODE.fullmatch(text) is not None,
        _all_colours(text),
        _LETTERS.fullmatch(text) is not None,
        text in _NAMES["sizes"],
        _FAR_LETTERS.fullmatch(text) is not None,
        _LABELLED.match(text) is not None,
    )


def _all_colours(text: str) -> bool:
    words = _WORDS.findall(text)
    return bool(words) and all(_is_colour(word) or word in _NAMES["shades"] for word in words)
