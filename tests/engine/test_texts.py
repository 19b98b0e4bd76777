from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.facts import Change
from mersalg.engine.locales import LANGUAGES, Language, language_of
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.texts import (
    Extra,
    Wording,
    change_texts,
    cross_sell_text,
    picked_text,
    rate_text,
    upsell_text,
)
from mersalg.engine.upsell.numbers import attribute_label, is_countable
from mersalg.engine.upsell.packs import parse_pack, unit_saving

STORAGE = Change("storage_gb", "64", "256")
CAMERA = Change("camera_mp", "12", "48")
FEATURES = Change("features", "boards; files", "boards; files; reporting; collaboration")


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("nb",), "nb"),
        (("nb-NO",), "nb"),
        (("no",), "nb"),
        (("nn_NO",), "nb"),
        (("EN-gb",), "en"),
        (("nb-NO,nb;q=0.9,en;q=0.8",), "nb"),
        (("fr", "nb"), "nb"),
        (("", "nb"), "nb"),
        ((None, "en"), "en"),
        (("fr", "de"), "en"),
        (("\x00", "☃"), "en"),
    ],
)
def test_languages(wanted: tuple[str | None, ...], language: str) -> None:
    assert language_of(*wanted) == language


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Bought together with Phone 64 GB in 3 of 10 orders"),
        ("nb", "3 av 10 som kjøper Phone 64 GB, tar også denne"),
    ],
)
def test_cross_sell(language: Language, text: str) -> None:
    assert cross_sell_text(["Phone 64 GB"], 412, 1310, language) == text


def test_cross_sell_by_several_items_and_by_none() -> None:
    assert cross_sell_text(["Phone", "Case"], 40, 100, "en") == (
        "Bought together with Phone and Case in 4 of 10 orders"
    )
    assert cross_sell_text(["A", "B", "C"], 30, 100, "nb") == (
        "3 av 10 som kjøper A, B og C, tar også denne"
    )
    assert (
        cross_sell_text(["Melk, lett", "Brød"], 1, 100, "nb") == "Passer til «Melk, lett» og Brød"
    )
    assert (
        cross_sell_text(["Milk, light", "A"], 1, 100, "en") == "Goes well with “Milk, light” and A"
    )
    assert cross_sell_text([], 250, 1000, "en") == "Popular: in 2 of 10 orders"
    assert cross_sell_text([], 250, 1000, "nb") == "Populær: med i 2 av 10 kjøp"
    assert picked_text("Kafé Sentrum", "nb") == "Valgt av Kafé Sentrum"


@pytest.mark.parametrize(("part", "whole"), [(4, 4), (9, 12), (199, 1000), (1, 38_000), (0, 0)])
def test_a_share_of_few_orders_or_a_small_one_is_not_said(part: int, whole: int) -> None:
    assert cross_sell_text(["Phone", "Case"], part, whole, "en") == "Goes well with Phone and Case"
    assert cross_sell_text(["Vin"], part, whole, "nb") == "Passer til Vin"


@pytest.mark.parametrize(
    ("part", "whole", "english", "norwegian"),
    [
        (199, 1000, "Popular", "Populær"),
        (10, 1000, "Popular", "Populær"),
        (40, 40, "Popular", "Populær"),
        (9, 12, "Others also buy this", "Andre kjøper også denne"),
        (23, 19_100, "Others also buy this", "Andre kjøper også denne"),
        (0, 0, "Others also buy this", "Andre kjøper også denne"),
    ],
)
def test_only_what_is_in_many_orders_is_called_popular(
    part: int, whole: int, english: str, norwegian: str
) -> None:
    assert cross_sell_text([], part, whole, "en") == english
    assert cross_sell_text([], part, whole, "nb") == norwegian


