from __future__ import annotations

import gc
import json
import math
import weakref
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert
from msgspec import json as msgspec_json

from mersalg.engine import clock
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Decision, Tracking
from mersalg.engine.model import Model
from mersalg.engine.tracking.sample_ratio import drawn_of, sample_ratio
from mersalg.engine.vocabulary import StringTable
from mersalg.serving.answers import answer_json, display_of
from mersalg.serving.checkout import decide, prepared_for
from mersalg.serving.schemas import SuggestionRequest
from tests.support.facts import fact_to_json
from tests.support.models import tiny_model
from tests.support.openapi import fits
from tests.support.random_models import carts, models

REQUEST = """
{"checkout_id": "ch_81", "session_id": "s_3", "customer_id": "c_9", "placement": "checkout",
 "locale": "nb",
 "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
 "limits": {"cross_sell": 3, "upsell": 1}, "mode": "discovery", "exclude_item_ids": []}
"""
"""The example of the HTTP reference."""

RESPONSE = """
{"decision_id": "...", "arm": "treatment", "model_version": "...", "tracking": "recorded",
 "offers": [
  {"offer_id": "...", "kind": "cross_sell", "item_id": "case-1", "name": "Case", "position": 1,
   "unit_price": "199.00", "currency": "NOK", "score": 0.31,
   "evidence": {"antecedent_item_ids": ["phone-64"], "n_joint": 412, "n_antecedent": 1310,
                "confidence": 0.315, "lift": 6.2, "lift_lower": 5.6},
   "text": "Bought together with Phone 64 GB in 3 of 10 orders"},
  {"offer_id": "...", "kind": "upsell", "item_id": "phone-256", "name": "Phone 256 GB",
   "position": 1, "unit_price": "6990.00", "currency": "NOK", "score": 0.12,
   "replaces": {"item_id": "phone-64", "quantity": 1, "price_difference": "1000.00"},
   "gains": [{"attribute": "storage_gb", "from": "64", "to": "256"}], "losses": [],
   "text": "4x the storage for 1000 NOK more"}]}
"""


ADDED = {"step", "total_difference", "image_url", "display", "language", "labels"}
"""Fields the example does not show."""


def _request(**fields: object) -> SuggestionRequest:
    return convert({"checkout_id": "k1", **fields}, SuggestionRequest)


def _phone(**fields: object) -> SuggestionRequest:
    return _request(lines=[{"item_id": "phone-64"}], **fields)


def _answered(
    model: Model | None,
    request: SuggestionRequest,
    decision: Decision,
    tracking: Tracking = "recorded",
) -> dict[str, Any]:
    display = display_of(model, request, decision)
    return json.loads(answer_json(decision, tracking, display))


def test_the_references_examples_are_understood() -> None:
    request = msgspec_json.decode(REQUEST, type=SuggestionRequest)
    assert request.lines is not None
    assert request.lines[0].unit_price == Decimal("5990.00")
    assert fits("SuggestionRequest", json.loads(REQUEST))
    assert fits("SuggestionResponse", json.loads(RESPONSE))


def test_the_references_example_is_answered_in_its_own_form() -> None:
    body = REQUEST.replace('"nb"', '"en"')
    request = msgspec_json.decode(body, type=SuggestionRequest)
    model = tiny_model(holdout=0)
    found, expected = _answered(model, request, decide(model, request)), json.loads(RESPONSE)
    assert [key for key in found if key not in ADDED] == list(expected)
    case, upgrade = found["offers"][0], found["offers"][-1]
    assert [offer["position"] for offer in found["offers"]] == [1, 2, 3, 1]
    for offer, example in ((case, expected["offers"][0]), (upgrade, expected["offers"][1])):
        assert [key for key in offer if key not in ADDED] == list(example)
        unlike = {"offer_id", "score", "evidence", *ADDED}
        assert {key: offer[key] for key in offer.keys() - unlike} == {
            key: example[key] for key in example.keys() - unlike
        }
    assert list(case["evidence"]) == list(expected["offers"][0]["evidence"])
    assert case["evidence"]["antecedent_item_ids"] == ["phone-64"]
    assert case["evidence"]["confidence"] == pytest.approx(412 / 1310, abs=1e-6)
    assert case["evidence"]["lift"] == pytest.approx(6.203, abs=1e-3)


def test_norwegian_is_spoken_where_asked_or_where_the_shop_speaks_it() -> None:
    texts = {
        "3 av 10 som kjøper Phone 64 GB, tar også denne",
        "2 av 10 som kjøper Phone 64 GB, tar også denne",
        "Populær",
        "4 ganger så mye lagring for 1\u00a0000\u00a0kr mer",
    }
    english = tiny_model(holdout=0)
    assert {offer.text for offer in decide(english, _phone(locale="nb-NO")).offers} == texts
    norwegian = tiny_model(holdout=0, locale="nb")
    for locale in (None, "nn", "fr", "", "x" * 5000):
        assert {offer.text for offer in decide(norwegian, _phone(locale=locale)).offers} == texts


