"""Numbers, money and shares stand in the buyer's notation, as Babel writes them."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.texts import money_text, number_text, share_text


def test_money_is_short() -> None:
    assert money_text(100_000, "NOK", "en") == "1000 NOK"
    assert money_text(999_900, "NOK", "nb") == "9\u00a0999\u00a0kr"
    assert money_text(1_234_567_89, "NOK", "nb") == "1\u00a0234\u00a0567,89\u00a0kr"
    assert money_text(1500, "KWD", "en") == "1.500 KWD"


@given(st.integers(0, 10**15), st.sampled_from(["NOK", "JPY", "KWD", "EUR"]))
def test_money_is_read_back_from_both_languages(minor: int, currency: str) -> None:
    digits = {"JPY": 0, "KWD": 3}.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    english = money_text(minor, currency, "en").rpartition(" ")[0].replace(",", "")
    norwegian = money_text(minor, currency, "nb").rpartition("\u00a0")[0]
    assert Decimal(english) == amount
    assert Decimal(norwegian.replace("\u00a0", "").replace(",", ".")) == amount


@given(st.decimals(-(10**9), 10**9, places=6))
def test_numbers_are_read_back_from_both_languages(value: Decimal) -> None:
    assert Decimal(number_text(value, "en").replace(",", "")) == value
    norwegian = number_text(value, "nb").replace("\u00a0", "").replace(",", ".")
    assert Decimal(norwegian.replace("\u2212", "-")) == value


@given(
    st.decimals(-(10**15), 10**15, allow_nan=False)
    | st.decimals(-20_000, 20_000, places=8)
    | st.integers(-20_000, 20_000).map(Decimal),
    st.sampled_from(LANGUAGES),
)
def test_numbers_are_written_as_babel_writes_them(value: Decimal, language: Language) -> None:
    pattern = "0.######" if abs(value) < 10_000 else "#,##0.######"
    assert number_text(value, language) == format_decimal(value, format=pattern, locale=language)


@given(
    st.integers(-(10**15), 10**15),
    st.sampled_from(["NOK", "JPY", "KWD"]),
    st.sampled_from(LANGUAGES),
)
def test_money_is_written_as_babel_writes_it(minor: int, currency: str, language: Language) -> None:
    digits = {"JPY": 0, "KWD": 3}.get(currency, 2)
    amount = Decimal(minor).scaleb(-digits)
    decimals = "." + digits * "0" if amount % 1 else ""
    grouped = language == "nb" or abs(amount) >= 10_000
    pattern = ("#,##0" if grouped else "0") + decimals
    reported = money_text(minor, currency, language)
    assert reported.startswith(format_decimal(amount, format=pattern, locale=language))


@given(st.floats(0, 1))
def test_a_share_is_never_overstated(share: float) -> None:
    reported = share_text(share, "en")
    assert int(reported.removesuffix("%")) <= share * 100 + 1e-6
    assert int(reported.removesuffix("%")) > share * 100 - 1 - 1e-6
    assert share_text(share, "nb") == reported.replace("%", "\u00a0%")
