from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.config import OffersSection
from mersalg.engine.facts import CartLine
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.model import Model
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.slate import Recommenders, Slate, build_slate
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, TinyRule, tiny_model
from tests.support.random_models import carts, models


def _slate(model: Model, *item_ids: str, **options: object) -> Slate:
    limits: dict[str, object] = {"cross_sell": 3, "upsell": 1}
    return build_slate(
        Recommenders.prepare(model),
        [CartLine(item_id, 1) for item_id in item_ids],
        **{**limits, **options},  # type: ignore[arg-type]
    )


def _cross_sold(model: Model, slate: Slate) -> list[str]:
    return [model.catalogue.items[chosen.item] for chosen in slate.cross_sell]


def _upsold(model: Model, slate: Slate) -> list[str]:
    return [model.catalogue.items[chosen.item] for chosen in slate.upsell]


def test_a_phone_gets_its_case_its_glass_and_what_is_popular() -> None:
    model = tiny_model()
    slate = _slate(model, "phone-64")
    # The mount is out of stock, the Pro's case fits another phone, earbuds keep away.
    assert _cross_sold(model, slate) == ["case-1", "glass-1", "charger"]
    assert _upsold(model, slate) == ["phone-256"]
    case, _, charger = slate.cross_sell
    assert (case.counts.antecedent, case.counts.n_joint, case.counts.n_antecedent) == (
        (0,),
        412,
        1310,
    )
    assert (charger.counts.antecedent, charger.counts.n_joint, charger.counts.n_antecedent) == (
        (),
        900,
        10_000,
    )
    assert charger.counts.lift == charger.counts.lift_lower == 1
    assert charger.score == 0.07


def test_the_pro_gets_only_what_fits_it() -> None:
    model = tiny_model()
    slate = _slate(model, "phone-pro", cross_sell=4, upsell=3)
    assert _cross_sold(model, slate) == ["case-pro", "glass-pro", "charger", "buds"]
    assert slate.upsell == ()


def test_rejected_candidates_say_why() -> None:
    model = tiny_model()
    slate = _slate(
        model, "phone-64", "case-1", explain=True, excluded_item_ids=["glass-1", "never-heard-of"]
    )
    reasons = {
        model.catalogue.items[each.item]: each.reason
        for each in slate.rejected
        if each.kind == "cross_sell"
    }
    assert reasons == {
        "case-1": Reason.IN_CART,
        "glass-1": Reason.EXCLUDED_BY_CALLER,
        "mount": Reason.NOT_ACTIVE,
        "case-pro": Reason.INCOMPATIBLE,
        "buds": Reason.KEPT_APART,
        # A place was left, so popular items were looked at too.
        "phone-64": Reason.IN_CART,
        "phone-256": Reason.ALREADY_OFFERED,
        "phone-pro": Reason.INCOMPATIBLE,
    }
    assert _slate(model, "phone-64").rejected == ()


def test_substitutes_are_not_sold_beside_each_other() -> None:
    rules = [TinyRule(("phone-64",), "phone-128", 60, 1310)]
    model = tiny_model(rules=rules)
    slate = _slate(model, "phone-64", cross_sell=5, upsell=0, explain=True)
    assert not {"phone-128", "phone-256", "phone-pro"} & set(_cross_sold(model, slate))
    phone = model.catalogue.items.index_of("phone-128")
    assert Reason.SUBSTITUTE in [each.reason for each in slate.rejected if each.item == phone]
    together = tiny_model(rules=rules, combining_families=["phone"])
    assert "phone-128" in _cross_sold(
        together, _slate(together, "phone-64", cross_sell=5, upsell=0)
    )


def test_an_upsold_item_is_not_cross_sold_too() -> None:
    model = tiny_model(
        rules=[TinyRule(("phone-64",), "phone-256", 300, 1310)], combining_families=["phone"]
    )
    slate = _slate(model, "phone-64")
    assert _upsold(model, slate) == ["phone-256"]
    assert "phone-256" not in _cross_sold(model, slate)
    slate = _slate(model, "phone-64", upsell=0)
    assert _cross_sold(model, slate)[0] == "phone-256"


def test_what_the_buyer_has_is_nothing_to_discover() -> None:
    model = tiny_model()
    before = _cross_sold(model, _slate(model, "phone-64", cross_sell=20))
    has = [model.catalogue.items.index_of(item) for item in (before[0], before[-1])]
    past = Past.of_orders([(3.0, np.array(sorted(filter(None, has)), dtype=np.int32))])
    found = _cross_sold(model, _slate(model, "phone-64", cross_sell=20, past=past))
    assert set(before) - set(found) == {before[0], before[-1]}
    again = _slate(model, "phone-64", cross_sell=20, past=past, mode="complete")
    assert _cross_sold(model, again) == before


def test_unknown_and_empty_carts_get_popular_complements() -> None:
    model = tiny_model()
    empty, unknown = _slate(model), _slate(model, "nobody-knows")
    assert empty == unknown
    assert _cross_sold(model, empty) == ["charger", "phone-64", "buds"]
    assert empty.upsell == ()


