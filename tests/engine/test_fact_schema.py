"""Decoded objects and lines of JSON are one schema, and what is read is written alike."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine import fact_schema
from mersalg.engine.decoding import convert_fact, decode_fact
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_json import parse_fact, unpack
from mersalg.engine.storage.fact_lines import prepare_lines
from mersalg.engine.storage.fact_rows import row_of
from mersalg.engine.storage.pseudonyms import Pseudonyms
from tests.support.fact_files import SECRET
from tests.support.repetitions import repetitions

IDS = st.one_of(
    st.sampled_from(["a", "o1", "Ærø", "x" * 200, "x" * 201, "", "p1.00000000." + "0" * 32]),
    st.text(max_size=3),
    st.integers(0, 3),
    st.none(),
)
FEW_IDS = st.one_of(st.sampled_from(["a", "b", "c", "d", "e", "f"]), IDS)
WHENS = st.sampled_from(
    [
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.250+01:00",
        "2026-01-31T12:00:00",
        "0001-01-01T00:00:00+05:00",
        "soon",
    ]
)
FLAGS = st.sampled_from([True, False, None, 0, 1, "no"])
AMOUNTS = st.one_of(
    st.sampled_from(["12.50", "0", "-1", "1e2", " 3", "12.505", "NaN", "", "7.000", 0, 0.0, -0.0]),
    st.sampled_from([1.1, 2.675, 1e15, 1e16, 123456789012345678, 0.1 + 0.2, True, None, [], -5]),
    st.integers(0, 10**6),
    st.decimals(0, 1000, places=2).map(str),
    st.floats(0, 1e9),
)
QUANTITIES = st.sampled_from([1, 2, 0, -1, 1.0, 1.5, "2", True, None, 10**6, 10**6 + 1, 10**12])
CURRENCIES = st.sampled_from(["EUR", "EUR", "JPY", "KWD", "eur", "EURO", "XXX", "", None, 5])


def an_object(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


ITEMS = an_object(
    {"item_id": FEW_IDS},
    quantity=QUANTITIES,
    price=AMOUNTS,
    discount=AMOUNTS,
    tax=AMOUNTS,
    offer_id=FEW_IDS,
)
LINES = an_object(
    {"item_id": FEW_IDS}, quantity=QUANTITIES, unit_price=AMOUNTS, discount=AMOUNTS, other=IDS
)
OFFERS = an_object(
    {
        "offer_id": FEW_IDS,
        "kind": st.sampled_from(["cross_sell", "upsell", "upsell", "gift", None]),
        "item_id": FEW_IDS,
    },
    name=IDS,
    family=IDS,
    position=st.sampled_from([1, 2, 0, -1, 1.0, True, "1", None, 1_000, 1_001]),
    unit_price=AMOUNTS,
    replaces=an_object({"item_id": FEW_IDS}, quantity=QUANTITIES, price_difference=AMOUNTS)
    | st.none(),
    score=AMOUNTS,
)
WHOSE = {
    "checkout_id": FEW_IDS,
    "session_id": IDS,
    "customer_id": IDS,
    "consent": FLAGS,
    "is_bot": FLAGS,
    "scope": st.sampled_from(["server", "token", "storefront", None, "admin"]),
    "anything": IDS,
}
PROMOTIONS = an_object(
    {
        "type": st.sampled_from(["view_promotion", "add_to_cart", "dismiss_promotion"]),
        "event_id": IDS,
        "occurred_at": WHENS,
    },
    offer_id=IDS,
    promotion_id=IDS,
    **WHOSE,
)
ORDERS = an_object(
    {
        "type": st.sampled_from(["purchase", "refund", "cancel"]),
        "event_id": FEW_IDS,
        "occurred_at": WHENS,
        "transaction_id": FEW_IDS,
        "currency": CURRENCIES,
    },
    items=st.lists(ITEMS, max_size=3) | st.none(),
    offer_id=FEW_IDS,
    refund_id=IDS,
    amount=AMOUNTS,
    prices_include_tax=FLAGS,
    **WHOSE,
)
DECISIONS = an_object(
    {
        "type": st.just("decision"),
        "decision_id": FEW_IDS,
        "occurred_at": WHENS,
        "arm": st.sampled_from(["treatment", "control", "other", None]),
        "currency": CURRENCIES,
    },
    event_id=FEW_IDS,
    control_share=st.sampled_from([0.1, 0.5, 0, 1, 0.0, 1.0, -0.5, 2, "0.1", True, None]),
    model_version=IDS,
    placement=IDS,
    store_id=IDS,
    segment=IDS,
    lines=st.lists(LINES, max_size=2) | st.none(),
    offers=st.lists(OFFERS, max_size=3) | st.none(),
    **WHOSE,
)


@settings(max_examples=repetitions(300, 2_000))
@given(record=PROMOTIONS | ORDERS | DECISIONS)
def test_a_line_and_its_object_give_the_same_row(record: dict[str, Any]) -> None:
    pseudonyms = Pseudonyms(SECRET)
    raw = orjson.dumps(record)
    piece = prepare_lines([raw], 1, pseudonyms)
    if piece.refused:
        with pytest.raises(FactRejected) as caught:
            parse_fact(record)
        assert [refused.message for refused in piece.refused] == [caught.value.message]
        return
    expected = row_of(parse_fact(record), pseudonyms, trusted=True)
    assert piece.facts == [tuple(expected)]
    # A stored body is read back to the same row.
    assert row_of(unpack(expected.body), pseudonyms, trusted=True) == expected


@pytest.mark.parametrize("price", ["2.675000000000000000001", "0.004999999999999999999999999"])
def test_long_numbers_mean_what_their_digits_say(price: str) -> None:
    text = (
        '{"type": "purchase", "event_id": "p", "occurred_at": "2026-01-31T12:00:00Z",'
        ' "transaction_id": "t", "currency": "EUR", "items": [{"item_id": "a", "price": %s}]}'
    )
    assert unpack(text % price) == unpack(text % f'"{price}"')


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "fact must be a JSON object"),
        (b"nothing", "not JSON: JSON is malformed"),
        (b'{"type": "cancel", "event_id": NaN}', "not JSON: JSON is malformed"),
        (b'{"type": "cancel", "event_id": "\xff"}', "not UTF-8 text"),
        (b'{"type": "cancel", "event_id": "\\ud800"}', "not JSON"),
        (b'{"type": "cancel", "anything": ' + b"[" * 200_000, "not JSON"),
        (b'{"type": "cancel", "items": [{"offer_id": {}}]}', "items[0].offer_id must be text"),
        (b'{"type": "decision", "limits": {"upsell": 1}}', "limits.cross_sell is required"),
    ],
)
def test_what_is_no_fact_is_refused_with_its_field(raw: bytes, message: str) -> None:
    with pytest.raises(FactRejected) as caught:
        decode_fact(raw)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('"event_id": 1e20', "event_id must be text"),
        ('"items": [{"item_id": "a", "price": 1e99999999999999999999}]', "not an amount of money"),
        ('"items": [{"item_id": "a", "quantity": 1e99999999999999999999}]', "must be above 0"),
    ],
)
def test_a_number_beyond_all_bounds_is_refused(body: str, message: str) -> None:
    order = '"event_id": "p", "occurred_at": "2026-01-31T12:00:00Z", "transaction_id": "t"'
    with pytest.raises(FactRejected, match=message):
        unpack(f'{{"type": "purchase", {order}, "currency": "EUR", {body}}}')


@pytest.mark.parametrize("digits", ["123456789012345678901234567890", "12345678901234567890"])
def test_a_long_whole_number_is_an_id(digits: str) -> None:
    text = '{"type": "cancel", "event_id": %s, "occurred_at": "2026-01-31T12:00:00Z", '
    assert unpack((text + '"transaction_id": "t"}') % digits).event_id == digits


def test_a_list_has_a_largest_length() -> None:
    many = [{"item_id": "a"}] * (fact_schema.LONGEST_LIST + 1)
    with pytest.raises(FactRejected, match="items holds more than 10000 entries"):
        convert_fact({"type": "cancel", "items": many})
