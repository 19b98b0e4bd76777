"""Numbers in names that are no amount of ware: what a thing is like, can hold or is made for.

Carats and gigabytes, the strength of a tablet, the weight of paper, of a body or of a load, the
litres of a rucksack or a kettle.
"""

from __future__ import annotations

import re

_DIGIT = re.compile("[0-9]")
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_STRENGTH = re.compile(
    rf"{_NUMBER}\s?(?:mg|mcg|[µμu]g|iu|ie|gsm)\b"
    rf"(?:\s*/\s*(?:{_NUMBER}\s?)?(?:ml|l|g|dose|stk|tab)\b)?"
    rf"|{_NUMBER}\s?g\s?(?:/|pr\.?|per)\s?(?:m2|m²|kvm|sqm|m\b|l\b|ml\b|100\s?(?:g|ml)\b)"
)
_GIGABYTES = re.compile(r"(?<![0-9.,])(?:16|32|64|128|256|512)\s?G\b(?!/)")


def _any(words: str) -> str:
    """A pattern of words; `_` stands for a space that may lack, `~` for any letters."""
    chosen = words.replace("_", r"\s?").replace("~", r"\w*").split()
    return rf"\b(?:{'|'.join(chosen)})\b"


_KILOS = r"\s?(?:kg|kilos?|lbs?|pounds?)\b"
_KILOGRAMS = re.compile(rf"[0-9]\s?\+?{_KILOS}")
_LOAD = re.compile(
    _any(
        "for til opp_til up_to max maks inntil over under fra from tåler bæreevne capacity "
        "kapasitet load belastning weight vekt kroppsvekt weighing dogs hunder"
    )
    + rf"\.?\s?:?\s?(?:of\s|på\s)?{_NUMBER}(?:\s?[-–]\s?{_NUMBER})?\s?\+?{_KILOS}\+?"
    rf"|{_NUMBER}\s?\+{_KILOS}|{_NUMBER}{_KILOS}\s?\+|{_NUMBER}{_KILOS}\s"
    + _any(
        "dogs? cats? hund(?:er)? katt(?:er)? bab(?:y|ies) child(?:ren)? barn load capacity "
        "kapasitet bæreevne belastning body kroppsvekt brukervekt"
    )
)
_GRAMS = re.compile(r"(?<![0-9.,])[0-9]{1,3}\s?(?:g|gr|gram)\b")
# Words of a name or a category, and the numbers beside them that are no amount.
_CONTEXTS = tuple(
    (re.compile(_any(words)), numbers)
    for words, numbers in (
        (
            "usb ssd hdd sd micro_sd sd[hx]c ram ddr[2-6]? nvme flash memory storage i?phones? "
            "smartphones? galaxy ipads? laptops? macbook pixel redmi xiaomi oneplus mobil~ "
            "telefon~ minne~ lagring~ nettbrett harddisk~ disk drive kindle",
            _GRAMS,
        ),
        (
            "gold gull~ ~ring(?:er|s)? diamonds? diamant~ earrings? øredobb~ necklaces? bracelets? "
            "armbånd pendants? ~smykke~ jewel~ kjede anheng gem(?:stone)?s? sapphires? "
            "rub(?:y|ies) emeralds? silver sølv~",
            re.compile(rf"{_NUMBER}\s?ct\b"),
        ),
        (
            "~paper ~papir cardstock konvolutt~ envelopes? ~jakke ~jackets? duvets? ~dyner? fleece "
            "hood(?:ie|y)s? ~shirts? ~skjorter? towels? ~håndkler? ~håndklær",
            _GRAMS,
        ),
        (
            "~backpacks? rucksacks? ~ryggsekk~ tursekk duffel~ ~koffert~ suitcases? kettles? "
            "vannkoker~ (?:sauce|stew|stock)?pots? saucepans? pans? casseroles? ~gryter? "
            "kasseroller? ~kjeler? ~panner? buckets? ~bøtter? (?:trash|waste)_(?:can|bin)s? bins? "
            "~tank fridges? refrigerators? freezers? ~kjøleskap ~fryser coolers? "
            "kjølebag kjøleboks "
            "~thermos ~termos~ drikkeflasker? water_bottles? jugs? carafes? mugge karaffel "
            "kanne blenders? ~ovens? ~ovn microwaves? air_fryers? frityrkoker washing_machines? "
            "washers? ~vaskemaskin~ dryers? tørketrommel dumbbells? kettlebells? "
            "barbells? manual(?:er)? "
            "hantler vektskiver? car_seats? bilstol~ barnestol~ strollers? ~vogn scales? "
            "kjøkkenvekt badevekt bagasjevekt aquariums? akvarium humidifiers? luftfukter "
            "lunch_box(?:es)? matboks~ storage_box(?:es)? oppbevaring~ ~kurv(?:er)? baskets? mugs? "
            "(?:dry|travel|gym|sports?|messenger|tote|shoulder|bin|trash|garbage|refuse)_bags? "
            "daypacks? ~søppel(?:sekk|pose)(?:er)? avfalls(?:sekk|pose)(?:er)? fryseposer? "
            "krus (?:vin|øl|drikke)glass wine_glass(?:es)? compressors? kompressor",
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
