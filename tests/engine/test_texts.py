from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.locales import MESSAGES, Language, language_of
from engine.offers import Change
from engine.texts import attribute_label, cross_sell_text, money_text, rate_text, upsell_text

STORAGE = Change("storage_gb", "64", "256")
CAMERA = Change("camera_mp", "12", "48")
FEATURES = Change("features", "boards; files", "boards; files; reporting; collaboration")


def test_both_languages_have_every_message() -> None:
    assert MESSAGES["en"].keys() == MESSAGES["nb"].keys()


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
        ("nb", "Kjøpt sammen med Phone 64 GB i 3 av 10 ordrer"),
    ],
)
def test_cross_sell(language: Language, text: str) -> None:
    assert cross_sell_text(["Phone 64 GB"], 412, 1310, language) == text


def test_cross_sell_by_several_items_and_by_none() -> None:
    assert cross_sell_text(["Phone", "Case"], 4, 100, "en") == (
        "Bought together with Phone and Case in 1 of 25 orders"
    )
    assert cross_sell_text(["A", "B", "C"], 1, 1, "nb") == (
        "Kjøpt sammen med A, B og C i 10 av 10 ordrer"
    )
    assert cross_sell_text([], 125, 1000, "en") == "Popular: in 1 of 8 orders"
    assert cross_sell_text([], 125, 1000, "nb") == "Populær: i 1 av 8 ordrer"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (412, 1310, "3 of 10"),
        (1, 4, "2 of 10"),
        (1, 5, "2 of 10"),
        (199, 1000, "1 of 5"),
        (1, 8, "1 of 8"),
        (1, 25, "1 of 25"),
        (1, 1337, "1 of 1300"),
        (1, 133_700, "1 of 130,000"),
        (9999, 10_000, "9 of 10"),
        (7, 7, "10 of 10"),
        (0, 7, "0 of 10"),
        (0, 0, "0 of 0"),
    ],
)
def test_rates(part: int, whole: int, text: str) -> None:
    assert rate_text(part, whole, "en") == text


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_told_rate_is_near_the_true_one(part: int, whole: int) -> None:
    part, whole = min(part, whole), max(part, whole)
    told_part, _, told_whole = rate_text(part, whole, "en").replace(",", "").partition(" of ")
    told, true = int(told_part) / int(told_whole), part / whole
    assert abs(told - true) <= 0.1 + 1e-9
    assert told <= true * 1.25
    assert (told == 1) == (part == whole)


@pytest.mark.parametrize(
    ("gained", "difference", "currency", "english", "norwegian"),
    [
        (
            [STORAGE],
            100_000,
            "NOK",
            "4x the storage for 1000 NOK more",
            "4x lagring for 1000 kr mer",
        ),
        (
            [CAMERA],
            250_050,
            "NOK",
            "Camera 12 → 48 MP for 2500.50 NOK more",
            "Kamera 12 → 48 MP for 2500,50 kr mer",
        ),
        (
            [FEATURES, Change("projects", "10", "100")],
            1200,
            "EUR",
            "10x the projects, adds reporting and collaboration for 12 EUR more",
            "10x prosjekter, med reporting og collaboration for 12 € mer",
        ),
        (
            [STORAGE, CAMERA, Change("cpu_score", "610", "880")],
            1_250_000,
            "NOK",
            "4x the storage and camera 12 → 48 MP for 12,500 NOK more",
            "4x lagring og kamera 12 → 48 MP for 12\u00a0500 kr mer",
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
            "2,5x volum for 5,50 kr mer",
        ),
        (
            [Change("wireless_charging", "no", "yes")],
            5000,
            "USD",
            "Adds wireless charging for 50 USD more",
            "Med wireless charging for 50 USD mer",
        ),
        (
            [Change("size", "Small", "Large")],
            500,
            "NOK",
            "Size Small → Large for 5 NOK more",
            "Størrelse Small → Large for 5 kr mer",
        ),
        (
            [Change("screen_inch", "6.1", "6.7")],
            500,
            "NOK",
            "Screen 6.1 → 6.7″ for 5 NOK more",
            "Skjerm 6,1 → 6,7″ for 5 kr mer",
        ),
        (
            [],
            100_000,
            "NOK",
            "A better version for 1000 NOK more",
            "En bedre utgave for 1000 kr mer",
        ),
    ],
)
def test_upsell(
    gained: list[Change], difference: int, currency: str, english: str, norwegian: str
) -> None:
    assert upsell_text(gained, [], difference, currency, "en") == english
    assert upsell_text(gained, [], difference, currency, "nb") == norwegian


def test_what_merely_differs_is_told_only_where_nothing_is_gained() -> None:
    blend = Change("blend", "house", "Blue Mountain")
    assert upsell_text([], [blend], 140, "JPY", "en") == (
        "Blend Blue Mountain instead of house for 140 JPY more"
    )
    assert upsell_text([STORAGE], [blend], 140, "JPY", "en") == "4x the storage for 140 JPY more"


@given(
    st.lists(st.builds(Change, *[st.text(min_size=1, max_size=20)] * 3), max_size=4),
    st.lists(st.builds(Change, *[st.text(min_size=1, max_size=20)] * 3), max_size=2),
    st.integers(1, 10**12),
    st.sampled_from(["NOK", "JPY", "KWD", "XXX"]),
)
def test_any_catalogue_text_makes_a_sentence(
    gained: list[Change], differs: list[Change], difference: int, currency: str
) -> None:
    assert upsell_text(gained, differs, difference, currency, "en").endswith(" more")
    assert upsell_text(gained, differs, difference, currency, "nb").endswith(" mer")


def test_labels() -> None:
    assert attribute_label("storage_gb", "en") == ("storage", "gb")
    assert attribute_label("storage-GB", "nb") == ("lagring", "gb")
    assert attribute_label("posts_per_month", "nb") == ("innlegg per måned", "")
    assert attribute_label("kg", "en") == ("kg", "")
    assert attribute_label("_", "en") == ("_", "")


def test_money_is_short() -> None:
    assert money_text(100_000, "NOK", "en") == "1000 NOK"
    assert money_text(999_900, "NOK", "nb") == "9999 kr"
    assert money_text(1_234_567_89, "NOK", "nb") == "1\u00a0234\u00a0567,89 kr"
    assert money_text(1500, "KWD", "en") == "1.500 KWD"
