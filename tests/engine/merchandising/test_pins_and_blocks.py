"""What the shop itself places and forbids, on the phone shop whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from mersalg.engine.config import OffersSection
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import CartLine
from mersalg.engine.merchandising.reasons import LAST_BINDING, REJECTIONS, Reason
from mersalg.engine.merchandising.targets import category_path, unknown_names
from mersalg.engine.model import Model
from mersalg.engine.slate import Recommenders, Slate, build_slate
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, TinyRule, tiny_model

NOVEMBER = parse_instant("2026-11-15T12:00:00+01:00")


def shop(
    *, pins: Sequence[dict[str, Any]] = (), blocks: Sequence[dict[str, Any]] = (), **more: Any
) -> Model:
    caps = {name: more.pop(name) for name in list(more) if name in OffersSection.model_fields}
    offers = OffersSection.model_validate({"pins": pins, "blocks": blocks, **caps})
    return tiny_model(offers=offers, **more)


def asked(model: Model, *item_ids: str, **options: Any) -> Slate:
    lines = [CartLine(item_id, 1) for item_id in item_ids]
    limits = {"cross_sell": 3, "upsell": 0, "at": NOVEMBER}
    return build_slate(Recommenders.prepare(model), lines, **{**limits, **options})


def offered(model: Model, *item_ids: str, **options: Any) -> list[str]:
    slate = asked(model, *item_ids, **options)
    return [model.catalogue.items[chosen.item] for chosen in slate.cross_sell]


def upsold(model: Model, *item_ids: str, **options: Any) -> list[str]:
    slate = asked(model, *item_ids, **{"upsell": 3, **options})
    return [model.catalogue.items[chosen.item] for chosen in slate.upsell]


def reason(model: Model, item_id: str, *cart: str, kind: str = "cross_sell", **options: Any) -> str:
    slate = asked(model, *cart, explain=True, **options)
    found = [
        each.reason.code
        for each in slate.rejected
        if each.kind == kind and model.catalogue.items[each.item] == item_id
    ]
    assert len(found) == 1, found
    return found[0]


def test_without_rules_the_model_decides() -> None:
    assert offered(shop(), "phone-64") == ["case-1", "glass-1", "charger"]


# Pins


def test_a_pin_takes_its_place_and_the_others_make_room() -> None:
    pin = {"item": "charger", "position": 1}
    assert offered(shop(pins=[pin]), "phone-64") == ["charger", "case-1", "glass-1"]
    pin["position"] = 2
    assert offered(shop(pins=[pin]), "phone-64") == ["case-1", "charger", "glass-1"]


def test_a_pinned_candidate_keeps_its_score_and_evidence() -> None:
    model = shop(pins=[{"item": "glass-1"}])
    glass = asked(model, "phone-64").cross_sell[0]
    plain = asked(shop(), "phone-64").cross_sell[1]
    assert (glass.pinned, plain.pinned) == (True, False)
    assert (glass.item, glass.score, glass.counts) == (plain.item, plain.score, plain.counts)


def test_a_pin_needs_no_sales() -> None:
    new = TinyItem("new-strap", "Strap", "99.00", n_orders=0)
    model = shop(pins=[{"item": "new-strap"}], items=[*PHONE_SHOP_ITEMS, new])
    strap = asked(model, "phone-64").cross_sell[0]
    assert model.catalogue.items[strap.item] == "new-strap"
    assert (strap.score, strap.counts.antecedent, strap.counts.n_joint) == (0, (), 0)


def test_a_pin_beyond_the_places_asks_for_nothing() -> None:
    model = shop(pins=[{"item": "sim-pin", "position": 4}])
    assert offered(model, "phone-64", cross_sell=2) == ["case-1", "glass-1"]
    assert offered(model, "phone-64", cross_sell=4)[3] == "sim-pin"


def test_pins_of_one_place_stand_as_the_shop_file_has_them() -> None:
    pins = [{"item": "sim-pin"}, {"item": "charger"}, {"item": "glass-1", "position": 3}]
    model = shop(pins=pins)
    assert offered(model, "phone-64") == ["sim-pin", "charger", "glass-1"]
    assert offered(model, "phone-64", cross_sell=1) == ["sim-pin"]


def test_a_late_pin_moves_up_where_nothing_stands_before_it() -> None:
    items = [TinyItem("a", "A", "1.00"), TinyItem("b", "B", "1.00")]
    model = shop(items=items, rules=(), repelled={}, pins=[{"item": "b", "position": 3}])
    assert offered(model, "a") == ["b"]


def test_a_pin_for_some_carts() -> None:
    model = shop(pins=[{"item": "charger", "when_cart_has": ["phone-64", "case-1"]}])
    assert offered(model, "phone-64", "case-1")[0] == "charger"
    assert offered(model, "phone-64")[0] == "case-1"
    rule = shop(pins=[{"consequent": "charger", "antecedent": ["phone-64"]}])
    assert offered(rule, "phone-64")[0] == "charger"
    assert offered(rule, "phone-256")[0] != "charger"


@pytest.mark.parametrize(
    ("item", "cart", "options", "why"),
    [
        ("mount", ("phone-64",), {}, "not_active"),
        ("case-pro", ("phone-64",), {}, "incompatible"),
        ("glass-1", ("phone-64", "glass-1"), {}, "in_cart"),
        ("glass-1", ("phone-64",), {"excluded_item_ids": ["glass-1"]}, "excluded_by_caller"),
        ("glass-1", ("phone-64",), {"declined_item_ids": ["glass-1"]}, "already_declined"),
    ],
)
def test_a_pin_overrides_none_of_what_binds(
    item: str, cart: tuple[str, ...], options: dict[str, Any], why: str
) -> None:
    model = shop(pins=[{"item": item}])
    assert item not in offered(model, *cart, **options)
    assert reason(model, item, *cart, **options) == why


def test_a_pin_overrides_what_was_learnt_and_the_caps() -> None:
    # A substitute, and earbuds that the phone keeps away.
    model = shop(pins=[{"item": "phone-128"}, {"item": "buds"}], max_price_to_cart_ratio=0.05)
    assert offered(model, "phone-64") == ["phone-128", "buds", "case-1"]


def test_a_pin_is_not_offered_twice_in_one_answer() -> None:
    model = shop(pins=[{"item": "phone-256"}], combining_families=["phone"])
    assert upsold(model, "phone-64", upsell=1) == ["phone-256"]
    assert "phone-256" not in offered(model, "phone-64", upsell=1)
    assert offered(model, "phone-64", upsell=0)[0] == "phone-256"


def test_a_pinned_category_brings_its_best_that_fits() -> None:
    model = shop(pins=[{"category": "Accessories"}], rules=())
    # Nothing of the category is a candidate of the Pro: the most often added that fits it.
    assert offered(model, "phone-pro")[0] == "charger"
    model = shop(pins=[{"category": "Sound"}])
    assert offered(model, "phone-256")[0] == "buds"
    # Beside the small phone earbuds are kept away, and the shop named no item.
    assert "buds" not in offered(model, "phone-64")
    model = shop(pins=[{"category": "Accessories", "position": 2}])
    assert offered(model, "phone-64") == ["glass-1", "case-1", "charger"] or offered(
        model, "phone-64"
    ) == ["case-1", "glass-1", "charger"]


# Blocks


def test_a_blocked_item_is_offered_in_neither_way() -> None:
    model = shop(blocks=[{"item": "case-1"}, {"item": "phone-256"}])
    assert "case-1" not in offered(model, "phone-64")
    assert upsold(model, "phone-64") == ["phone-pro", "phone-128"]
    assert reason(model, "case-1", "phone-64") == "blocked_item"
    assert reason(model, "phone-256", "phone-64", kind="upsell", upsell=3) == "blocked_item"


def test_a_blocked_category_takes_all_below_it() -> None:
    items = [
        TinyItem("milk", "Milk", "20.00", "Dairy > Milk", n_orders=500),
        TinyItem("cheese", "Cheese", "80.00", "Dairy > Cheese", n_orders=400),
        TinyItem("soap", "Soap", "30.00", "Dairyfree soap", n_orders=300),
        TinyItem("odd", "Odd", "5.00", "", n_orders=200),
    ]
    empty: dict[str, Any] = {"items": items, "rules": (), "repelled": {}}
    assert offered(shop(**empty)) == ["milk", "cheese", "soap"]
    assert offered(shop(blocks=[{"category": "Dairy"}], **empty)) == ["soap", "odd"]
    below = shop(blocks=[{"category": ["Dairy", "Cheese"]}], **empty)
    assert offered(below) == ["milk", "soap", "odd"]
    assert offered(shop(blocks=[{"category": "Dairy>Milk"}], **empty))[0] == "cheese"


def test_a_blocked_rule_holds_only_beside_its_antecedent() -> None:
    rule = {"antecedent": ["phone-64"], "consequent": "case-1"}
    model = shop(blocks=[rule])
    assert offered(model, "phone-64")[0] == "glass-1"
    assert offered(model, "phone-256")[0] == "case-1"
    assert "case-1" not in offered(model, "phone-64", "phone-256")
    assert reason(model, "case-1", "phone-64") == "blocked_rule"
    both = shop(blocks=[{"antecedent": ["phone-64", "charger"], "consequent": "case-1"}])
    assert offered(both, "phone-64")[0] == "case-1"
    assert "case-1" not in offered(both, "phone-64", "charger")


def test_a_block_for_some_carts() -> None:
    model = shop(blocks=[{"category": "Accessories", "when_cart_has": ["phone-64"]}])
    assert offered(model, "phone-64") == []
    assert reason(model, "glass-1", "phone-64") == "blocked_category"
    assert "case-1" in offered(model, "phone-256")


def test_a_block_is_stronger_than_a_pin() -> None:
    model = shop(pins=[{"item": "charger"}], blocks=[{"item": "charger"}])
    assert "charger" not in offered(model, "phone-64")


# Dates


def test_rules_begin_and_end_at_their_instant() -> None:
    model = shop(
        pins=[{"item": "charger", "from": "2026-11-01", "until": "2026-12-01"}],
        blocks=[{"item": "case-1", "from": "2026-12-01"}],
    )
    recommenders = Recommenders.prepare(model)

    def first(moment: str) -> str:
        slate = build_slate(
            recommenders,
            [CartLine("phone-64", 1)],
            cross_sell=3,
            upsell=0,
            at=parse_instant(moment),
        )
        return model.catalogue.items[slate.cross_sell[0].item]

    # The shop lies in Oslo: its November begins an hour before that of Greenwich.
    seen = {
        "2026-10-31T22:59:59.999999+00:00": "case-1",
        "2026-10-31T23:00:00+00:00": "charger",
        "2026-11-30T22:59:59.999999+00:00": "charger",
        "2026-11-30T23:00:00+00:00": "glass-1",
        "2030-01-01T00:00:00+00:00": "glass-1",
        "1999-01-01T00:00:00+00:00": "case-1",
    }
    for _ in range(2):  # back and forth, as explanations of the past go
        assert {moment: first(moment) for moment in seen} == seen


def test_many_periods_are_each_their_own() -> None:
    days = [f"2026-03-{day:02d}" for day in range(1, 21)]
    blocks = [
        {"item": "case-1" if place % 2 else "glass-1", "from": start, "until": end}
        for place, (start, end) in enumerate(pairwise(days))
    ]
    recommenders = Recommenders.prepare(model := shop(blocks=blocks))
    for place, day in enumerate(days[:-1]):
        slate = build_slate(
            recommenders,
            [CartLine("phone-64", 1)],
            cross_sell=1,
            upsell=0,
            at=parse_instant(f"{day}T12:00:00+01:00"),
        )
        expected = "glass-1" if place % 2 else "case-1"
        assert model.catalogue.items[slate.cross_sell[0].item] == expected


# Names


def test_names_nobody_knows_are_named() -> None:
    model = shop(
        pins=[
            {"item": "case-11"},
            {"item": "charger", "when_cart_has": ["fone-64"]},
            {"category": "Gone > Away"},
        ],
        blocks=[{"antecedent": ["phone-64"], "consequent": "zzz"}, {"category": "Sound"}],
    )
    assert unknown_names(model.catalogue, model.settings.offers) == [
        "offers.pins.0: no item 'case-11' in the catalogue; is 'case-1' meant?",
        "offers.pins.1: no item 'fone-64' in the catalogue; is 'phone-64' meant?",
        "offers.pins.2: no item of category 'Gone > Away' in the catalogue",
        "offers.blocks.0: no item 'zzz' in the catalogue",
    ]
    # And they change nothing.
    assert offered(model, "phone-64") == offered(shop(), "phone-64")


def test_paths_are_compared_part_by_part() -> None:
    assert category_path("Dairy > Milk") == category_path("Dairy>Milk") == ("Dairy", "Milk")
    assert category_path(("Dairy", "Milk > Whole")) == ("Dairy", "Milk", "Whole")


def test_codes_are_stable() -> None:
    assert [each.code for each in REJECTIONS] == [
        *("in_cart", "in_bundle", "excluded_by_caller", "already_declined"),
        *("not_active", "out_of_stock"),
        *("blocked_item", "blocked_category", "blocked_rule", "incompatible", "already_offered"),
        *("below_margin", "too_dear", "sensitive", "substitute", "kept_apart", "family_offered"),
        *("category_cap", "lower_score"),
    ]
    assert all(each.meaning for each in REJECTIONS)
    assert LAST_BINDING is Reason.ALREADY_OFFERED


def test_what_the_buyer_or_the_call_refused_is_reported_where_it_mattered() -> None:
    slate = asked(
        shop(),
        "phone-64",
        excluded_item_ids=["case-1", "nobody-knows", "case-pro"],
        declined_item_ids=["charger", "sim-pin"],
    )
    ids = shop().catalogue.items
    assert [ids[item] for item in slate.excluded] == ["case-1", "case-pro"]
    assert [ids[item] for item in slate.declined] == ["charger"]
    assert asked(shop(), "phone-64").excluded == ()


def test_rules_without_a_cart() -> None:
    model = shop(pins=[{"item": "charger"}], rules=[TinyRule(("phone-64",), "case-1", 412, 1310)])
    assert offered(model)[0] == "charger"
