from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine import money


def test_texts_have_the_currencys_own_decimals() -> None:
    assert money.to_text(599_000, "NOK") == "5990.00"
    assert money.to_text(5, "NOK") == "0.05"
    assert money.to_text(-5, "EUR") == "-0.05"
    assert money.to_text(480, "JPY") == "480"
    assert money.to_text(1500, "KWD") == "1.500"
    assert money.to_text(2**53, "NOK") == "90071992547409.92"


def test_shares_are_rounded_half_to_even() -> None:
    assert money.scale(100, 1, 3) == 33
    assert money.scale(5, 1, 2) == 2
    assert money.scale(7, 1, 2) == 4
    assert money.scale(1000, Decimal("0.25"), 1) == 250
    assert money.scale(-5, 1, 2) == -2


@given(st.integers(-(10**12), 10**12), st.integers(1, 1000))
def test_a_whole_is_a_whole(minor: int, units: int) -> None:
    assert money.scale(minor, units, units) == minor
