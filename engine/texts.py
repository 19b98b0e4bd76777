"""One sentence for each offer, in the buyer's language: why it is suggested, what it adds.

Every sentence comes from the message catalogue (`mersalg.engine.locales`). Texts are plain: names
are in them as the shop wrote them, on one line; HTML templates escape them. Signs of numbers are
Babel's; the digits are written here, for a buyer waits for the text of an offer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import format_percent, get_currency_symbol

from mersalg.engine import money
from mersalg.engine.facts import Change, Step
from mersalg.engine.locales import Language, messages_of
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell import gains
from mersalg.engine.upsell.numbers import (
    SUFFIXES,
    attribute_label,
    is_countable,
    number_ratio,
    parse_number,
)

_MAX_PHRASES, _MAX_MEMBERS = 2, 4
_MAX_DECIMALS = 6
_PERCENT = Decimal("0.01")
_PERSUADING_ORDERS, _PERSUADING_SHARE = 10, 5
"""Orders with both at least, and what share of the orders with the first: a fifth."""
_POPULAR_SHARE = 100
"""What share of all orders hold an item that is called popular: a hundredth."""
_PHRASES_REMEMBERED = 4_096
_LEAST_SAVED, _MAX_SAVED = 0.05, 0.75
"""Less persuades nobody; where a unit seems to cost a quarter, a pack was probably misstated."""
# Line breaks, other control characters, and marks that turn the direction of what follows.
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True)
class Extra:
    """Price difference of an upgrade, and its words."""

    price_difference_minor: int
    """In minor units of `currency`, for one of the units replaced."""
    currency: str
    quantity: int = 1
    """How many those are; of several the price is given for each."""
    step: Step = "tier"
    """A bigger pack, or a better version."""
    unit_saving: tuple[float, str] | None = None
    """Of a bigger pack: the share less that one unit costs, and what it is counted in (a dimension
    of packs or an imperial unit); None where not known."""
    names: tuple[str, str] = ("", "")
    """Of the better item and of the one it replaces."""


def cross_sell_text(
    antecedent_names: Sequence[str], part: int, whole: int, language: Language
) -> str:
    """Return why an item goes with others, or is popular where these are none.

    `part` of the `whole` orders with the others hold it too. The share is said only where it
    persuades: not of few orders, not a small one, and not all, which no buyer believes.
    """
    messages = messages_of(language)
    persuades = part >= _PERSUADING_ORDERS and part * _PERSUADING_SHARE >= whole
    rate = rate_text(part, whole, language) if persuades and part < whole else ""
    items = _listed_items(antecedent_names, language, inside=bool(rate))
    if not antecedent_names and rate:
        sentence = messages.gettext("Popular: in {rate} orders")
    elif not antecedent_names and part >= _PERSUADING_ORDERS and part * _POPULAR_SHARE >= whole:
        sentence = messages.gettext("Popular")
    elif not antecedent_names:
        sentence = messages.gettext("Others also buy this")
    elif rate:
        sentence = messages.gettext("Bought together with {items} in {rate} orders")
    elif persuades:
        sentence = messages.gettext("Often bought together with {items}")
    else:
        sentence = messages.gettext("Goes well with {items}")
    return sentence.format(items=items, rate=rate)


def picked_text(shop: str, language: Language) -> str:
    """Of an offer the shop placed itself, where no rule speaks for it."""
    return messages_of(language).gettext("Picked by {shop}").format(shop=_printed(shop))


@lru_cache
def labels_of_list(placement: str, language: Language) -> dict[str, str]:
    """Return what is written around the offers of a placement."""
    messages = messages_of(language)
    title, add = messages.gettext("You may also like"), messages.gettext("Add")
    if placement == "post_purchase":
        title, add = messages.gettext("Add to your order"), messages.gettext("Add to order")
    elif placement == "thank_you":
        title = messages.gettext("For next time")
    return {
        "title": title,
        "add": add,
        "replace": messages.gettext("Choose instead"),
        "added": messages.gettext("Added"),
        "undo": messages.gettext("Undo"),
        "dismiss": messages.gettext("No, thanks"),
    }


def rate_text(part: int, whole: int, language: Language) -> str:
    """Return `3 of 10`, which says all only where it is so.

    A tie is rounded down: 1 in 4 is 2 of 10.
    """
    tenths = 10 if part >= whole else min(9, (20 * part + whole - 1) // (2 * whole))
    return messages_of(language).gettext("{part} of {whole}").format(part=tenths, whole=10)


class Wording:
    """The shop's own words for attributes, and the phrases made with them, remembered."""

    def __init__(self, attributes: AttributesSection | None = None) -> None:
        self._attributes = attributes or AttributesSection()
        # The attributes of a shop change in far fewer ways than it has pairs of items.
        self.words_of = lru_cache(_PHRASES_REMEMBERED)(self._words_of)

    def label(self, attribute: str, language: Language) -> tuple[str, str]:
        """Return the words of an attribute and its unit, as `attribute_label`."""
        return attribute_label(attribute, language, self._attributes)

    def _words_of(self, change: Change, language: Language) -> tuple[str, tuple[str, ...]]:
        """Return a change as a phrase; else "" and what is there now and was not before.

        That is members of a set, or the attribute. An attribute without a label has neither.
        """
        label, suffix = self.label(change.attribute, language)
        phrase = self._phrase(change, label, suffix, language) if label else ""
        if phrase or not label:
            return phrase, ()
        if gains.truth(change.after) is not None:
            return "", (label,)
        if gains.compare_texts(change.before, change.after) not in ("gain", "both"):
            return "", ()
        return "", gains.added(change.before, change.after)

    def _phrase(self, change: Change, label: str, suffix: str, language: Language) -> str:
        """Return `4x the storage`, `camera 12 → 48 MP` or `size small → large`.

        It is "" of sets and truths.
        """
        attribute, messages = change.attribute, messages_of(language)
        decimal = self._attributes.decimals.get(attribute, ".")
        before, after = parse_number(change.before, decimal), parse_number(change.after, decimal)
        if before is None or after is None:
            levels = self._attributes.attribute_levels.get(attribute, ())
            if gains.is_step(change.before, change.after, levels):
                return _from_to(label, change, language)
            if not gains.are_amounts(attribute, change.before, change.after):
                return ""
            # As packs are written (`2/12 OZ`) only the shop reads them.
            is_pack = attribute == gains.PACK_SIZE
            return messages.gettext("bigger pack") if is_pack else _from_to(label, change, language)
        ratio = number_ratio(before, after)
        unit = (after.unit or before.unit).casefold() or suffix
        is_said = SUFFIXES[unit][1] if unit in SUFFIXES else not unit
        if ratio is not None and ratio >= 2 and ratio * 2 % 1 == 0 and is_said:
            # Each message is written out, so that the catalogue of a language can be checked.
            if is_countable(attribute):
                twice, times = (
                    messages.pgettext("many", "twice the {label}"),
                    messages.pgettext("many", "{ratio}x the {label}"),
                )
            else:
                twice, times = (
                    messages.pgettext("much", "twice the {label}"),
                    messages.pgettext("much", "{ratio}x the {label}"),
                )
            sentence = twice if ratio == 2 else times
            return sentence.format(ratio=number_text(ratio, language), label=label)
        # Where a unit is written in the texts, both are printed as the shop wrote them.
        as_written = before.unit or after.unit or before.comma_thousands or after.comma_thousands
        if as_written or not (before.limited and after.limited):
            return _from_to(label, change, language)
        unit = SUFFIXES[suffix][0] if suffix else ""
        printed = unit if unit in ("", "″", "%") else f" {unit}"
        numbers = [number_text(each.value, language) for each in (before, after)]
        return _from_to(label, Change(attribute, numbers[0], numbers[1] + printed), language)