def test_offers_are_answered_as_buyers_read_them() -> None:
    model = tiny_model(holdout=0, locale="nb")
    model = replace(
        model,
        catalogue=replace(
            model.catalogue,
            image_urls=StringTable.from_texts(
                [
                    {"case-1": "https://shop.example/case.jpg", "phone-256": "javascript:x"}.get(
                        item_id, ""
                    )
                    for item_id in model.catalogue.items.ids
                ]
            ),
        ),
    )
    request = _phone(placement="post_purchase")
    answer = _answered(model, request, decide(model, request))
    assert fits("SuggestionResponse", answer)
    assert answer["language"] == "nb"
    assert answer["labels"] == {
        "title": "Legg til i bestillingen",
        "add": "Legg til",
        "replace": "Velg i stedet",
        "added": "Lagt til",
        "undo": "Angre",
        "dismiss": "Nei takk",
    }
    offers = {offer["item_id"]: offer for offer in answer["offers"]}
    assert offers["case-1"]["display"] == {
        "price": "199\u00a0kr",
        "difference": None,
        "gains": [],
        "losses": [],
    }
    assert offers["case-1"]["image_url"] == "https://shop.example/case.jpg"
    upgrade = offers["phone-256"]
    assert upgrade["display"]["price"] == "6\u00a0990\u00a0kr"
    assert upgrade["display"]["difference"] == "+1\u00a0000\u00a0kr"
    assert upgrade["display"]["gains"] == ["4 ganger så mye lagring"]
    assert "image_url" not in upgrade, "no address of a picture"
    english = _phone(locale="en-GB")
    answer = _answered(model, english, decide(model, english))
    assert (answer["language"], answer["labels"]["title"]) == ("en", "You may also like")
    assert answer["offers"][0]["display"]["price"] == "199 NOK"


def test_limits_come_from_the_call_else_from_the_shop() -> None:
    model = tiny_model(holdout=0)

    def kinds(**fields: object) -> Counter[str]:
        return Counter(offer.kind for offer in decide(model, _phone(**fields)).offers)

    assert kinds() == {"cross_sell": 3, "upsell": 1}
    assert kinds(limits={"cross_sell": 1}) == {"cross_sell": 1, "upsell": 1}
    assert kinds(limits={"cross_sell": 0, "upsell": 2}) == {"upsell": 2}
    assert kinds(limits=None, mode="complete") == {"cross_sell": 3, "upsell": 1}


def test_without_a_model_there_is_nothing_to_offer() -> None:
    decision = decide(None, _phone(currency="NOK"))
    assert decision.offers == ()
    assert decision.model_version is None
    assert decision.currency == "NOK"
    answer = _answered(None, _phone(), decision, "deferred")
    assert answer.pop("labels").keys() >= {"title", "add", "undo"}
    assert answer == {
        "decision_id": decision.decision_id,
        "arm": decision.arm,
        "model_version": None,
        "tracking": "deferred",
        "offers": [],
        "language": "en",
    }


def test_unknown_items_are_kept_in_the_decision_and_passed_over_else() -> None:
    request = _request(lines=[{"item_id": "nobody-knows", "unit_price": 3}, {"item_id": 7}])
    decision = decide(tiny_model(holdout=0), request)
    assert [(line.item_id, line.unit_price_minor) for line in decision.lines] == [
        ("nobody-knows", 300),
        ("7", None),
    ]
    assert {offer.kind for offer in decision.offers} == {"cross_sell"}
    assert {offer.text for offer in decision.offers} == {"Popular"}
    assert all(
        offer.evidence and not offer.evidence.antecedent_item_ids for offer in decision.offers
    )


def test_the_price_paid_is_what_an_upgrade_is_dearer_than() -> None:
    request = _request(lines=[{"item_id": "phone-64", "quantity": 2, "unit_price": 6000.5}])
    upgrade = decide(tiny_model(holdout=0), request).offers[-1]
    assert upgrade.replaces is not None
    assert upgrade.replaces.quantity == 2
    assert upgrade.replaces.price_difference_minor == 98_950


def test_prices_in_another_currency_are_passed_over() -> None:
    request = _request(lines=[{"item_id": "phone-64", "unit_price": "600"}], currency="EUR")
    decision = decide(tiny_model(holdout=0), request)
    assert decision.currency == "NOK"
    assert decision.lines[0].unit_price_minor is None
    assert [offer.kind for offer in decision.offers] == ["cross_sell"] * 3


