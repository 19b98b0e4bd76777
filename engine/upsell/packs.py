"""Pack sizes: how much of a thing an item holds, read from texts as shops write them.

`12 OZ`, `6 pk`, `0,5 l`, `2x250 g`, `4/12 OZ` (four of twelve ounces), `1 1/2 LB`, `PACK OF 12`,
and a size inside a name (`Latte 0,4 l`) are understood; ranges (`14-18 CT`) and sizes that state no
amount (`LARGE`) are not. A count beside a whole (`10 CT/15 OZ`: ten waffles, fifteen ounces in all)
adds nothing to it, a number of packs (`12 PK/12 OZ`) multiplies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue

DIMENSIONS = ("volume", "mass", "pieces", "loads", "area", "length", "span")
"""Base units: ml, g, one, one, square cm, cm, cm. `span` is how wide a thing is, which is no amount
of it: it has no unit price."""
_CODE = {dimension: code for code, dimension in enumerate(DIMENSIONS)}
_OUNCE, _FLUID_OUNCE = 28.349523125, 29.5735295625
_LARGEST_PACK = 20_000.0
"""Grams or ml: where packs times their size come to more, the size was that of all together."""


def _units(dimension: str, sizes: Mapping[str, float]) -> dict[str, tuple[str, float, str]]:
    return {
        unit: (dimension, size, units.split()[0])
        for units, size in sizes.items()
        for unit in units.split()
    }


# As written -> dimension, size in its base unit, the spelling that stands for all of them.
_UNITS: dict[str, tuple[str, float, str]] = {
    **_units(
        "volume",
        {
            "ml mll milliliter millilitre cc": 1.0,
            "cl": 10.0,
            "dl": 100.0,
            "l lt ltr lrt ltrs liter litre liters litres": 1000.0,
            "floz": _FLUID_OUNCE,
            "pt pint pints": 473.176473,
            "qt quart quarts": 946.352946,
            "ga gal gallon gallons galon": 3785.411784,
        },
    ),
    **_units(
        "mass",
        {
            "mg": 0.001,
            "g gm gms gr gram grams": 1.0,
            "hg": 100.0,
            "kg kilo kilos kilogram kilograms": 1000.0,
            "oz ozs z ounce ounces": _OUNCE,
            "lb lbs pound pounds": 453.59237,
        },
    ),
    **_units(
        "pieces",
        {
            "ct cnt count pk pks pck pack packs pkt packet pakning pakk pakker": 1.0,
            "pc pcs pce piece pieces stk stykk stykker ea each unit units": 1.0,
            "kit stem stems roll rolls rull ruller bag bags pose poser sheet sheets": 1.0,
            "stick sticks pad pads strip strips slice slices tablet tablets tabletter": 1.0,
            "capsule capsules kapsel kapsler bar bars can cans boks bokser": 1.0,
            "pair pairs par": 2.0,
            "dz doz dozen dusin": 12.0,
        },
    ),
    **_units("loads", {"load loads ld lds use uses vask dose doses": 1.0}),
    **_units("area", {"sqft": 929.0304, "sqm m2 m²": 10_000.0}),
    **_units("length", {"ft foot feet": 30.48, "yd yds yard yards": 91.44, "m meter metre": 100.0}),
    **_units("span", {"mm": 0.1, "cm": 1.0, "in inch inches": 2.54}),
}
_PACK_WORDS = frozenset("p pk pks pck pack packs pkt packet pakning pakk pakker x".split())
_COUNT_WORDS = frozenset(unit for unit, (kind, *_) in _UNITS.items() if kind == "pieces") | {"c"}
_ALONE = {"pt", "qt", "gal", "dz", "doz", "lb", "dozen", "kit"}
"""Units that mean one of them where no number stands before."""
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
_COUNTED = re.compile(
    rf"(?<![0-9.,/])(?P<count>[0-9]{{1,4}})\s*(?P<word>[a-z]*)\.?\s*"
    rf"(?P<sign>[/x×*-]|\s)\s*(?P<value>{_DECIMAL})\s*(?P<unit>{_WORD})(?![^\W\d_])"
)
_AFTER = re.compile(r"\s*[/x×(]?\s*(?P<count>[0-9]{1,4})\s*-?\s*(?P<word>[a-z]+)")
_SET_OF = re.compile(
    r"\b(?:packs?|sets?|box(?:es)?|bags?|pakke|sett|eske|pose)"
    r"(?:\s+(?:of|med|à|a|av)\s+|/)(?P<count>[0-9]{1,4})\b"
)
_RANGE = re.compile(rf"(?P<low>{_DECIMAL})\s?[-/]\s?(?P<high>{_DECIMAL})\s*(?P<unit>{_WORD})\b")
_MEASURED = re.compile(r"[^0-9]*+[0-9].*[^\W\d_]", re.DOTALL)
"""A unit stands behind its number, so that other texts need not be looked through for one."""
_SPACES = re.compile(r"(\s)\s+")
_SQUARE = re.compile(r"\bsq\.?\s*(ft|m)\b")
_FLUID = re.compile(r"\bfl\.?\s*oz\b")
_GENERATION = re.compile(r"(?<![0-9.,])[2-6]g\b")
_SIDES = re.compile(r"[0-9]\s*(?:in)?\s?x\s?[0-9.]+\s*(?:in|cm|mm|yd|ft)\b")


@dataclass(frozen=True, slots=True)
class Pack:
    """How much one item holds, in the base unit of its dimension (see `DIMENSIONS`).

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
        """The same pack, with ounces read as fluid ones where `other` is a volume."""
        if not (self.ounces and other.dimension == "volume"):
            return self
        return Pack("volume", self.amount * _FLUID_OUNCE / _OUNCE, "floz")


