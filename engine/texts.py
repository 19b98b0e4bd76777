"""One sentence for each offer, in the buyer's language: why it is suggested, what it adds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from babel.numbers import format_decimal, get_currency_symbol

from engine import money
from engine.locales import MESSAGES, Language, translate_word
from engine.offers import Change
from engine.upsell import gains

# Suffix of an attribute name -> unit as printed, and whether "twice of it" says something: twice
# the storage does, twice the megapixels does not.
_UNIT_SUFFIXES: dict[str, tuple[str, bool]] = {
    **{unit: (unit.upper(), True) for unit in ("kb", "mb", "gb", "tb")},
    **{unit: (unit, True) for unit in ("ml", "cl", "dl", "l", "mg", "g", "kg")},
    **{unit: (unit, True) for unit in ("m", "km", "min")},
    **{unit: (unit, False) for unit in ("mm", "cm", "nm", "fps", "dpi", "nits")},
    "db": ("dB", False),
    "hours": ("h", True),
    "h": ("h", True),
    "m2": ("m²", True),
    "sqm": ("m²", True),
    "m3": ("m³", True),
    "mah": ("mAh", True),
    "wh": ("Wh", True),
    "kwh": ("kWh", True),
    "mbps": ("Mbit/s", True),
    "gbps": ("Gbit/s", True),
    "mp": ("MP", False),
    "mpx": ("MP", False),
    "hz": ("Hz", False),
    "khz": ("kHz", False),
    "mhz": ("MHz", False),
    "ghz": ("GHz", False),
    "w": ("W", False),
    "kw": ("kW", False),
    "v": ("V", False),
    "inch": ("″", False),
    "inches": ("″", False),
    "in": ("″", False),
    "pct": ("%", False),
    "percent": ("%", False),
}
_MOST_PHRASES, _MOST_MEMBERS = 2, 4


def cross_sell_text(
    antecedent_names: Sequence[str], part: int, whole: int, language: Language
) -> str:
    """`part` of the `whole` orders with the antecedent; a popular item where it is empty."""
    messages = MESSAGES[language]
    rate = rate_text(part, whole, language)
    if not antecedent_names:
        return messages["popular"].format(rate=rate)
    return messages["together"].format(items=_listed(antecedent_names, language), rate=rate)


def picked_text(shop: str, language: Language) -> str:
    """Of an offer the shop placed itself, where no rule speaks for it."""
    return MESSAGES[language]["picked"].format(shop=shop)


@lru_cache(maxsize=65_536)
def rate_text(part: int, whole: int, language: Language) -> str:
    """`3 of 10`; below a fifth `1 of 8`. Never says all, or none, where it is not so.

    A tie is rounded down: 1 in 4 is told as 2 of 10.
    """
    if 0 < part < whole:
        if 5 * part >= whole:
            part, whole = min(9, (20 * part + whole - 1) // (2 * whole)), 10
        else:
            part, whole = 1, _two_digits(whole / part)
    elif whole > 0:
        part, whole = (10, 10) if part >= whole else (0, 10)
    return MESSAGES[language]["rate"].format(part=part, whole=_number(Decimal(whole), language))


def _two_digits(value: float) -> int:
    """Rounded to two significant digits: 1 of 1300, not 1 of 1337."""
    whole = round(value)
    return round(whole, 2 - len(str(whole)))


def upsell_text(
    gained: Sequence[Change],
    differs: Sequence[Change],
    price_difference_minor: int,
    currency: str,
    language: Language,
) -> str:
    """What the better item adds, for how much more a unit; gains come in the shop's order."""
    messages = MESSAGES[language]
    phrases = [
        phrase
        for change in gained
        if (phrase := _number_phrase(change, language))
        or (phrase := _step_phrase(change, language))
    ][:_MOST_PHRASES]
    extra = [member for change in gained for member in _added(change, language)][:_MOST_MEMBERS]
    what = _listed(phrases, language)
    if extra:
        adds = messages["adds"].format(members=_listed(extra, language))
        what = f"{what}, {adds}" if what else adds
    if not what and differs:
        change = differs[0]
        what = messages["instead"].format(
            label=attribute_label(change.attribute, language)[0],
            before=change.before,
            after=change.after,
        )
    what = what or messages["better"]
    amount = money_text(price_difference_minor, currency, language)
    return messages["upgrade"].format(what=what[:1].upper() + what[1:], money=amount)