def test_the_control_arm_records_ghosts_and_shows_nothing() -> None:
    shown = decide(tiny_model(holdout=0), _phone())
    held_out = decide(tiny_model(holdout=1), _phone())
    assert (shown.arm, held_out.arm) == ("treatment", "control")
    assert [offer.item_id for offer in held_out.offers] == [offer.item_id for offer in shown.offers]
    assert _answered(tiny_model(holdout=1), _phone(), held_out)["offers"] == []
    assert len(_answered(tiny_model(holdout=0), _phone(), shown)["offers"]) == 4


def test_a_session_keeps_its_arm_at_login_and_no_holdout_puts_all_in_treatment() -> None:
    model = tiny_model(holdout=0.5)
    assert decide(model, _phone(), known_arm="control").arm == "control"
    assert decide(model, _phone(), known_arm="treatment").arm == "treatment"
    assert decide(model, _phone(), known_arm="control").control_share == 0.5
    everyone = tiny_model(holdout=1)
    open_to_all = decide(everyone, _phone(), holdout=False, known_arm="control")
    assert (open_to_all.arm, open_to_all.control_share) == ("treatment", 0.0)


def test_arms_are_drawn_by_unit_near_the_holdout() -> None:
    model = tiny_model(holdout=0.2)
    n = 3000
    arms = Counter(
        decide(model, _request(customer_id=f"c{unit}", limits={"cross_sell": 0, "upsell": 0})).arm
        for unit in range(n)
    )
    assert abs(arms["control"] / n - 0.2) < 4 * math.sqrt(0.2 * 0.8 / n)
    for checkout in range(20):
        request = _request(customer_id="c_9", checkout_id=f"k{checkout}", session_id=f"s{checkout}")
        assert decide(model, request).arm == decide(model, _request(customer_id="c_9")).arm


def test_ids_are_new_and_long_each_time() -> None:
    model, request = tiny_model(holdout=0), _phone()
    decisions = [decide(model, request) for _ in range(50)]
    ids = [decision.decision_id for decision in decisions]
    ids += [offer.offer_id for decision in decisions for offer in decision.offers]
    assert len(set(ids)) == len(ids) == 250
    # 22 characters of 6 bits: 128 bits.
    assert {len(text) for text in ids} == {33}
    assert {text[:4] for text in ids} == {"dec_", "off_"}


def test_the_decision_is_a_whole_fact() -> None:
    before = clock.now()
    decision = decide(
        tiny_model(holdout=0.1, version="v7"),
        _phone(session_id=5, customer_id="", placement=""),
    )
    assert before <= decision.occurred_at <= clock.now()
    assert (decision.session_id, decision.customer_id) == ("5", None)
    assert (decision.placement, decision.model_version) == ("checkout", "v7")
    assert decision.event_id == decision.decision_id
    assert decision.control_share == 0.1
    again = parse_fact(fact_to_json(decision))
    assert isinstance(again, Decision)
    assert again.lines == decision.lines
    assert [offer.offer_id for offer in again.offers] == [
        offer.offer_id for offer in decision.offers
    ]
    assert [offer.replaces for offer in again.offers] == [
        offer.replaces for offer in decision.offers
    ]


def test_what_is_prepared_for_a_model_goes_with_it() -> None:
    model = tiny_model()
    prepared = weakref.ref(prepared_for(model).recommenders.eligibility.alone)
    assert prepared_for(model).recommenders is prepared_for(model).recommenders
    assert prepared() is not None
    del model
    gc.collect()
    assert prepared() is None


def _accepted(**fields: object) -> SuggestionRequest:
    return convert({"checkout_id": "k", **fields}, SuggestionRequest)


def test_requests_take_what_shops_send() -> None:
    request = _accepted(
        checkout_id=81,
        session_id=3,
        customer_id=None,
        lines=[
            {"item_id": 5, "quantity": "0.5", "unit_price": 10, "colour": "red"},
            {"item_id": "x", "quantity": 1.25, "unit_price": None},
            {"item_id": "y", "quantity": 3.0, "unit_price": " 12.50 "},
        ],
        exclude_item_ids=[9, "z"],
        limits={"upsell": 0, "services": 4},
        a_field_of_the_future={"deep": [1]},
    )
    assert (request.checkout_id, request.session_id) == ("81", "3")
    assert request.lines is not None
    assert [line.item_id for line in request.lines] == ["5", "x", "y"]
    assert [line.quantity for line in request.lines] == [Decimal("0.5"), Decimal("1.25"), 3]
    assert [line.unit_price for line in request.lines] == [Decimal(10), None, Decimal("12.50")]
    assert request.exclude_item_ids == ("9", "z")
    assert _accepted(lines=None, exclude_item_ids=None, mode=None).lines is None
    assert len(_accepted(lines=[{"item_id": "i"}] * 10_000).lines or ()) == 10_000