@dataclass(frozen=True, slots=True)
class Packs:
    """The pack of every item of a catalogue.

    Attributes:
        dimension: int16 (n_items,), index into `DIMENSIONS`, -1 where not known.
        amount: float64 (n_items,), in the dimension's base unit, 0 where not known.
    """

    dimension: NDArray[np.int16]
    amount: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.amount)

    def of(self, item: int) -> Pack | None:
        """The pack of one item by dense index."""
        code = int(self.dimension[item])
        return None if code < 0 else Pack(DIMENSIONS[code], float(self.amount[item]))


@lru_cache(maxsize=2_048)
def parse_pack(text: str) -> Pack | None:
    """The amount `text` states, or None where it states none or leaves it open."""
    # Patterns part at spaces in several places: among many they would try every way to.
    spaced = _SPACES.sub(r"\1", text.casefold().replace("_", " "))
    words = _FLUID.sub("floz", _SQUARE.sub(r"sq\1", spaced))
    words = words.strip().rstrip(" .*")
    if words in _ALONE:
        return _pack(1.0, words)
    if words.startswith("half "):
        words = f"1/2 {words[5:]}"
    if not _MEASURED.match(words):
        return _set_of(words)
    if _SIDES.search(words) or _is_range(words):
        return None
    counted = list(_COUNTED.finditer(words))
    for found in counted:
        pack = _counted(found)
        if pack is not None:
            return pack
    amounts = list(_AMOUNT.finditer(words))
    measured = [each for each in amounts if _UNITS[each["unit"]][0] in ("volume", "mass")]
    if len(measured) > 1 and _adds_up(measured, words):
        return _pack(sum(_base(each) for each in measured) / _OUNCE, "oz")
    # Beside a number of pieces inches tell how large each is.
    pieces = [each for each in amounts if _UNITS[each["unit"]][0] == "pieces"]
    chosen = (measured or pieces or amounts)[:1]
    if not chosen:
        return _set_of(words)
    return _times_after(chosen[0], words)


def _set_of(words: str) -> Pack | None:
    found = _SET_OF.search(words)
    return _pack(float(found["count"]), "ct") if found else None


def packs_of(catalogue: Catalogue) -> Packs:
    """The packs of all items: by the attribute `pack_size`, else by a size inside the name.

    Ounces are fluid where most of the family's (or category's) other packs are volumes.
    """
    n_items = len(catalogue)
    dimension = np.full(n_items, -1, dtype=np.int16)
    amount = np.zeros(n_items, dtype=np.float64)
    ounces = np.zeros(n_items, dtype=np.bool_)
    for item in range(n_items):
        pack = pack_of(catalogue, item)
        if pack is not None:
            dimension[item], amount[item] = _CODE[pack.dimension], pack.amount
            ounces[item] = pack.ounces
    for groups in (catalogue.family, catalogue.category):
        fluid = _fluid_groups(groups, dimension, ounces)
        chosen = ounces & (groups >= 0)
        chosen[chosen] = fluid[groups[chosen]]
        dimension[chosen] = _CODE["volume"]
        amount[chosen] *= _FLUID_OUNCE / _OUNCE
        ounces &= ~chosen
    return Packs(dimension, amount)