def test_a_name_with_a_comma_inside_a_sentence_is_in_quotes() -> None:
    chain = "Kjede, 8 gir"
    assert cross_sell_text([chain], 51, 171, "nb") == (
        "3 av 10 som kjøper «Kjede, 8 gir», tar også denne"
    )
    assert cross_sell_text([chain], 51, 171, "en") == (
        "Bought together with “Kjede, 8 gir” in 3 of 10 orders"
    )
    assert cross_sell_text([chain], 1, 171, "nb") == "Passer til Kjede, 8 gir"
    extra = Extra(20_000, "NOK", names=("Kjede, 8 gir, rustfri", chain))
    assert upsell_text([], [], extra, "nb") == (
        "«Kjede, 8 gir, rustfri» i stedet for «Kjede, 8 gir» for 200\u00a0kr mer"
    )


def test_what_all_of_many_orders_hold_is_said_without_a_share() -> None:
    assert cross_sell_text(["Phone"], 40, 40, "en") == "Often bought together with Phone"
    assert cross_sell_text(["Phone"], 40, 40, "nb") == "Ofte kjøpt sammen med Phone"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (412, 1310, "3 of 10"),
        (1, 4, "2 of 10"),
        (1, 5, "2 of 10"),
        (9999, 10_000, "9 of 10"),
        (7, 7, "10 of 10"),
    ],
)
def test_rates(part: int, whole: int, text: str) -> None:
    assert rate_text(part, whole, "en") == text


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_stated_rate_is_near_the_true_one(part: int, whole: int) -> None:
    part, whole = min(part, whole), max(part, whole)
    whole = min(whole, 5 * part)
    told_part, _, told_whole = rate_text(part, whole, "en").partition(" of ")
    reported, true = int(told_part) / int(told_whole), part / whole
    assert abs(reported - true) <= 0.1 + 1e-9
    assert reported <= true * 1.25
    assert (reported == 1) == (part == whole)


@pytest.mark.parametrize(
    ("gained", "difference", "currency", "english", "norwegian"),
    [
        (
            [STORAGE],
            100_000,
            "NOK",
            "4x the storage for 1000 NOK more",
            "4 ganger så mye lagring for 1 000 kr mer",
        ),
        (
            [CAMERA],
            250_050,
            "NOK",
            "Camera 12 → 48 MP for 2500.50 NOK more",
            "Kamera 12 → 48 MP for 2 500,50 kr mer",
        ),
        (
            [Change("storage_gb", "128", "256"), Change("projects", "10", "20")],
            1200,
            "EUR",
            "Twice the storage and twice the projects for 12 EUR more",
            "Dobbelt så mye lagring og dobbelt så mange prosjekter for 12 € mer",
        ),
        (
            [FEATURES, Change("projects", "10", "100")],
            1200,
            "EUR",
            "10x the projects, adds reporting and collaboration for 12 EUR more",
            "10 ganger så mange prosjekter, med reporting og collaboration for 12 € mer",
        ),
        (
            [STORAGE, CAMERA, Change("cpu_score", "610", "880")],
            1_250_000,
            "NOK",
            "4x the storage and camera 12 → 48 MP for 12,500 NOK more",
            "4 ganger så mye lagring og kamera 12 → 48 MP for 12 500 kr mer",
        ),
        (
            [Change("size_ml", "240", "350.5")],
            80,
            "JPY",
            "Size 240 → 350.5 ml for 80 JPY more",
            "Størrelse 240 → 350,5 ml for 80 JPY mer",
        ),
        (
            [Change("volume", "0,5 l", "1,25 l")],
            550,
            "NOK",
            "2.5x the volume for 5.50 NOK more",
            "2,5 ganger så mye volum for 5,50 kr mer",
        ),
        (
            [Change("wireless_charging", "no", "yes")],
            5000,
            "USD",
            "Adds wireless charging for 50 USD more",
            "Med trådløs lading for 50 USD mer",
        ),
        (
            [Change("size", "Small", "Large")],
            500,
            "NOK",
            "Size Small → Large for 5 NOK more",
            "Størrelse liten → stor for 5 kr mer",
        ),
        (
            [Change("screen_inch", "6.1", "6.7")],
            500,
            "NOK",
            "Screen 6.1 → 6.7″ for 5 NOK more",
            "Skjerm 6,1 → 6,7″ for 5 kr mer",
        ),
        (
            [Change("data", "10 GB", "unlimited")],
            10_000,
            "NOK",
            "Data 10 GB → unlimited for 100 NOK more",
            "Data 10 GB → ubegrenset for 100 kr mer",
        ),
        (
            [Change("bed", "90x200 cm", "180x200 cm")],
            10_000,
            "NOK",
            "Bed 90x200 cm → 180x200 cm for 100 NOK more",
            "Seng 90x200 cm → 180x200 cm for 100 kr mer",
        ),
        (
            [Change("pack_size", "12 OZ", "2/12 OZ")],
            300,
            "USD",
            "Bigger pack for 3 USD more",
            "Større pakke for 3 USD mer",
        ),
        (
            [Change("pack_size", "14.5 OZ", "27 OZ")],
            300,
            "USD",
            "Pack size 14.5 oz → 27 oz for 3 USD more",
            "Pakningsstørrelse 14.5 oz → 27 oz for 3 USD mer",
        ),
        (
            [Change("lumens", "200", "300")],
            15_000,
            "NOK",
            "Lumens 200 → 300 for 150 NOK more",
            "Lumen 200 → 300 for 150 kr mer",
        ),
        (
            [],
            100_000,
            "NOK",
            "Another version for 1000 NOK more",
            "En annen utgave for 1 000 kr mer",
        ),
    ],
)
def test_upsell(
    gained: list[Change], difference: int, currency: str, english: str, norwegian: str
) -> None:
    extra = Extra(difference, currency)
    assert upsell_text(gained, [], extra, "en") == english
    assert _with_spaces(upsell_text(gained, [], extra, "nb")) == norwegian


