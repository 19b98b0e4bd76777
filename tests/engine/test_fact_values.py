"""Values as shops write them, and what is refused."""

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


@given(st.integers(-(2**53), 2**53), _CURRENCIES)
def test_text_and_decimal_lead_back(minor: int, currency: str) -> None:
    assert to_minor(money.to_text(minor, currency), currency) == minor
    assert to_minor(money.to_decimal(minor, currency), currency) == minor