def pack_of(catalogue: Catalogue, item: int) -> Pack | None:
    """The pack of one item by dense index: by its attribute `pack_size`, else by its name."""
    sizes = catalogue.attributes.get("pack_size")
    pack = parse_pack(sizes[item]) if sizes is not None and sizes[item] else None
    return pack or pack_in_name(catalogue.names[item])


def pack_in_name(name: str) -> Pack | None:
    """The amount a display name states; a name's metres and inches tell what the thing is."""
    pack = parse_pack(_GENERATION.sub(" ", name.casefold()))
    return pack if pack is not None and pack.dimension in _IN_NAMES else None


def _fluid_groups(
    groups: NDArray[np.int32], dimension: NDArray[np.int16], ounces: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Bool (n_groups,): more volumes than masses stand in it, ounces apart."""
    n_groups = int(groups.max(initial=-1)) + 1
    sure = (groups >= 0) & ~ounces
    counts = [
        np.bincount(groups[sure & (dimension == _CODE[kind])], minlength=n_groups)
        for kind in ("volume", "mass")
    ]
    return counts[0] > counts[1]


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
    # `1,500 g` parts thousands, `1,500 kg` decimals: nobody packs a ton and a half.
    if comma and len(tail) == 3 and head not in ("", "0") and unit in ("g", "gr", "ml", "ct"):
        return float(head + tail)
    return float(text.replace(",", "."))


def _base(found: re.Match[str]) -> float:
    return _number(found["value"], found["unit"]) * _UNITS[found["unit"]][1]


def _is_range(words: str) -> bool:
    """`14-18 ct`, `6-8 oz`: between two amounts; not `10-6.75 oz` (ten of them) or `1-3/4 lb`."""
    found = _RANGE.search(words)
    if found is None or re.search(rf"[0-9][ -]?{_FRACTION}", words):
        return False
    low, high = _number(found["low"]), _number(found["high"])
    if not low < high:
        return False
    kind = _UNITS[found["unit"]][0]
    if "/" in found[0]:
        return kind == "pieces" and high <= 1.5 * low
    return kind not in ("mass", "volume") or found["unit"].startswith("lb") or high <= 1.5 * low


def _counted(found: re.Match[str]) -> Pack | None:
    """`12 pk/12 oz`, `2x250 g`, `4/12 oz`, `6 ct/15 oz`; None where the count is none."""
    count, word, sign = float(found["count"]), found["word"], found["sign"]
    pack = _pack(_number(found["value"], found["unit"]), found["unit"])
    if pack is None or count <= 0:
        return None
    if not word:
        if sign.isspace() or (sign == "/" and re.match(_FRACTION, found[0]) and _is_part(found)):
            return None
        return _many(count, pack)
    if word not in _PACK_WORDS | _COUNT_WORDS:
        return None
    # Tablets of so many milligrams, bags of so many gallons, pens of so many millimetres.
    if pack.dimension == "span" or found["unit"] in ("mg", "ga", "gal"):
        return _pack(count, "ct")
    if word in _PACK_WORDS:
        return _many(count, pack)
    return pack if pack.dimension in ("mass", "volume") else None


def _is_part(found: re.Match[str]) -> bool:
    """`3/4 oz` is less than one; `4/4 oz`, `6/4 oz` and `2/8 oz` are packs."""
    above, below = int(found["count"]), found["value"]
    return below.isdigit() and above < int(below) and (above % 2 == 1 or below == "3")


def _many(count: float, pack: Pack) -> Pack:
    amount = pack.amount * count
    if pack.dimension in ("mass", "volume") and amount > _LARGEST_PACK:
        amount = pack.amount
    return Pack(pack.dimension, amount, pack.unit)


def _adds_up(measured: list[re.Match[str]], words: str) -> bool:
    """`2 lb 3 oz`: pounds and ounces side by side."""
    first, second = measured[:2]
    between = words[first.end() : second.start()]
    return first["unit"] == "lb" and second["unit"] == "oz" and not between.strip()


def _times_after(found: re.Match[str], words: str) -> Pack | None:
    """`12 oz/12 pk` multiplies; `14 oz/8 ct` does not."""
    pack = _pack(_number(found["value"], found["unit"]), found["unit"])
    after = _AFTER.match(words, found.end())
    if pack is None or after is None or pack.dimension not in ("mass", "volume"):
        return pack
    if after["word"] in _COUNT_WORDS and found["unit"] in ("ga", "gal"):
        return _pack(float(after["count"]), "ct")
    return _many(float(after["count"]), pack) if after["word"] in _PACK_WORDS else pack