def test_fillers_go_deep_into_the_list_of_popular_items() -> None:
    blocked = [
        TinyItem(f"case-{number}", "Case", "9.00", compatible_with=("phone",), n_added=500)
        for number in range(600)
    ]
    items = [
        TinyItem("phone", "Phone", "100.00", n_orders=100),
        *blocked,
        TinyItem("pin", "Pin", "1.00", n_orders=150, n_added=100),
    ]
    model = tiny_model(items=items, rules=(), repelled={})
    assert _cross_sold(model, _slate(model, cross_sell=3)) == ["pin", "phone"]


def test_an_accessory_alone_does_not_bring_another_model() -> None:
    model = tiny_model(rules=(), offers=OffersSection(max_price_to_cart_ratio=None))
    pro = model.catalogue.items.index_of("phone-pro")
    slate = _slate(model, "case-1", cross_sell=20, explain=True)
    assert "phone-64" in _cross_sold(model, slate)
    assert "phone-pro" not in _cross_sold(model, slate)
    assert {each.reason for each in slate.rejected if each.item == pro} == {Reason.INCOMPATIBLE}
    # Beside something else it could be offered, were it not for another phone.
    slate = _slate(model, "buds", cross_sell=20, explain=True)
    assert {each.reason for each in slate.rejected if each.item == pro} == {Reason.FAMILY_OFFERED}


def test_a_foreign_currency_gets_no_upsell() -> None:
    model = tiny_model()
    slate = _slate(model, "phone-64", foreign_currency=True)
    assert slate.upsell == ()
    assert _cross_sold(model, slate) == ["case-1", "glass-1", "charger"]


def test_lines_of_one_item_are_one_base() -> None:
    model = tiny_model()
    lines = [
        CartLine("phone-64", 1, 550_000),
        CartLine("phone-64", Decimal("1.5"), 599_000),
        CartLine("phone-64", Decimal("0.5")),
    ]
    upgrade = build_slate(Recommenders.prepare(model), lines, cross_sell=0, upsell=1).upsell[0]
    assert upgrade.base.quantity == 3
    assert isinstance(upgrade.base.quantity, int)
    # (550 000 + 2 x 599 000) / 3 = 582 666.67 paid for one, on average over the lines.
    assert upgrade.base.unit_price_minor == 582_667
    assert upgrade.price_difference_minor == 699_000 - 582_667
    assert upgrade.total_difference_minor == 3 * 699_000 - 1_748_000


def test_items_without_price_are_cross_sold_but_never_upsold() -> None:
    model = tiny_model(
        items=[
            *PHONE_SHOP_ITEMS,
            TinyItem("gift", "Gift", None, "Phones", "phone", n_orders=900, n_added=900),
        ]
    )
    slate = _slate(model, "charger", cross_sell=20, upsell=20)
    assert "gift" in _cross_sold(model, slate)
    assert "gift" not in _upsold(model, _slate(model, "phone-64", upsell=20))


@given(st.data())
def test_invariants(data: st.DataObject) -> None:
    model = data.draw(models())
    ids = data.draw(carts(model))
    excluded = data.draw(carts(model))
    lines = [
        CartLine(item_id, data.draw(st.integers(1, 3)), data.draw(st.none() | st.integers(0, 3000)))
        for item_id in ids
    ]
    limits = {
        "cross_sell": data.draw(st.integers(0, 5)),
        "upsell": data.draw(st.integers(0, 5)),
    }
    recommenders = Recommenders.prepare(model)
    slate = build_slate(recommenders, lines, excluded_item_ids=excluded, **limits)
    assert slate == build_slate(recommenders, lines, excluded_item_ids=excluded, **limits)
    assert len(slate.cross_sell) <= limits["cross_sell"]
    assert len(slate.upsell) <= limits["upsell"]

    catalogue = model.catalogue
    cart = {item for item_id in ids if (item := catalogue.items.index_of(item_id)) is not None}
    offered = [chosen.item for chosen in (*slate.cross_sell, *slate.upsell)]
    assert len(set(offered)) == len(offered)
    for item in offered:
        assert item not in cart
        assert catalogue.offerable[item]
        assert catalogue.items[item] not in excluded
        needed = set(catalogue.compatible[item].tolist())
        assert not needed or needed & cart
    for chosen in slate.cross_sell:
        assert 0 <= chosen.score <= 1
        assert set(chosen.counts.antecedent) <= cart
        family = int(model.ladders.family[chosen.item])
        if family >= 0 and model.affinity.family_excludes[family]:
            assert family not in {int(model.ladders.family[item]) for item in cart}
        if chosen.counts.antecedent:
            assert chosen.counts.lift_lower > 1
        else:
            repelled = {int(other) for item in cart for other in model.affinity.repelled[item]}
            assert chosen.item not in repelled
    ruled = [bool(chosen.counts.antecedent) for chosen in slate.cross_sell]
    assert ruled == sorted(ruled, reverse=True)
    for upgrade in slate.upsell:
        assert upgrade.base.item in cart
        assert catalogue.price_minor[upgrade.item] > (upgrade.base.unit_price_minor or 0)