def _with_spaces(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_norwegian_amounts_never_break_over_lines() -> None:
    text = upsell_text([STORAGE], [], Extra(1_234_500, "NOK"), "nb")
    assert " 000" not in text
    assert text.endswith("for 12\u00a0345\u00a0kr mer")


def test_what_merely_differs_is_written_only_where_nothing_is_gained() -> None:
    blend, extra = Change("blend", "house", "Blue Mountain"), Extra(140, "JPY")
    assert upsell_text([], [blend], extra, "en") == (
        "Blend Blue Mountain instead of house for 140 JPY more"
    )
    assert _with_spaces(upsell_text([], [blend], extra, "nb")) == (
        "Blanding Blue Mountain i stedet for house for 140 JPY mer"
    )
    assert upsell_text([STORAGE], [blend], extra, "en") == "4x the storage for 140 JPY more"
    pack, code = Change("pack_size", "9 OZ", "6 PK"), Change("type", "STD_QN", "DLX_QN")
    unnamed = Change("attr_07", "house", "Blue Mountain")
    assert upsell_text([], [pack, code, unnamed, blend], extra, "en").startswith("Blend Blue")
    assert upsell_text([], [pack, code, unnamed], extra, "en").startswith("Another version for")
    named = Extra(140, "JPY", names=("Coffee de luxe", "Coffee"))
    assert upsell_text([], [blend], named, "en") == (
        "Coffee de luxe instead of Coffee for 140 JPY more"
    )


def test_what_has_no_name_for_buyers_is_not_written() -> None:
    names = ("Drill Pro", "Drill")
    for attribute in ("attr_07", "x_dim", "kg"):
        gained = [Change(attribute, "2", "5"), Change(attribute, "no", "yes")]
        for language, text in (("en", "Drill Pro instead of Drill"), ("nb", "Drill Pro i stedet")):
            extra = Extra(5000, "NOK", names=names)
            assert upsell_text(gained, [], extra, language_of(language)).startswith(text)
            assert change_texts(gained, language_of(language), Wording()) == ()
    # A word of the shop can be read in English, and is not Norwegian for being read.
    gained = [Change("spindle", "2", "5")]
    assert upsell_text(gained, [], Extra(500, "NOK"), "en") == "2.5x the spindle for 5 NOK more"
    assert upsell_text(gained, [], Extra(500, "NOK"), "nb").startswith("En annen utgave")


@pytest.mark.parametrize(
    ("language", "gains", "losses"),
    [
        (
            "en",
            ("4x the storage", "Breakfast", "Size Small → Large", "Bigger pack", "Sauna"),
            ("Storage 256 → 64 GB", "Without breakfast", "Without Sauna"),
        ),
        (
            "nb",
            (
                "4 ganger så mye lagring",
                "Frokost",
                "Størrelse liten → stor",
                "Større pakke",
                "Sauna",
            ),
            ("Lagring 256 → 64 GB", "Uten frokost", "Uten Sauna"),
        ),
    ],
)
def test_what_changes_has_a_label(
    language: Language, gains: tuple[str, ...], losses: tuple[str, ...]
) -> None:
    breakfast, sauna = Change("breakfast", "no", "yes"), Change("amenities", "Wi-Fi", "Wi-Fi;Sauna")
    size, pack = Change("size", "Small", "Large"), Change("pack_size", "12 OZ", "2/12 OZ")
    gained = [STORAGE, breakfast, size, pack, sauna]
    assert change_texts(gained, language, Wording()) == gains
    lost = [Change(each.attribute, each.after, each.before) for each in (STORAGE, breakfast, sauna)]
    assert change_texts(lost, language, Wording(), lost=True) == losses


@pytest.mark.parametrize(
    ("base", "better", "prices", "english", "norwegian"),
    [
        (
            *("0,5 l", "1,5 l", (1000, 2550)),
            "Bigger pack: 15% less per litre for 15.50 NOK more",
            "Større pakke: 15 % lavere literpris for 15,50 kr mer",
        ),
        (
            *("250 g", "2x250 g", (4000, 6000)),
            "Bigger pack: 25% less per kilo for 20 NOK more",
            "Større pakke: 25 % lavere kilopris for 20 kr mer",
        ),
        (
            *("12 OZ", "24 OZ", (4000, 6000)),
            "Bigger pack: 25% less per ounce for 20 NOK more",
            "Større pakke: 25 % lavere pris per unse for 20 kr mer",
        ),
        (
            *("12 OZ", "2 l", (4000, 6000)),
            "Bigger pack: 73% less per litre for 20 NOK more",
            "Større pakke: 73 % lavere literpris for 20 kr mer",
        ),
        (
            *("8 OZ", "12 PK/12 OZ", (1990, 3990)),
            "Bigger pack for 20 NOK more",
            "Større pakke for 20 kr mer",
        ),
        (
            *("6 pk", "12 pk", (4000, 7990)),
            "Bigger pack for 39.90 NOK more",
            "Større pakke for 39,90 kr mer",
        ),
        (
            *("10 stk", "20 stk", (4000, 7680)),
            "Bigger pack for 36.80 NOK more",
            "Større pakke for 36,80 kr mer",
        ),
        (
            *("10 stk", "20 stk", (4000, 6001)),
            "Bigger pack: 24% less per piece for 20.01 NOK more",
            "Større pakke: 24 % lavere stykkpris for 20,01 kr mer",
        ),
    ],
)
def test_a_bigger_pack_says_what_a_unit_costs_less(
    base: str, better: str, prices: tuple[int, int], english: str, norwegian: str
) -> None:
    packs = (parse_pack(base), parse_pack(better))
    assert packs[0] is not None
    assert packs[1] is not None
    saving = unit_saving(packs[0], packs[1], *prices)
    extra = Extra(prices[1] - prices[0], "NOK", 1, "size", saving)
    gained = [Change("pack_size", base, better)]
    assert upsell_text(gained, [], extra, "en") == english
    assert _with_spaces(upsell_text(gained, [], extra, "nb")) == norwegian


def test_of_several_the_price_is_written_for_each() -> None:
    extra = Extra(100_000, "NOK", 3)
    assert upsell_text([STORAGE], [], extra, "en") == "4x the storage for 1000 NOK more each"
    assert upsell_text([STORAGE], [], extra, "nb").endswith("mer per stykk")


def test_the_shops_own_words_come_first() -> None:
    attributes = AttributesSection.model_validate(
        {
            "attribute_labels": {
                "storage_gb": {"en": "room for files", "nb": "plass til filer"},
                "grade": {"nb": "karakter"},
            },
            "attribute_levels": {"grade": ["fair", "good", "ideal"]},
        }
    )
    grade = Change("grade", "fair", "ideal")
    extra = Extra(5000, "NOK")
    assert upsell_text([STORAGE, grade], [], extra, "en", Wording(attributes)) == (
        "4x the room for files and grade fair → ideal for 50 NOK more"
    )
    assert _with_spaces(upsell_text([STORAGE, grade], [], extra, "nb", Wording(attributes))) == (
        "4 ganger så mye plass til filer og karakter fair → ideal for 50 kr mer"
    )


_TEXTS = st.text(min_size=1, max_size=20)
_CHANGES = st.builds(
    Change,
    st.one_of(_TEXTS, st.sampled_from(["pack_size", "storage_gb", "projects"])),
    st.one_of(_TEXTS, st.sampled_from(["64", "6 pk", "0,5 l", "unlimited", "a;b", "2x3"])),
    st.one_of(_TEXTS, st.sampled_from(["256", "12 pk", "2 l", "unlimited", "a;b;c", "4x5"])),
)


@given(
    st.lists(_CHANGES, max_size=4),
    st.lists(_CHANGES, max_size=2),
    st.integers(1, 10**12),
    st.sampled_from(["NOK", "JPY", "KWD", "XXX"]),
    st.sampled_from(["size", "tier"]),
)
def test_any_catalogue_text_makes_a_sentence(
    gained: list[Change], differs: list[Change], difference: int, currency: str, step: str
) -> None:
    extra = Extra(difference, currency, step="size" if step == "size" else "tier")
    for language, ending in (("en", " more"), ("nb", " mer")):
        text = upsell_text(gained, differs, extra, language_of(language))
        assert text.endswith(ending)
        assert len(text.splitlines()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "{rate} {0} {items.__class__} %(rate)s %s",
        'A & B "C" \\ $HOME `id`',
        "=1+1",
    ],
)
def test_names_stand_in_texts_as_they_are(name: str, language: Language) -> None:
    assert name in cross_sell_text([name], 30, 100, language)
    assert name in picked_text(name, language)
    change = Change("blend", "house", name.replace("_", ""))
    assert change.after in upsell_text([], [change], Extra(100, "NOK"), language)
    assert name in upsell_text([], [], Extra(100, "NOK", names=(name, "house")), language)
    labelled = AttributesSection.model_validate(
        {"attribute_labels": {"storage_gb": {"en": name, "nb": name}}}
    )
    assert name in upsell_text([STORAGE], [], Extra(100, "NOK"), language, Wording(labelled))


