"""What is written once of a cart and its offers is what would be written each time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fact_records import digest_and_pack
from engine.fragments import fragments_of
from engine.offers import CartLine, Offer
from engine.storage.batch import prepare
from engine.storage.pseudonyms import Pseudonyms
from serving.answers import answer_json
from serving.checkout import decide
from serving.schemas import SuggestionRequest
from tests.support.models import tiny_model

_SECRET = b"a secret of thirty-two bytes, so"
MODEL = tiny_model()
_LINE = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from(
            [*MODEL.catalogue.items.ids, "unknown", 'a "quoted" \\ id', "å"]
        ),
        "quantity": st.integers(1, 3) | st.sampled_from([0.5, 1.25]),
    },
    optional={"unit_price": st.sampled_from(["10.00", "0.5", 99]), "discount": st.just("1.00")},
)
_CALL = st.fixed_dictionaries(
    {
        "checkout_id": st.sampled_from(["k", 'k"1']),
        "lines": st.lists(_LINE, max_size=4),
        "locale": st.sampled_from(["nb", "en"]),
    },
    optional={
        "session_id": st.just("s"),
        "customer_id": st.just("c"),
        "currency": st.sampled_from(["EUR", "NOK"]),
        "segment": st.just("b2b"),
        "declined_item_ids": st.just(["case-1"]),
    },
)


@given(call=_CALL, arm=st.sampled_from(["treatment", "control"]))
def test_facts_and_answers_are_those_without_fragments(call: dict[str, object], arm: str) -> None:
    request = SuggestionRequest.model_validate(call)
    decision = decide(MODEL, request, known_arm=arm)  # type: ignore[arg-type]
    plain = replace(decision)
    assert decision.fragments is not None
    assert plain.fragments is None
    assert digest_and_pack(decision) == digest_and_pack(plain)
    pseudonyms = Pseudonyms(_SECRET)
    assert prepare(decision, pseudonyms) == prepare(plain, pseudonyms)
    assert answer_json(decision, "recorded") == answer_json(plain, "recorded")


@pytest.mark.parametrize("spoilt", ["", "a\x00b", "x" * 1_000])
def test_an_id_that_cannot_be_stored_is_found_in_them(spoilt: str) -> None:
    offer = Offer("", "cross_sell", spoilt, 1, 100)
    found = fragments_of([CartLine("mug", 1)], [offer], "EUR", lambda _: {"offer_id": ""})
    assert found is not None
    assert not found.ids_hold


def test_what_is_no_json_has_no_fragments() -> None:
    lines = [CartLine("half of a pair \ud800", 1)]
    assert fragments_of(lines, [], "EUR", lambda _: {}) is None
