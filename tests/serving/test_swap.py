"""What an upsell replaces: how many, at which difference, after which discounts."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert

from mersalg.engine.fact_bodies import pack
from mersalg.engine.fact_json import parse_fact, unpack
from mersalg.engine.facts import Offer, Replaces
from mersalg.serving.answers import answer_json, display_of
from mersalg.serving.checkout import decide
from mersalg.serving.schemas import SuggestionRequest
from tests.support.facts import fact_to_json
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, tiny_model
from tests.support.openapi import fits
from tests.support.repetitions import repetitions

MODEL = tiny_model(holdout=0.0)
BETTER = Decimal(6990)
"""List price of phone-256, the upgrade of phone-64 at 5990."""


def _asked(*lines: dict[str, object], **fields: object) -> SuggestionRequest:
    return convert({"checkout_id": "k1", "lines": list(lines), **fields}, SuggestionRequest)


def _line(quantity: object = 1, price: object = None, discount: object = None) -> dict[str, object]:
    line = {"item_id": "phone-64", "quantity": quantity, "unit_price": price, "discount": discount}
    return {name: value for name, value in line.items() if value is not None}


PAIR = tiny_model(
    items=[
        item for item in PHONE_SHOP_ITEMS if item.item_id in ("phone-64", "phone-256", "sim-pin")
    ],
    rules=(),
    repelled={},
    holdout=0.0,
)


def _upsell(*lines: dict[str, object], **fields: object) -> Offer:
    decision = decide(PAIR, _asked(*lines, limits={"cross_sell": 0, "upsell": 1}, **fields))
    assert len(decision.offers) == 1
    assert decision.offers[0].item_id == "phone-256"
    return decision.offers[0]


@pytest.mark.parametrize(
    ("lines", "quantity", "difference", "total"),
    [
        ([_line()], 1, "1000.00", "1000.00"),
        ([_line(3)], 3, "1000.00", "3000.00"),
        ([_line("1.5")], "1.5", "1000.00", "1500.00"),
        ([_line(1, "5490.00")], 1, "1500.00", "1500.00"),
        # The discount is on the line: 300 off three is 100 off each.
        ([_line(3, "5990.00", "300.00")], 3, "1100.00", "3300.00"),
        ([_line(3, None, "300.00")], 3, "1100.00", "3300.00"),
        ([_line("0.5", "6000.00", "100.00")], "0.5", "1190.00", "595.00"),
        # Several lines of one item: the average for one, the exact sum for all.
        ([_line(1, "5990.00"), _line(2, "5490.00")], 3, "1333.33", "4000.00"),
        ([_line(1, "5990.00"), _line(1, "5990.00", "1000.00")], 2, "1500.00", "3000.00"),
        ([_line(1), _line("0.5", "5990.00")], "1.5", "1000.00", "1500.00"),
    ],
)
def test_differences_worked_out_by_hand(
    lines: list[dict[str, object]], quantity: object, difference: str, total: str
) -> None:
    asked = _asked(*lines, limits={"cross_sell": 0, "upsell": 1})
    decision = decide(MODEL, asked)
    display = display_of(MODEL, asked, decision)
    offer = json.loads(answer_json(decision, "recorded", display))["offers"][0]
    assert offer["item_id"] == "phone-256"
    assert offer["replaces"] == {
        "item_id": "phone-64",
        "quantity": quantity,
        "price_difference": difference,
    }
    assert offer["total_difference"] == total
    assert offer["step"] == "tier"
    assert offer["unit_price"] == "6990.00"


def test_other_lines_have_no_say() -> None:
    offer = _upsell(_line(2), {"item_id": "sim-pin", "quantity": 7, "discount": "3.00"})
    assert offer.replaces is not None
    assert (offer.replaces.quantity, offer.replaces.price_difference_minor) == (2, 100_000)
    assert offer.total_difference_minor == 200_000


def test_the_text_says_the_price_for_one() -> None:
    assert _upsell(_line(3)).text == "4x the storage for 1000 NOK more each"
    assert _upsell(_line(3, None, "300.00")).text == "4x the storage for 1100 NOK more each"
    norwegian = _upsell(_line(), locale="nb").text.replace("\u00a0", " ")
    assert norwegian == "4 ganger så mye lagring for 1 000 kr mer"


def test_of_a_weight_the_text_says_what_the_bill_will() -> None:
    offer = _upsell(_line("1.5"))
    assert offer.replaces is not None
    assert offer.replaces.price_difference_minor == 100_000
    assert offer.total_difference_minor == 150_000
    assert offer.text == "4x the storage for 1500 NOK more"
    assert _upsell(_line("0.25"), _line("0.25")).text == "4x the storage for 500 NOK more"


def test_more_than_can_be_recorded_is_not_upsold() -> None:
    many = _line(10**9)
    assert _upsell(many).replaces == Replaces("phone-64", 10**9, 100_000)
    limits = {"cross_sell": 0, "upsell": 1}
    assert decide(PAIR, _asked(many, _line(), limits=limits)).offers == ()


def test_a_discount_that_takes_all_leaves_nothing_to_compare_with() -> None:
    for discount in ("5990.00", "99999.00"):
        lines = _line(1, "5990.00", discount)
        assert not decide(MODEL, _asked(lines, limits={"cross_sell": 0, "upsell": 1})).offers


def test_a_discount_counts_for_the_price_step() -> None:
    # At 2,700 the cheapest better phone is 2.40 times as dear, the next 2.59 times.
    lines = _line(1, "5990.00", "3290.00")
    decision = decide(MODEL, _asked(lines, limits={"cross_sell": 0, "upsell": 20}))
    assert [offer.item_id for offer in decision.offers] == ["phone-128"]


@pytest.mark.parametrize("discount", [-1, "-0.01", "ten", True, [], "1e400"])
def test_an_impossible_discount_is_malformed(discount: object) -> None:
    with pytest.raises(ValueError, match="discount"):
        _asked(_line(1, "10.00", discount))


def test_prices_in_another_currency_are_passed_over_with_their_discounts() -> None:
    decision = decide(MODEL, _asked(_line(1, "600.00", "50.00"), currency="EUR"))
    assert decision.lines[0].unit_price_minor is None
    assert decision.lines[0].discount_minor == 0
    assert all(offer.kind == "cross_sell" for offer in decision.offers)


_LINES = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 20), st.decimals("0.05", 9, places=2)),
        st.decimals(5600, 6400, places=2),
        st.decimals(0, 20, places=2),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=repetitions(60))
@given(_LINES)
def test_the_total_is_what_the_bill_grows_by(
    lines: list[tuple[Decimal | int, Decimal, Decimal]],
) -> None:
    offer = _upsell(*(_line(str(quantity), str(price), str(off)) for quantity, price, off in lines))
    quantity = sum(Decimal(quantity) for quantity, _, _ in lines)
    paid = sum(max(Decimal(each) * price - off, Decimal(0)) for each, price, off in lines)
    assert offer.replaces is not None
    assert offer.replaces.quantity == quantity
    grown = (BETTER * quantity - paid).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert offer.total_difference_minor == int(grown * 100)
    average = (paid / quantity).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert offer.replaces.price_difference_minor == int((BETTER - average) * 100)


def test_facts_keep_what_was_answered() -> None:
    asked = _asked(_line(3, "5990.00", "300.00"), limits={"cross_sell": 1, "upsell": 1})
    decision = decide(MODEL, asked)
    assert unpack(pack(decision)) == decision
    outward = fact_to_json(decision)
    assert outward["lines"] == [
        {"item_id": "phone-64", "quantity": 3, "unit_price": "5990.00", "discount": "300.00"}
    ]
    again = parse_fact(json.loads(json.dumps(outward)))
    assert fact_to_json(again) == outward
    reported = json.loads(pack(decision))
    upsell = reported["offers"][-1]  # type: ignore[index]
    assert (upsell["step"], upsell["total_difference"]) == ("tier", "3300.00")
    nothing = {"status": "complete", "message": None, "pinned_item_ids": [], "counts": {}}
    body = {**reported, "explanation": {**nothing, "rejected": []}}
    assert fits("ExplainedDecision", body)


def test_a_bigger_pack_is_named_as_such() -> None:
    def soda(item_id: str, size: str, price: str) -> TinyItem:
        return TinyItem(
            item_id,
            f"Cola {size}",
            price,
            family="cola",
            attributes={"pack_size": size},
            n_orders=100,
        )

    model = tiny_model(
        items=[soda("half", "0,5 l", "20.00"), soda("large", "1,5 l", "45.00")],
        rules=(),
        repelled={},
        holdout=0.0,
    )
    asked = convert(
        {"checkout_id": "k", "lines": [{"item_id": "half"}], "locale": "nb"}, SuggestionRequest
    )
    decision = decide(model, asked)
    body = answer_json(decision, "off", display_of(model, asked, decision))
    offer = json.loads(body)["offers"][0]
    assert offer["step"] == "size"
    assert offer["gains"] == [{"attribute": "pack_size", "from": "0,5 l", "to": "1,5 l"}]
    text = offer["text"].replace("\u00a0", " ")
    assert text == "Større pakke: 25 % lavere literpris for 25 kr mer"
    assert fits("SuggestionResponse", json.loads(body))
    # On offer at 12 kr the small bottle is the cheaper one a litre: then it is only a dearer one.
    cheap = decide(
        model,
        convert(
            {
                "checkout_id": "k",
                "lines": [{"item_id": "half", "unit_price": "20.00", "discount": "1.00"}],
            },
            SuggestionRequest,
        ),
    )
    assert cheap.offers[0].step == "size"
    assert cheap.offers[0].text == "Bigger pack: 21% less per litre for 26 NOK more"