def upsell_text(
    gained: Sequence[Change],
    differs: Sequence[Change],
    extra: Extra,
    language: Language,
    wording: Wording | None = None,
) -> str:
    """Return what the better item adds, for how much more a unit; gains in the shop's order."""
    messages, words = messages_of(language), wording or Wording()
    what = _bigger_pack(extra, language) if extra.step == "size" else ""
    what = what or _gained(gained, language, words) or _instead(differs, extra, language, words)
    what = _sentence_case(what)
    amount = money_text(extra.price_difference_minor, extra.currency, language)
    several = extra.quantity > 1
    sentence = (
        messages.gettext("{what} for {money} more each")
        if several
        else messages.gettext("{what} for {money} more")
    )
    return sentence.format(what=what, money=amount)


def _instead(differs: Sequence[Change], extra: Extra, language: Language, wording: Wording) -> str:
    """Of a dearer version of which nothing is known to be better: only what it is called.

    Items of one name are distinguished by what differs.
    """
    messages, names = messages_of(language), [_printed(each) for each in extra.names]
    if all(names) and names[0].casefold() != names[1].casefold():
        after, before = (_listed_items([name], language, inside=True) for name in names)
        return messages.gettext("{after} instead of {before}").format(after=after, before=before)
    for change in differs:
        label = wording.label(change.attribute, language)[0]
        values = [value_text(each, language) for each in (change.after, change.before)]
        # Packs that cannot be compared, and codes, say nothing to a buyer.
        if (
            label
            and change.attribute != gains.PACK_SIZE
            and not any("_" in each for each in values)
        ):
            return messages.gettext("{label} {after} instead of {before}").format(
                label=label, after=values[0], before=values[1]
            )
    return messages.gettext("Another version")