def _added(change: Change, language: Language) -> tuple[str, ...]:
    if gains.parse_number(change.before) or gains.compare_texts(
        change.before, change.after
    ) not in (
        "gain",
        "both",
    ):
        return ()
    if gains.truth(change.after) is not None:
        return (attribute_label(change.attribute, language)[0],)
    if gains.is_step(change.before, change.after):
        return ()
    return gains.added(change.before, change.after)


def _step_phrase(change: Change, language: Language) -> str:
    if not gains.is_step(change.before, change.after):
        return ""
    return MESSAGES[language]["from_to"].format(
        label=attribute_label(change.attribute, language)[0],
        before=change.before,
        after=change.after,
    )


def _number_phrase(change: Change, language: Language) -> str:
    before, after = gains.parse_number(change.before), gains.parse_number(change.after)
    if before is None or after is None:
        return ""
    messages = MESSAGES[language]
    label, suffix = attribute_label(change.attribute, language)
    ratio = gains.number_ratio(change.before, change.after)
    unit = (after.unit or before.unit).casefold() or suffix
    tells_ratio = _UNIT_SUFFIXES[unit][1] if unit in _UNIT_SUFFIXES else not unit
    if ratio is not None and ratio >= 2 and ratio * 2 % 1 == 0 and tells_ratio:
        return messages["times"].format(ratio=_number(ratio, language), label=label)
    # Where a unit is written in the texts, both stand as the shop wrote them.
    if before.unit or after.unit or before.comma_thousands or after.comma_thousands:
        return messages["from_to"].format(label=label, before=change.before, after=change.after)
    unit = _UNIT_SUFFIXES[suffix][0] if suffix else ""
    printed = unit if unit in ("", "″", "%") else f" {unit}"
    return messages["from_to"].format(
        label=label,
        before=_number(before.value, language),
        after=_number(after.value, language) + printed,
    )


@lru_cache(maxsize=4096)
def attribute_label(attribute: str, language: Language) -> tuple[str, str]:
    """`storage_gb` -> (`storage`, `gb`): readable words, and the unit suffix where there is one."""
    words = attribute.replace("_", " ").replace("-", " ").split()
    suffix = ""
    if len(words) > 1 and words[-1].casefold() in _UNIT_SUFFIXES:
        suffix = words.pop().casefold()
    return " ".join(translate_word(word, language) for word in words) or attribute, suffix


@lru_cache(maxsize=65_536)
def money_text(minor: int, currency: str, language: Language) -> str:
    """`1000 NOK`, `1000 kr`, `9.50 EUR`: no decimals where whole, thousands apart from 10,000."""
    digits = money.minor_digits(currency)
    amount = money.to_decimal(minor, currency)
    decimals = "" if amount == amount.to_integral_value() else "." + "0" * digits
    return MESSAGES[language]["money"].format(
        amount=_number(amount, language, decimals),
        code=currency,
        symbol=get_currency_symbol(currency, locale=language),
    )


@lru_cache(maxsize=16_384)
def _number(value: Decimal, language: Language, decimals: str = ".######") -> str:
    # Four digits are read at a glance; Norwegian typography parts only longer numbers.
    pattern = "0" if abs(value) < 10_000 else "#,##0"
    return format_decimal(value, format=pattern + decimals, locale=language)


def _listed(texts: Sequence[str], language: Language) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {MESSAGES[language]['and']} {texts[-1]}"
