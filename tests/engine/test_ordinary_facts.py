"""Lines that are as most are take a short way to the same row."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import FactRejected
from engine.fact_records import from_record
from engine.storage.batch import prepare
from engine.storage.ordinary import ordinary
from engine.storage.preparing import parsed, prepare_lines
from engine.storage.pseudonyms import Pseudonyms
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


@settings(max_examples=repetitions(500))
@given(record=PROMOTIONS | ORDERS | DECISIONS)
def test_the_short_way_leads_to_the_same_row(record: dict[str, Any]) -> None:
    pseudonyms = Pseudonyms(SECRET)
    raw = orjson.dumps(record)
    piece = prepare_lines([raw], 1, pseudonyms)
    with suppress(FactRejected):
        expected = prepare(from_record(parsed(raw)), pseudonyms, trusted=True)
        assert piece.facts == [tuple(expected)]
        return
    with pytest.raises(FactRejected) as caught:
        from_record(parsed(raw))
    assert [refused.message for refused in piece.refused] == [caught.value.message]


WHEN = "2026-01-31T12:00:00Z"
USUAL = [
    {"type": "view_promotion", "event_id": "v", "occurred_at": WHEN, "offer_id": "o"},
    {
        "type": "purchase",
        "event_id": "b",
        "occurred_at": WHEN,
        "checkout_id": "k",
        "transaction_id": "t",
        "currency": "EUR",
        "items": [
            {"item_id": "mug", "quantity": 2, "price": "4.50", "discount": "0.00"},
            {"item_id": "tea", "price": 3.2, "discount": 0.5, "offer_id": "o"},
        ],
    },
    {
        "type": "decision",
        "decision_id": "d",
        "occurred_at": WHEN,
        "checkout_id": "k",
        "session_id": "s",
        "customer_id": "c",
        "arm": "treatment",
        "control_share": 0.1,
        "currency": "EUR",
        "lines": [{"item_id": "pot", "quantity": 1, "unit_price": "20.00"}],
        "offers": [
            {"offer_id": "o", "kind": "cross_sell", "item_id": "tea", "unit_price": "3.20"},
            {
                "offer_id": "u",
                "kind": "upsell",
                "item_id": "big pot",
                "position": 2,
                "replaces": {"item_id": "pot", "quantity": 1, "price_difference": "5.00"},
            },
        ],
    },
]


@pytest.mark.parametrize("record", USUAL, ids=lambda record: record["type"])
def test_usual_lines_take_the_short_way(record: dict[str, Any]) -> None:
    pseudonyms, raw = Pseudonyms(SECRET), orjson.dumps(record)
    short = ordinary(raw, pseudonyms)
    assert short == prepare(from_record(parsed(raw)), pseudonyms, trusted=True)