def change_texts(
    changes: Sequence[Change], language: Language, wording: Wording, *, lost: bool = False
) -> tuple[str, ...]:
    """Return a label of each change that can be named: `Storage 64 → 256 GB`, `Without lunch`."""
    if not changes:
        return ()
    texts: list[str] = []
    for change in changes:
        turned = Change(change.attribute, change.after, change.before) if lost else change
        if members := wording.words_of(turned, language)[1]:
            text = _listed_items(members[:_MAX_MEMBERS], language)
            without = messages_of(language).gettext("without {members}")
            texts.append(without.format(members=text) if lost else text)
        elif phrase := wording.words_of(change, language)[0]:
            texts.append(phrase)
    return tuple(map(_sentence_case, dict.fromkeys(texts)))


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bigger_pack(extra: Extra, language: Language) -> str:
    messages = messages_of(language)
    share, counted_in = extra.unit_saving or (0.0, "")
    if not _LEAST_SAVED <= share <= _MAX_SAVED:
        return messages.gettext("Bigger pack")
    return messages.gettext("Bigger pack: {share} less per {unit}").format(
        share=share_text(share, language), unit=messages.pgettext("per", counted_in)
    )


def _gained(gained: Sequence[Change], language: Language, wording: Wording) -> str:
    said = [wording.words_of(change, language) for change in gained]
    new = [member for _, members in said for member in members]
    what = _listed([phrase for phrase, _ in said if phrase][:_MAX_PHRASES], language)
    if not new:
        return what
    listed = _listed_items(new[:_MAX_MEMBERS], language)
    adds = messages_of(language).gettext("adds {members}").format(members=listed)
    return f"{what}, {adds}" if what else adds


def _from_to(label: str, change: Change, language: Language) -> str:
    before, after = change.before, change.after
    if change.attribute == gains.PACK_SIZE:  # Units are capitals in many a list, `14.5 OZ`.
        before, after = before.lower(), after.lower()
    before, after = value_text(before, language), value_text(after, language)
    sentence = messages_of(language).gettext("{label} {before} → {after}")
    return sentence.format(label=label, before=before, after=after)


@lru_cache(maxsize=4_096)
def value_text(value: str, language: Language) -> str:
    """Return a value of the catalogue for buyers: words of the known scales are translated."""
    word = " ".join(value.casefold().split())
    translated = messages_of(language).pgettext("value", word)
    return _printed(value) if translated == word else translated


def _printed(name: str) -> str:
    """Return a name on one line: no control characters, nothing that turns the text around."""
    return name if name.isprintable() else _UNPRINTED.sub(" ", name)


def _listed_items(names: Sequence[str], language: Language, *, inside: bool = False) -> str:
    """Return `a, b and c`; names that hold a comma are in quotes.

    One name alone is so only `inside` a sentence, where it has to be seen where the name ends.
    """
    printed = [_printed(name) for name in names]
    if (inside or len(printed) > 1) and any("," in name for name in printed):
        quoted = messages_of(language).gettext("“{name}”")
        printed = [quoted.format(name=name) if "," in name else name for name in printed]
    return _listed(printed, language)


def _listed(texts: Sequence[str], language: Language) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(texts) < 2:
        return "".join(texts)
    sentence = messages_of(language).gettext("{first} and {last}")
    return sentence.format(first=", ".join(texts[:-1]), last=texts[-1])


@lru_cache(maxsize=4_096)
def money_text(minor: int, currency: str, language: Language) -> str:
    """`1000 NOK`, `1 000 kr`, `9.50 EUR`: no decimals where whole.

    English parts thousands from 10,000 on, as its texts read `1000 NOK`; Norwegian always.
    """
    whole, _, part = money.to_text(minor, currency).partition(".")
    if len(whole.lstrip("-")) > (3 if language == "nb" else 4):
        whole = f"{int(whole):,}"
    number = _written(f"{whole}.{part}" if part.strip("0") else whole, language)
    # The sign and its number stay on one line.
    return (
        f"{number}\u00a0{_symbol(currency, locale=language)}"
        if language == "nb"
        else f"{number} {currency}"
    )


@lru_cache(maxsize=4_096)
def number_text(value: Decimal, language: Language) -> str:
    """Return `0,5` or `0.5`, to six decimals; thousands are separated from 10,000 on."""
    separator = "," if abs(value) >= 10_000 else ""
    digits = f"{value:{separator}.{_MAX_DECIMALS}f}"
    return _written(digits.rstrip("0").rstrip("."), language)


def _written(digits: str, language: Language) -> str:
    """Digits as Python writes them, in the signs of the language."""
    return digits.translate(_signs(language))


_symbol = lru_cache(get_currency_symbol)
_percent_text = lru_cache(format_percent)


@lru_cache
def _signs(language: Language) -> dict[int, str]:
    symbols = Locale.parse(language).number_symbols["latn"]
    return {ord(","): symbols["group"], ord("."): symbols["decimal"]}


def share_text(share: float, language: Language) -> str:
    """Whole per cent, rounded down so that none is promised that is not there; `15%`, `15 %`."""
    whole = Decimal(str(round(share, 9))).quantize(_PERCENT, ROUND_FLOOR)
    return _percent_text(whole, locale=language)
