"""Facts in and out of JSON: every door reads them alike, and what is written can be read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_bodies import digest_and_pack, pack
from mersalg.engine.fact_json import parse_fact, unpack
from mersalg.engine.facts import CartLine, Change, Decision, Event, Evidence, Fact, Offer, Replaces
from tests.support.facts import fact_to_json, histories

DECISION: dict[str, Any] = {
    "type": "decision", "decision_id": "d", "occurred_at": "2026-01-31T12:00:00+01:00",
    "checkout_id": "k", "arm": "control", "currency": "NOK",
    "lines": [{"item_id": "phone-64", "quantity": 2, "unit_price": "5990.00"}],
    "offers": [
        {"offer_id": "o1", "kind": "cross_sell", "item_id": "case-1", "unit_price": 199},
        {"offer_id": "o2", "kind": "upsell", "item_id": "phone-256", "position": 2,
         "replaces": {"item_id": "phone-64", "quantity": 2, "price_difference": "1000"}},
    ],
}  # fmt: skip
PURCHASE: dict[str, Any] = {
    "type": "purchase", "event_id": "p", "occurred_at": "2026-01-31T12:00:00.000001Z",
    "transaction_id": "t", "currency": "NOK",
    "items": [{"item_id": "case-1", "quantity": "1.50", "price": 199.9, "discount": "0.10"}],
}  # fmt: skip
REFUND: dict[str, Any] = {
    "type": "refund", "event_id": "r", "occurred_at": "2026-01-31T12:00:00Z",
    "transaction_id": "t", "currency": "NOK", "refund_id": 7, "amount": "12.50",
}  # fmt: skip
VIEW: dict[str, Any] = {
    "type": "view_promotion", "event_id": "v", "occurred_at": "2026-01-31T12:00:00Z",
    "promotion_id": "o1",
}  # fmt: skip


def body_digest(fact: Fact) -> bytes:
    return digest_and_pack(fact)[0]


def test_a_decision_reads_as_written() -> None:
    fact = parse_fact(DECISION)
    assert isinstance(fact, Decision)
    assert fact.event_id == "d"  # its own id where no other is given
    assert fact.occurred_at == 1_769_857_200_000_000
    assert fact.lines == (CartLine("phone-64", 2, 599_000),)
    assert fact.offers[0] == Offer("o1", "cross_sell", "case-1", 1, 19_900)
    assert fact.offers[1].replaces == Replaces("phone-64", 2, 100_000)
    assert (fact.placement, fact.control_share, fact.is_bot) == ("checkout", None, False)


def test_an_event_reads_as_written() -> None:
    fact = parse_fact(PURCHASE)
    assert isinstance(fact, Event)
    assert fact.occurred_at == 1_769_860_800_000_001
    (item,) = fact.items
    assert (item.quantity, item.price_minor, item.discount_minor) == (Decimal("1.5"), 19_990, 10)
    assert (item.tax_minor, fact.prices_include_tax) == (None, None)


def test_tax_reads_as_written() -> None:
    fact = parse_fact(
        {**PURCHASE, "prices_include_tax": False,
         "items": [{"item_id": "a", "price": 10, "tax": "2.505"}, {"item_id": "b", "tax": 0}]}
    )  # fmt: skip
    assert isinstance(fact, Event)
    assert [line.tax_minor for line in fact.items] == [250, 0]
    assert fact.prices_include_tax is False
    assert unpack(pack(fact)) == fact


def test_a_refund_reads_as_written() -> None:
    fact = parse_fact(REFUND)
    assert isinstance(fact, Event)
    assert (fact.refund_id, fact.amount_minor, fact.returns_all) == ("7", 1_250, False)
    assert unpack(pack(fact)) == fact
    assert body_digest(parse_fact({**REFUND, "amount": 13})) != body_digest(fact)


def test_the_name_of_google_analytics_is_taken_for_an_offer() -> None:
    assert parse_fact(VIEW).offer_id == "o1"
    own = {**{name: VIEW[name] for name in VIEW if name != "promotion_id"}, "offer_id": "o1"}
    assert body_digest(parse_fact(VIEW)) == body_digest(parse_fact(own))


def test_numbered_ids_are_texts() -> None:
    assert parse_fact({**VIEW, "event_id": 17, "customer_id": 4}).event_id == "17"


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ([], "fact must be a JSON object"),
        ({}, "type must be one of add_to_cart, cancel, decision"),
        ({**VIEW, "type": ["purchase"]}, "type must be one of"),
        ({**VIEW, "event_id": None}, "event_id is required"),
        ({**VIEW, "event_id": True}, "event_id must be text"),
        ({**VIEW, "event_id": "x" * 201}, "event_id is longer than 200"),
        ({**VIEW, "event_id": "a\x00b"}, "event_id holds characters that are not text"),
        ({**VIEW, "event_id": "\ud800"}, "event_id holds characters that are not text"),
        ({**VIEW, "event_id": 10**200}, "event_id must be text"),
        ({**VIEW, "promotion_id": ""}, "offer_id is required for view_promotion"),
        ({**VIEW, "is_bot": "true"}, "is_bot must be true or false"),
        ({**VIEW, "occurred_at": "2026-01-31T12:00:00"}, "no UTC offset"),
        ({**VIEW, "occurred_at": 1_769_860_800}, "occurred_at is required, as ISO 8601"),
        ({**VIEW, "occurred_at": "9999-12-31T23:59:59-12:00"}, "occurred_at must be ISO 8601"),
        ({**VIEW, "occurred_at": "0001-01-01T00:00:00+12:00"}, "occurred_at must be ISO 8601"),
        ({**PURCHASE, "transaction_id": None}, "transaction_id is required"),
        ({**PURCHASE, "items": []}, "a purchase needs at least one item"),
        ({**PURCHASE, "items": {}}, "items must be a list"),
        ({**PURCHASE, "currency": "nok"}, "currency must be an ISO 4217 code"),
        ({**PURCHASE, "currency": "N1K"}, "currency must be an ISO 4217 code"),
        ({**PURCHASE, "currency": None}, "currency is required where items[0].price is given"),
        ({**PURCHASE, "prices_include_tax": 1}, "prices_include_tax must be true or false"),
        ({**REFUND, "amount": -1}, "refund.amount must not be negative"),
        ({**REFUND, "currency": None}, "currency is required where refund.amount is given"),
        ({**DECISION, "arm": "both"}, "arm must be treatment or control"),
        ({**DECISION, "offers": [{"kind": "sidesell"}]}, "offers[0].kind must be cross_sell"),
        ({**DECISION, "offers": DECISION["offers"][:1] * 2}, "the same offer_id is listed twice"),
        ({**DECISION, "control_share": Decimal("NaN")}, "control_share must be a number"),
        ({**DECISION, "control_share": 10**400}, "control_share must be a number"),
        ({**DECISION, "control_share": True}, "control_share must be a number"),
    ],
)
def test_a_wrong_fact_is_answered_with_what_is_wrong(fact: object, message: str) -> None:
    with pytest.raises(FactRejected) as caught:
        parse_fact(fact)
    assert caught.value.reason == "invalid"
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quantity", 0, "above 0"),
        ("quantity", -1, "above 0"),
        ("quantity", "nan", "must be a number"),
        ("quantity", "0.0000001", "too small"),
        ("quantity", 10**10, "at most"),
        ("quantity", None, "must be a number"),
        ("quantity", True, "must be a number"),
        ("price", "1,50", "not an amount of money"),
        ("price", "Infinity", "not an amount of money"),
        ("price", "1." + "0" * 200, "not an amount of money"),
        ("quantity", "1." + "0" * 200, "must be a number"),
        ("price", "1e400000", "not an amount of money"),
        ("price", [], "must be an amount of money"),
        ("discount", -1, "must not be negative"),
        ("tax", -1, "must not be negative"),
    ],
)
def test_a_wrong_line_is_answered_with_what_is_wrong(
    field: str, value: object, message: str
) -> None:
    wrong = {**PURCHASE, "items": [PURCHASE["items"][0], {"item_id": "x", field: value}]}
    with pytest.raises(FactRejected) as caught:
        parse_fact(wrong)
    assert caught.value.message.startswith(f"items[1].{field} ")
    assert message in caught.value.message


def test_an_upsell_names_what_it_replaces() -> None:
    offer = {"offer_id": "o", "kind": "upsell", "item_id": "x"}
    with pytest.raises(FactRejected, match="names what it replaces"):
        parse_fact({**DECISION, "offers": [offer]})


@given(facts=histories())
def test_what_is_written_is_read_again(facts: list[Fact]) -> None:
    for fact in facts:
        assert unpack(pack(fact)) == fact
        outward = parse_fact(json.loads(json.dumps(fact_to_json(fact))))
        assert body_digest(outward) == body_digest(fact)
        assert digest_and_pack(fact) == (body_digest(fact), pack(fact))


@given(facts=histories(), data=st.data())
def test_a_changed_fact_has_another_digest(facts: list[Fact], data: st.DataObject) -> None:
    fact = data.draw(st.sampled_from(facts))
    # Where a fact came with another instant than its own, that is the one it is known by.
    stated = getattr(fact, "stated_at", None)
    name, instant = ("occurred_at", fact.occurred_at) if stated is None else ("stated_at", stated)
    assert body_digest(replace(fact, **{name: instant + 1})) != body_digest(fact)
    assert body_digest(replace(fact, customer_id="someone else")) != body_digest(fact)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -1, 0, 1e308, Decimal("1e999"), Decimal("NaN"), 0.5])
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "a\x00", "x" * 3000, "2026-01-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
EXPLAINED: dict[str, Any] = {
    **DECISION,
    "offers": [
        {**DECISION["offers"][0], "score": 0.3, "text": "Bought together",
         "evidence": {"antecedent_item_ids": ["phone-64"], "n_joint": 4, "n_antecedent": 9,
                      "confidence": 0.44, "lift": 2.5, "lift_lower": 1.2}},
        {**DECISION["offers"][1], "gains": [{"attribute": "gb", "from": "64", "to": "256"}],
         "losses": []},
    ],
}  # fmt: skip


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON document."""
    found: list[tuple[Any, Any]] = []
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(pairs):
        found.append((data, key))
        if isinstance(value, dict | list):
            found += _places(value)
    return found