def test_names_cannot_break_a_line_or_turn_the_text_around() -> None:
    text = cross_sell_text(["Phone\r\nSet-Cookie: a\u202egnp\x00"], 30, 100, "en")
    assert text == "Bought together with Phone Set-Cookie: a gnp  in 3 of 10 orders"


def test_labels() -> None:
    assert attribute_label("storage_gb", "en") == ("storage", "gb")
    assert attribute_label("storage-GB", "nb") == ("lagring", "gb")
    assert attribute_label("posts_per_month", "nb") == ("innlegg per måned", "")
    assert attribute_label("CPU_score", "nb") == ("CPU-poeng", "")
    assert attribute_label("batteryLife", "nb") == ("batteritid", "")
    assert attribute_label("skjermstørrelse_inch", "en") == ("screen size", "inch")
    assert attribute_label("battery_mAh", "nb") == ("batteri", "mah")
    for unreadable in ("kg", "_", "attr_07", "x_dim"):
        assert attribute_label(unreadable, "en")[0] == attribute_label(unreadable, "nb")[0] == ""
    countable = {
        "projects",
        "posts_per_month",
        "users",
        "prosjekter",
        "storage_gb",
        "glass",
        "memory",
    }
    assert {name for name in countable if is_countable(name)} == {
        "projects",
        "posts_per_month",
        "prosjekter",
        "users",
    }
