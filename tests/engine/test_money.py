from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine import money
from mersalg.engine.fact_values import to_minor, to_price

_CURRENCIES = st.sampled_from(["NOK", "EUR", "JPY", "KWD", "ISK"])


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("5990.00", "NOK", 599_000),
        ("5990", "NOK", 599_000),
        (199, "NOK", 19_900),
        (0.1, "EUR", 10),
        (19.99, "EUR", 1999),
        ("480", "JPY", 480),
        ("1.500", "KWD", 1500),
        ("-12.50", "NOK", -1250),
        (Decimal("0.005"), "NOK", 0),
        (Decimal("0.015"), "NOK", 2),
        ("1e-999999", "NOK", 0),
        ("9007199254740992e-2", "NOK", 2**53),
    ],
)
def test_amounts_become_minor_units(
    amount: Decimal | str | int | float, currency: str, minor: int
) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    "amount",
    [
        "",
        "x",
        "NaN",
        "Infinity",
        "-inf",
        "1e16",
        "1e999999",
        "90071992547409.93",
        "1,5",
        "5_000",
        "٥",
    ],
)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        to_minor(amount, "NOK")
    with pytest.raises(ValueError, match="amount"):
        to_price(amount, "NOK")


def test_a_unit_price_is_as_fine_as_it_was_written() -> None:
    assert to_price("0.0042", "NOK") == Decimal("0.42")
    assert money.to_text(Decimal("0.42"), "NOK") == "0.0042"
    assert money.to_text(Decimal("0.5"), "JPY") == "0.5"
    assert money.scale(to_price(0.0042, "NOK"), 10_000, 1) == 4_200
    whole = to_price("199.900", "NOK")
    assert (whole, type(whole)) == (19_990, int)
    assert to_price("90071992547409.92", "NOK") == 2**53


def test_a_float_that_is_no_number_is_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="amount"):
            to_minor(value, "NOK")


def test_texts_have_the_currencys_own_decimals() -> None:
    assert money.to_text(599_000, "NOK") == "5990.00"
    assert money.to_text(5, "NOK") == "0.05"
    assert money.to_text(-5, "EUR") == "-0.05"
    assert money.to_text(480, "JPY") == "480"
    assert money.to_text(1500, "KWD") == "1.500"
    assert money.to_text(2**53, "NOK") == "90071992547409.92"


@given(st.integers(-(2**53), 2**53), _CURRENCIES)
def test_text_and_decimal_lead_back(minor: int, currency: str) -> None:
    assert to_minor(money.to_text(minor, currency), currency) == minor
    assert to_minor(money.to_decimal(minor, currency), currency) == minor


def test_shares_are_rounded_half_to_even() -> None:
    assert money.scale(100, 1, 3) == 33
    assert money.scale(5, 1, 2) == 2
    assert money.scale(7, 1, 2) == 4
    assert money.scale(1000, Decimal("0.25"), 1) == 250
    assert money.scale(-5, 1, 2) == -2


@given(st.integers(-(10**12), 10**12), st.integers(1, 1000))
def test_a_whole_is_a_whole(minor: int, units: int) -> None:
    assert money.scale(minor, units, units) == minor
