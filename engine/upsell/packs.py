"""Pack sizes: how much of a thing an item holds, read from texts as shops write them.

`12 OZ`, `6 pk`, `0,5 l`, `2x250 g`, `4/12 OZ` (four of twelve ounces), `1 1/2 LB`, `PACK OF 12`,
and a size inside a name (`Latte 0,4 l`) are understood; ranges (`14-18 CT`) and sizes that state no
amount (`LARGE`) are not. A count beside a whole (`10 CT/15 OZ`: ten waffles, fifteen ounces in all)
adds nothing to it, a number of packs (`12 PK/12 OZ`, `250 ml (pack of 6)`) multiplies. Nor are
amounts what a thing is like, can hold or is made for: carats, gigabytes, the strength of a tablet,
the weight of paper, of a body or of a load.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.facts import Step
from mersalg.engine.upsell.properties import without_properties, without_strengths
from mersalg.engine.words import read_toml, word_sets

DIMENSIONS = ("volume", "mass", "pieces", "loads", "area", "length", "span")
"""Base units: ml, g, one, one, square cm, cm, cm. `span` is how wide a thing is, which is no amount
of it: it has no unit price."""
_LARGEST_PACK = 20_000.0
"""Grams or ml: where packs times their size come to more, the size was that of all together."""

_WORDS = word_sets("mersalg.engine", "packs")
# As written -> dimension, size in its base unit, the one spelling for all of them.
_UNITS: dict[str, tuple[str, float, str]] = {
    unit: (dimension, size, units.split()[0])
    for dimension, sizes in read_toml("mersalg.engine")["packs"]["units"].items()
    for units, size in sizes.items()
    for unit in units.split()
}
OUNCE, FLUID_OUNCE = _UNITS["oz"][1], _UNITS["floz"][1]
_COUNT_WORDS = frozenset(unit for unit, (kind, *_) in _UNITS.items() if kind == "pieces") | {"c"}
_TOLERANCE = 1e-9
_IMPERIAL = frozenset({"oz", "floz", "lb", "pt", "qt", "ga", "ft", "yd"})
_IN_NAMES = frozenset({"volume", "mass", "pieces"})

_WORD = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_DECIMAL = r"(?:[0-9]{1,5}(?:[.,][0-9]+)?|[.,][0-9]+)"
_FRACTION = r"[0-9]{1,2}/(?:16|2|3|4|8)(?![0-9.,])"
_GROUPED = r"[0-9]{1,3}(?:[\u00a0\u202f][0-9]{3})+"
_AMOUNT = re.compile(
    rf"(?<![0-9.,])(?<![0-9]/)(?P<value>{_GROUPED}|^[0-9]{{1,3}}\ [0-9]{{3}}(?=\s?(?:g|ml)\b)"
    rf"|[0-9]{{1,3}}[ -]{_FRACTION}|{_FRACTION}|{_DECIMAL}\.?)"
    rf"\s*-?\s*(?P<unit>{_WORD})(?![^\W\d_])"
)
_TIMES = r"(?:[x×*]|(?:à|á|a|of|av|med)(?![^\W\d_]))"
_COUNTED = re.compile(
    rf"(?<![0-9.,/])(?P<count>[0-9]{{1,4}})\s*(?P<word>(?:(?!x\s?[0-9])[^\W\d_]+)?)\.?\s*"
    rf"(?P<sign>{_TIMES}|[/–-]|\s)\s*(?P<value>{_DECIMAL})\s*-?\s*(?P<unit>{_WORD})(?![^\W\d_])"
)
_NESTED = re.compile(
    rf"(?<![0-9.,/])(?P<count>[0-9]{{1,4}})\s*-?\s*(?P<word>[^\W\d_]+)\.?\s*"
    rf"(?:{_TIMES}|,(?=[^,]*\beach\b))\s*(?P<inner>[0-9]{{1,4}})"
    r"(?:\s*-?\s*(?P<unit>[^\W\d_]+)|(?![\w.,]))"
)
_BEFORE = re.compile(
    rf"(?<![0-9.,/])(?P<count>[0-9]{{1,4}})\s*-?\s*[^\W\d_]*?\.?\s*{_TIMES}\s*[(\[]?\s*$"
)
_BEHIND = re.compile(
    r"\s*[)\]]?\s*(?:(?:bottles?|cans?|jars?|tins?|bags?|boks(?:er)?|flasker?|poser?)\s*)?"
    r"[x×*]\s*(?P<count>[0-9]{1,3})\b"
    r"(?!\s*[x×*.,]?\s*[0-9]|\s*(?:mm|cm|m|in|g|kg|ml|cl|l)\b)"
)
_PACK_COUNT = re.compile(
    r"(?<![0-9.,/-])(?P<count>[0-9]{1,3})\s*-?\s*(?:er\s*-?)?"
    r"(?:pk|pks|packs?|pakning|pakk|pakke|multipack)\b(?!\s*of)"
)
_AFTER = re.compile(r"\s*[/x×(]?\s*(?P<count>[0-9]{1,4})\s*-?\s*(?P<word>[a-z]+)")
_SET_OF = re.compile(
    r"\b(?:packs?|sets?|box(?:es)?|bags?|cases?|trays?|multipack|cartons?"
    r"|pakker?|sett|esker?|pose|kartong|kasse|brett)"
    r"(?:\s+(?:of|med|à|a|av)\s+|/)(?P<count>[0-9]{1,4})\b"
    r"(?:\s*[x×*]\s*(?P<each>[0-9]{1,3})(?![\w.,]|\s*[^\W\d_]))?"
)
_RANGE = re.compile(
    rf"(?<![0-9.,])(?P<low>{_DECIMAL})\s?[-–/]\s?(?P<high>{_DECIMAL})\s*(?P<unit>{_WORD})\b"
    r"(?P<each>\.?\s*(?:pkgs?|packs?|bags?|boxes|tins?|jars?|bottles?|cans?|glasses|pieces|cups?"
    r"|sacks?|poser?|esker?|bokser?|flasker?)\b)?"
)
_MEASURED = re.compile(r"[^0-9]*+[0-9].*[^\W\d_]", re.DOTALL)
"""A unit follows its number, so that other texts need not be looked through for one."""
_PACKS = re.compile(rf"{_SET_OF.pattern.replace('<count>', '<of>')}|{_PACK_COUNT.pattern}")
_SPACES = re.compile(r"(\s)\s+")
_SQUARE = re.compile(r"\bsq\.?\s*(ft|m)\b")
_FLUID = re.compile(r"\bfl\.?\s*oz\b")
_GENERATION = re.compile(r"(?<![0-9.,])[2-6]g\b")
_SIDES = re.compile(r"[0-9]\s*(?:in)?\s?x\s?[0-9.]+\s*(?:in|cm|mm|yd|ft)\b")


@dataclass(frozen=True, slots=True)
class Pack:
    """Content of one item, in the base unit of its dimension (see `DIMENSIONS`).

    `unit` is the unit the text states, as `_UNITS` spells it first: `oz`, `lb`, `l`.
    """

    dimension: str
    amount: float
    unit: str = ""

    @property
    def ounces(self) -> bool:
        """Ounces may be of mass or of volume; `amount` takes them for mass."""
        return self.unit == "oz"

    def beside(self, other: Pack) -> Pack:
        """Return the same pack, with ounces read as fluid ones where `other` is a volume."""
        if not (self.ounces and other.dimension == "volume"):
            return self
        return Pack("volume", self.amount * FLUID_OUNCE / OUNCE, "floz")


@lru_cache(maxsize=2_048)
def parse_pack(text: str) -> Pack | None:
    """Return the amount `text` states; None where it states none or leaves it open."""
    words = _normal(text).strip().rstrip(" .*")
    if words in _WORDS["alone"]:
        return _pack(1.0, words)
    if words.startswith("half "):
        words = f"1/2 {words[5:]}"
    if not _MEASURED.match(words):
        return _set_of(words)
    if _SIDES.search(words):
        return None
    words = _RANGE.sub(lambda match: " " if _is_range(match, words) else match[0], words)
    for match in _COUNTED.finditer(words):
        pack = _counted(match)
        if pack is not None:
            return _times_around(pack, words, *match.span())
    amounts = [
        match
        for match in _AMOUNT.finditer(words)
        # `X100 bag` is none of a hundred bags.
        if _kind(match) != "pieces" or not words[: match.start()][-1:].isalpha()
    ]
    measured = [match for match in amounts if _kind(match) in ("volume", "mass")]
    if len(measured) > 1 and _adds_up(measured, words):
        return _pack(sum(_base(match) for match in measured) / OUNCE, "oz")
    # Beside a number of pieces inches say how large each is.
    pieces = [match for match in amounts if _kind(match) == "pieces"]
    each = [match for match in pieces if match["unit"] in _WORDS["strong"]]
    nested = _nested(words) if not measured else None
    chosen = (each or measured or pieces or amounts)[:1]
    if nested is not None or not chosen:
        return nested or _set_of(words)
    return _times_after(chosen[0], words)


def _normal(text: str) -> str:
    # Patterns part at spaces in several places: among many they would try every way to.
    spaced = _SPACES.sub(r"\1", without_strengths(text).replace("_", " "))
    if "sq" in spaced or "fl" in spaced:
        return _FLUID.sub("floz", _SQUARE.sub(r"sq\1", spaced))
    return spaced


def _nested(words: str) -> Pack | None:
    """`10 boxes x 30 bags`, `2 pk x 12 stk`, `12 packs of 10`: pieces in packs."""
    match = _NESTED.search(words)
    if match is None or _UNITS.get(match["unit"] or "", ("pieces",))[0] != "pieces":
        return None
    if (
        match["word"] not in _COUNT_WORDS | _WORDS["pack_words"] | _WORDS["full"]
        and match["word"] not in _WORDS["boxes"]
    ):
        return None
    return _pack(float(match["count"]) * float(match["inner"]), "ct")


def _times_around(pack: Pack, words: str, start: int, end: int) -> Pack:
    """Multiply by the packs that are named before and behind the place of an amount."""
    before, behind = words[:start], words[end:]
    factor, own = 1.0, re.match(r"[0-9]+", words[start:end])
    while match := _BEFORE.search(before):
        factor *= float(match["count"])
        before = before[: match.start()]
    match = _BEHIND.match(behind)
    for each in [match] if match else [*_PACKS.finditer(before), *_PACKS.finditer(behind)]:
        count = each["of"] if "of" in each.groupdict() and each["of"] else each["count"]
        if not (pack.dimension == "pieces" and own and own[0] == count):
            factor *= float(count or 1)
    return Pack(pack.dimension, pack.amount * factor, pack.unit) if factor > 0 else pack


def _set_of(words: str) -> Pack | None:
    match = _SET_OF.search(words)
    return _pack(float(match["count"]) * float(match["each"] or 1), "ct") if match else None


def without_pack(name: str, category: str = "") -> str:
    """Return a display name without what it says of the amount it holds."""
    if pack_in_name(name, category) is None:
        return name
    bare = _normal(name)
    for pattern in (_COUNTED, _NESTED, _AMOUNT, _PACKS):
        bare = pattern.sub(" ", bare)
    return bare


def pack_of(catalogue: Catalogue, item: int) -> Pack | None:
    """Return the pack of one item by dense index, from `pack_size` or else its name."""
    sizes = catalogue.attributes.get("pack_size")
    pack = parse_pack(sizes[item]) if sizes is not None and sizes[item] else None
    if pack is not None:
        return pack
    return pack_in_name(catalogue.names[item], catalogue.category_of(item))


@lru_cache(maxsize=16_384)
def pack_in_name(name: str, category: str = "") -> Pack | None:
    """Return the amount a display name states; metres and inches in a name are no pack."""
    words = _GENERATION.sub(" ", without_properties(_normal(name), category))
    pack = parse_pack(words)
    return pack if pack is not None and pack.dimension in _IN_NAMES else None


def _pack(number: float, unit: str) -> Pack | None:
    dimension, size, spelling = _UNITS[unit]
    if not 0 < number * size < 1e9:
        return None
    return Pack(dimension, number * size, spelling)


def _number(text: str, unit: str = "") -> float:
    text = text.strip().replace("\u00a0", "").replace("\u202f", "").rstrip(".")
    if "/" in text:
        whole, _, fraction = text.replace("-", " ").rpartition(" ")
        above, _, below = fraction.partition("/")
        return float(whole or 0) + float(above) / float(below)
    text = text.replace(" ", "")
    head, comma, tail = text.partition(",")
    # `1.500 g` does as well: nobody states a thousandth of a gram.
    if unit in ("g", "gr", "ml") and re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{3}", text):
        return float(text.replace(".", ""))
    # `1,500 g` parts thousands, `1,500 kg` decimals: nobody packs a ton and a half.
    if comma and len(tail) == 3 and head not in ("", "0") and unit in ("g", "gr", "ml", "ct"):
        return float(head + tail)
    return float(text.replace(",", "."))


def _kind(match: re.Match[str]) -> str:
    return _UNITS[match["unit"]][0]


def _base(match: re.Match[str]) -> float:
    return _number(match["value"], match["unit"]) * _UNITS[match["unit"]][1]


def _is_range(match: re.Match[str], words: str) -> bool:
    """`14-18 ct`, `6-8 oz`: between two amounts; not `10-6.75 oz` (ten of them) or `1-3/4 lb`."""
    if re.search(rf"[0-9][ -]?{_FRACTION}", words):
        return False
    low, high = _number(match["low"]), _number(match["high"])
    if not low < high:
        return False
    unit, (kind, *_) = match["unit"], _UNITS[match["unit"]]
    if "/" in match[0]:
        return kind == "pieces" and high <= 1.5 * low
    if kind not in ("mass", "volume") or unit.startswith("lb") or high <= 1.5 * low:
        return True
    # Things weigh 9-18 kg, bags hold 4-6 l; 24 - 250 g pkgs. are packs.
    return not match["each"] and (
        unit in ("kg", "kilo") or (unit in _WORDS["metric"] and high <= 5 * low)
    )


def _counted(match: re.Match[str]) -> Pack | None:
    """`12 pk/12 oz`, `2x250 g`, `4/12 oz`, `6 ct/15 oz`; None where the count is none."""
    count, word, sign = float(match["count"]), match["word"], match["sign"]
    pack = _pack(_number(match["value"], match["unit"]), match["unit"])
    if pack is None or count <= 0:
        return None
    if not word:
        if sign.isspace() or (sign == "/" and re.match(_FRACTION, match[0]) and _is_part(match)):
            return None
        return _many(count, pack, bounded=sign == "/")
    multiplies = sign not in ("/", "-", "–") and not sign.isspace()
    if word not in _WORDS["pack_words"] | _COUNT_WORDS | _WORDS["full"] | _WORDS["boxes"]:
        return None
    # Bags of so many gallons, pens of so many millimetres.
    if pack.dimension == "span" or match["unit"] in ("ga", "gal"):
        return _pack(count, "ct")
    if word in _WORDS["pack_words"] or (word in _WORDS["full"] and sign != "/") or multiplies:
        return _many(count, pack, bounded=not multiplies)
    return pack if pack.dimension in ("mass", "volume") else None


def _is_part(match: re.Match[str]) -> bool:
    """`3/4 oz` is less than one; `4/4 oz`, `6/4 oz` and `2/8 oz` are packs."""
    above, below = int(match["count"]), match["value"]
    return below.isdigit() and above < int(below) and (above % 2 == 1 or below == "3")


def _many(count: float, pack: Pack, *, bounded: bool) -> Pack:
    amount = pack.amount * count
    if bounded and pack.dimension in ("mass", "volume") and amount > _LARGEST_PACK:
        amount = pack.amount
    return Pack(pack.dimension, amount, pack.unit)


def _adds_up(measured: list[re.Match[str]], words: str) -> bool:
    """`2 lb 3 oz`: pounds and ounces side by side."""
    first, second = measured[:2]
    between = words[first.end() : second.start()]
    return first["unit"] == "lb" and second["unit"] == "oz" and not between.strip()


def _times_after(match: re.Match[str], words: str) -> Pack | None:
    """`12 oz/12 pk` multiplies; `14 oz/8 ct` does not."""
    pack = _pack(_number(match["value"], match["unit"]), match["unit"])
    after = _AFTER.match(words, match.end())
    if pack is None:
        return None
    if after is not None and pack.dimension in ("mass", "volume"):
        if after["word"] in _COUNT_WORDS and match["unit"] in ("ga", "gal"):
            return _pack(float(after["count"]), "ct")
        if after["word"] in _WORDS["pack_words"]:
            bounded = "/" in after[0]
            pack = _many(float(after["count"]), pack, bounded=bounded)
            return _times_around(pack, words, match.start(), after.end())
    return _times_around(pack, words, *match.span())


def step_of(
    base: Pack | None, better: Pack | None, base_price_minor: int, better_price_minor: int
) -> Step:
    """Return the step from one item to a dearer one, by their packs and prices."""
    if base is None or better is None:
        return "tier"
    base, better = base.beside(better), better.beside(base)
    if base.dimension != better.dimension:
        return "tier"
    if base.dimension == "span" or better.amount <= base.amount * (1 + _TOLERANCE):
        return "tier"
    cheaper = better_price_minor * base.amount < base_price_minor * better.amount * (1 - _TOLERANCE)
    return "size" if cheaper else "tier"


def unit_saving(
    base: Pack, better: Pack, base_price_minor: int, better_price_minor: int
) -> tuple[float, str]:
    """Return what share less one unit costs in the better pack, and what the unit is counted in.

    That is the imperial unit both packs state, else the dimension.
    """
    base, better = base.beside(better), better.beside(base)
    share = 1 - (better_price_minor * base.amount) / (base_price_minor * better.amount)
    imperial = base.unit == better.unit and base.unit in _IMPERIAL
    return share, base.unit if imperial else base.dimension