@given(data=st.data())
def test_any_damage_is_refused_or_read_and_written_again(data: st.DataObject) -> None:
    record = json.loads(json.dumps(data.draw(st.sampled_from([EXPLAINED, PURCHASE, VIEW]))))
    container, key = data.draw(st.sampled_from(_places(record)))
    container[key] = data.draw(JSON)
    try:
        fact = parse_fact(record)
    except FactRejected:
        return
    assert unpack(pack(fact)) == fact
    assert body_digest(unpack(pack(fact))) == body_digest(fact)


def test_a_decision_that_replaces_the_sum_of_huge_lines_can_be_read() -> None:
    record = json.loads(json.dumps(EXPLAINED))
    record["offers"][1]["replaces"]["quantity"] = 2 * 10**9
    fact = parse_fact(record)
    assert isinstance(fact, Decision)
    assert fact.offers[1].replaces is not None
    assert fact.offers[1].replaces.quantity == 2 * 10**9
    assert unpack(pack(fact)) == fact
    record["lines"][0]["quantity"] = 2 * 10**9
    with pytest.raises(FactRejected, match=r"lines\[0\].quantity"):
        parse_fact(record)


def test_an_explanation_survives() -> None:
    fact = parse_fact(EXPLAINED)
    assert isinstance(fact, Decision)
    assert fact.offers[0].evidence == Evidence(("phone-64",), 4, 9, 0.44, 2.5, 1.2)
    assert fact.offers[1].gains == (Change("gb", "64", "256"),)
    assert unpack(pack(fact)) == fact


def test_words_too_long_or_broken_are_mended_where_they_are_written() -> None:
    fact = parse_fact(DECISION)
    assert isinstance(fact, Decision)
    offer = replace(fact.offers[1], name="n" * 500, text="a\x00b\ud800", score=float("nan"))
    changes = (Change("g\ud800", "f" * 5000, "t"),)
    back = unpack(pack(replace(fact, offers=(replace(offer, gains=changes),))))
    assert isinstance(back, Decision)
    (mended,) = back.offers
    assert (mended.name, mended.text, mended.score) == ("n" * 200, "ab?", 0.0)
    assert mended.gains == (Change("g?", "f" * 2000, "t"),)