@pytest.mark.parametrize(
    "fields",
    [
        {"checkout_id": ""},
        {"checkout_id": None},
        {"checkout_id": True},
        {"checkout_id": 1.5},
        {"checkout_id": "x" * 201},
        {"checkout_id": "a\x00b"},
        {"checkout_id": "\ud800"},
        {"session_id": ["s"]},
        {"session_id": "s" * 201},
        {"locale": 5},
        {"lines": {}},
        {"lines": "phone-64"},
        {"lines": ["phone-64"]},
        {"lines": [{}]},
        {"lines": [{"item_id": "i"}] * 10_001},
        {"lines": [{"item_id": "i", "quantity": 0}]},
        {"lines": [{"item_id": "i", "quantity": -1}]},
        {"lines": [{"item_id": "i", "quantity": None}]},
        {"lines": [{"item_id": "i", "quantity": True}]},
        {"lines": [{"item_id": "i", "quantity": "many"}]},
        {"lines": [{"item_id": "i", "quantity": float("nan")}]},
        {"lines": [{"item_id": "i", "quantity": 10**10}]},
        {"lines": [{"item_id": "i", "unit_price": -1}]},
        {"lines": [{"item_id": "i", "unit_price": True}]},
        {"lines": [{"item_id": "i", "unit_price": "1,5"}]},
        {"lines": [{"item_id": "i", "unit_price": float("inf")}]},
        {"lines": [{"item_id": "i", "unit_price": "NaN"}]},
        {"lines": [{"item_id": "i", "unit_price": "1e400"}]},
        {"limits": {"cross_sell": 21}},
        {"limits": {"cross_sell": -1}},
        {"limits": {"upsell": "3"}},
        {"limits": {"upsell": 1.5}},
        {"limits": 3},
        {"mode": "everything"},
        {"exclude_item_ids": "a"},
        {"exclude_item_ids": [""]},
        {"currency": "nok"},
        {"currency": 578},
    ],
)
def test_malformed_requests_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _accepted(**fields)


def test_every_price_a_request_may_hold_can_be_counted() -> None:
    for price in ("999999999999.999", "1e-999999", 0, "0.00"):
        for currency in ("NOK", "JPY", "KWD"):
            request = _accepted(lines=[{"item_id": "phone-64", "unit_price": price}])
            assert (
                decide(tiny_model(currency=currency), request).lines[0].unit_price_minor is not None
            )


@given(st.data())
def test_answers_keep_the_schema_and_the_promises(data: st.DataObject) -> None:
    model = data.draw(models())
    request = _request(
        session_id=data.draw(st.sampled_from(["a", "b", "c"])),
        lines=[
            {
                "item_id": item_id,
                "quantity": data.draw(st.sampled_from([1, 2, "0.5"])),
                "unit_price": data.draw(st.none() | st.integers(0, 400)),
            }
            for item_id in data.draw(carts(model))
        ],
        limits={"cross_sell": data.draw(st.integers(0, 4)), "upsell": data.draw(st.integers(0, 4))},
        locale=data.draw(st.sampled_from(["en", "nb"])),
    )
    decision = decide(model, request)
    answer = _answered(model, request, decision)
    assert fits("SuggestionResponse", answer)
    assert decision.arm == "treatment" or not answer["offers"]
    in_cart = {line.item_id for line in decision.lines}
    for kind in ("cross_sell", "upsell"):
        positions = [offer.position for offer in decision.offers if offer.kind == kind]
        assert positions == list(range(1, len(positions) + 1))
    for offer in decision.offers:
        assert offer.item_id not in in_cart
        assert offer.name
        assert offer.text
        assert (offer.evidence is None) == (offer.kind == "upsell")
        assert (offer.replaces is None) == (offer.kind == "cross_sell")
    again = decide(model, request)
    assert [offer.item_id for offer in again.offers] == [offer.item_id for offer in decision.offers]


def test_arms_without_consent_are_as_even_as_those_of_single_checkouts() -> None:
    """Buyers who return, drawn by what is counted: a mismatch of arms is seen by chance alone."""
    p_values: list[float] = []
    for world in range(60):
        model = tiny_model(holdout=0.5)
        decisions: list[Decision] = []
        for number in range(200):
            request = _request(
                checkout_id=f"{world}-{number}", customer_id=f"{world}-{number % 10}", consent=False
            )
            decisions.append(decide(model, request))
        p_value = sample_ratio(drawn_of(decisions), 0.5).p_value
        assert p_value is not None
        p_values.append(p_value)
    assert sum(p_value < 0.05 for p_value in p_values) <= 8  # 8 or fewer of 60: 99.5%
