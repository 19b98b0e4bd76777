from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.facts import Change
from mersalg.engine.upsell import gains
from mersalg.engine.upsell.numbers import number_ratio, parse_number
from tests.support.models import tiny_model


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("64", "64", ""),
        (" 64 GB ", "64", "GB"),
        ("64GB", "64", "GB"),
        ("0,5 l", "0.5", "l"),
        ("0,500 l", "0.500", "l"),
        ("1 000", "1000", ""),
        ("1\u00a0000,25 g", "1000.25", "g"),
        ("5,000 mAh", "5000", "mAh"),
        ("1,234.5", "1234.5", ""),
        ("-3", "-3", ""),
        ('6.1"', "6.1", '"'),
    ],
)
def test_numbers_are_read_with_their_units(text: str, value: str, unit: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert (number.value, number.unit) == (Decimal(value), unit)


@pytest.mark.parametrize("text", ["", "house", "8 to 10 h; 3", "12,5,3", "GB 64", "1.2.3", "٣x4"])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("64", "256", "gain"),
        ("256 GB", "64 GB", "loss"),
        ("64", "64 GB", "same"),
        ("64 GB", "1 TB", "gain"),
        ("500 ml", "0,5 l", "same"),
        ("40 LB", "8 OZ", "loss"),
        ("1 qt", "1 ga", "gain"),
        ("0,500 l", "5,000 l", "gain"),
        ("12 MP", "12 m", "differs"),
        # A comma that may part thousands or decimals, and nothing that tells which.
        ("5,000", "4500", "differs"),
        ("no", "yes", "gain"),
        ("Ja", "nei", "loss"),
        ("false", "TRUE", "gain"),
        ("yes", "ja", "same"),
        ("small", "Large", "gain"),
        ("Lg", "Sm", "loss"),
        ("gold", "bronze", "loss"),
        ("gold", "large", "differs"),
        ("house", "Blue Mountain", "differs"),
        ("boards; files", "boards; files; reporting", "gain"),
        ("boards; files", "Files | Boards", "same"),
        ("roadmap", "roadmap; business case", "gain"),
        ("roadmap; business case", "roadmap", "loss"),
        ("wifi; desk", "wifi; minibar", "both"),
        ("oak, steel", "pine, brass", "differs"),
        ("", "64", "unknown"),
        ("64", "n/a", "unknown"),
        ("-", "yes", "unknown"),
    ],
)
def test_verdicts(before: str, after: str, verdict: str) -> None:
    assert gains.compare_texts(before, after) == verdict


_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["yes", "nei", "small", "XL", "1,500", "2", "0,5 l", "1 TB", "a; b", "b, c", ""]
    ),
    st.decimals(-1000, 1000, places=2).map(str),
    st.lists(st.sampled_from(["boards", "files", "sso"]), max_size=3).map("; ".join),
)
_MIRRORED = {"gain": "loss", "loss": "gain"}


@given(_TEXTS, _TEXTS)
def test_what_one_way_gains_the_other_way_loses(before: str, after: str) -> None:
    verdict = gains.compare_texts(before, after)
    mirrored = gains.compare_texts(after, before)
    assert mirrored == _MIRRORED.get(verdict, verdict)


@given(_TEXTS)
def test_nothing_is_better_than_itself(text: str) -> None:
    assert gains.compare_texts(text, text) in ("same", "unknown")


@given(
    st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from(["GB", "ml", "posts", "", "MP"])
)
def test_a_larger_number_gains(first: int, second: int, unit: str) -> None:
    expected = "gain" if second > first else "loss" if second < first else "same"
    assert gains.compare_texts(f"{first} {unit}", f"{second} {unit}") == expected
    before, after = parse_number(f"{first}"), parse_number(f"{second}")
    assert before is not None
    assert after is not None
    assert number_ratio(before, after) == Decimal(second) / Decimal(first)


def test_added_members_keep_the_shops_spelling_and_order() -> None:
    assert gains.added("Boards; files", "SSO; boards; Reporting; files") == ("SSO", "Reporting")
    assert gains.added("roadmap", "roadmap; case, short") == ("case, short",)
    assert gains.members(" a ; b;;a ") == ("a", "b")


def test_items_are_compared_attribute_by_attribute() -> None:
    catalogue = tiny_model().catalogue
    base, better = (catalogue.items.index_of(item) for item in ("phone-64", "phone-pro"))
    assert base is not None
    assert better is not None
    comparison = gains.compare_items(catalogue, base, better)
    assert comparison.gains == (
        Change("storage_gb", "64", "512"),
        Change("camera_mp", "12", "48"),
        Change("features", "dual SIM", "dual SIM; wireless charging"),
    )
    assert comparison.losses == ()
    assert gains.compare_items(catalogue, better, base).losses == tuple(
        Change(change.attribute, change.after, change.before) for change in comparison.gains
    )


def test_a_traded_set_stands_on_both_sides() -> None:
    change = Change("amenities", "wifi; desk", "wifi; minibar")
    comparison = gains.compare_attributes([("amenities", change.before, change.after)])
    assert comparison.gains == comparison.losses == (change,)
    blend = gains.compare_attributes([("blend", "house", "Blue Mountain")])
    assert blend == gains.Comparison(differs=(Change("blend", "house", "Blue Mountain"),))


@given(st.text("0123456789", min_size=1, max_size=15), st.text("0123456789", min_size=1))
def test_plain_numbers_compare_as_others_do(before: str, after: str) -> None:
    assert gains.compare_texts(before, after) == gains.compare_texts(f"{before} GB", f"{after} GB")
