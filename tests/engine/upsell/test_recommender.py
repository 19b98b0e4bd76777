from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.config import OffersSection
from mersalg.engine.eligibility import Eligibility
from mersalg.engine.model import Model
from mersalg.engine.native.kernels import NativeUpgrades
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell
from tests.support.models import TinyItem, tiny_model
from tests.support.random_models import models


def _best(
    model: Model, *bases: BaseItem, limit: int = 5, excluded: tuple[int, ...] = ()
) -> list[Upgrade]:
    ordered = sorted(bases, key=lambda base: base.item)
    cart = np.array([base.item for base in ordered], dtype=np.int32)
    eligibility = Eligibility.prepare(model).beside(cart, excluded)
    return Upsell.prepare(model).best(ordered, eligibility, limit)


def _ids(model: Model, upgrades: list[Upgrade]) -> list[str]:
    return [model.catalogue.items[upgrade.item] for upgrade in upgrades]


def test_scores_and_order_worked_out_by_hand() -> None:
    model = tiny_model()
    upgrades = _best(model, BaseItem(0, 1, 599_000))
    assert _ids(model, upgrades) == ["phone-256", "phone-pro", "phone-128"]
    # Share of both's buyers (1 of 10 imagined), price step, 0.6 for each tier after the next.
    by_id = dict(zip(_ids(model, upgrades), upgrades, strict=True))
    assert by_id["phone-128"].score == pytest.approx(101 / 1420 * (5990 / 6490))
    assert by_id["phone-256"].score == pytest.approx(601 / 1920 * (5990 / 6990) * 0.6)
    assert by_id["phone-pro"].score == pytest.approx(201 / 1520 * (5990 / 11_990) * 0.6**2)
    assert [upgrade.price_difference_minor for upgrade in upgrades] == [100_000, 600_000, 50_000]
    assert upgrades[0].expected_minor == pytest.approx(upgrades[0].score * 100_000)


def test_the_price_paid_decides_what_is_dearer() -> None:
    model = tiny_model()
    assert _ids(model, _best(model, BaseItem(0, 1, 660_000))) == ["phone-pro", "phone-256"]
    assert _best(model, BaseItem(0, 1, 660_000))[1].price_difference_minor == 39_000
    assert _ids(model, _best(model, BaseItem(0, 1, 680_000))) == ["phone-pro"]
    # 4,796 kr is exactly 2.5 times less than the dearest phone, one øre less is beyond it.
    assert "phone-pro" in _ids(model, _best(model, BaseItem(0, 1, 479_600)))
    assert "phone-pro" not in _ids(model, _best(model, BaseItem(0, 1, 479_599)))
    for unknown in (None, 0):
        assert _best(model, BaseItem(0, 1, unknown)) == []


def test_bounds_of_the_price_ratio_are_the_shops() -> None:
    model = tiny_model(offers=OffersSection(min_price_ratio=1.2, max_price_ratio=1.8))
    assert _best(model, BaseItem(0, 1, 599_000)) == []
    model = tiny_model(offers=OffersSection(min_price_ratio=1.01, max_price_ratio=1.1))
    assert _ids(model, _best(model, BaseItem(0, 1, 599_000))) == ["phone-128"]


def test_what_is_expected_to_bring_too_little_is_not_offered() -> None:
    everything = _best(tiny_model(), BaseItem(0, 1, 599_000))
    gains = [upgrade.expected_minor for upgrade in everything]
    floor = Decimal(round(gains[1] - 1)) / 100
    model = tiny_model(offers=OffersSection(min_upsell_gain=floor))
    assert _ids(model, _best(model, BaseItem(0, 1, 599_000))) == _ids(model, everything[:2])
    # Ten of them bring ten times as much.
    assert len(_best(model, BaseItem(0, 10, 599_000))) == 3
    model = tiny_model(offers=OffersSection(min_upsell_gain=Decimal(round(gains[0] + 100))))
    assert _best(model, BaseItem(0, 1, 599_000)) == []


def test_the_top_of_a_ladder_and_items_on_none_have_no_upgrade() -> None:
    model = tiny_model()
    assert _best(model, BaseItem(3, 1, 1_199_000)) == []
    assert _best(model, BaseItem(8, 1, 59_900)) == []


def test_excluded_items_and_those_of_the_cart_are_no_upgrades() -> None:
    model = tiny_model()
    bases = (BaseItem(0, 1, 599_000), BaseItem(2, 1, 699_000))
    assert _ids(model, _best(model, *bases, excluded=(3,))) == ["phone-128"]


@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 6))
def test_numbers_compared_ahead_change_no_answer(seed: int, limit: int) -> None:
    draw = np.random.default_rng(seed)
    names = ("storage_gb", "weight_g", "seats")
    items = [
        TinyItem(
            f"i{number}",
            "Thing",
            f"{draw.integers(100, 240)}.00",
            family="f",
            attributes={name: draw.choice(["1", "2", "30", "30 g", ""]) for name in names},
            n_orders=int(draw.integers(0, 100)),
        )
        for number in range(int(draw.integers(2, 200)))
    ]
    attributes = AttributesSection(lower_is_better=("weight_g",))
    model = tiny_model(items=items, rules=(), repelled={}, attributes=attributes)
    upsell = Upsell.prepare(model)
    native = NativeUpgrades(
        *(upsell.ladders, upsell.catalogue, upsell.n_orders_of_item, upsell.given, upsell.ratios)
    )
    cart = np.unique(draw.integers(0, len(items), 3)).astype(np.int32)
    bases = [BaseItem(item, 1, model.catalogue.price_minor.item(item)) for item in cart.tolist()]
    eligibility = Eligibility.prepare(model).beside(cart, ())
    found = upsell.best(bases, eligibility, limit)
    assert found == replace(upsell, native=native).best(bases, eligibility, limit)


def test_each_better_item_once_for_the_base_that_gains_most() -> None:
    model = tiny_model()
    upgrades = _best(model, BaseItem(0, 1, 599_000), BaseItem(1, 1, 649_000))
    assert sorted(_ids(model, upgrades)) == ["phone-256", "phone-pro"]
    assert len({upgrade.item for upgrade in upgrades}) == len(upgrades)


def test_quantity_counts_across_the_cart() -> None:
    items = [
        TinyItem("a1", "A1", "100.00", family="a", n_orders=100),
        TinyItem("a2", "A2", "150.00", family="a", n_orders=100),
        TinyItem("b1", "B1", "100.00", family="b", n_orders=100),
        TinyItem("b2", "B2", "160.00", family="b", n_orders=100),
    ]
    model = tiny_model(items=items, rules=(), repelled={})
    one = _best(model, BaseItem(0, 1, 10_000), BaseItem(2, 1, 10_000))
    assert _ids(model, one) == ["b2", "a2"]
    many = _best(model, BaseItem(0, Decimal("2.5"), 10_000), BaseItem(2, 1, 10_000))
    assert _ids(model, many) == ["a2", "b2"]


def test_what_is_gained_and_lost_moves_and_removes_upgrades() -> None:
    def item(item_id: str, price: str, features: str, storage: str) -> TinyItem:
        return TinyItem(
            item_id,
            item_id,
            price,
            family="plan",
            attributes={"features": features, "storage_gb": storage},
            n_orders=100,
        )

    model = tiny_model(
        items=[
            item("basic", "100.00", "boards; files", "5"),
            item("traded", "120.00", "boards; sso", "5"),
            item("worse", "130.00", "boards", "5"),
            item("unknown", "140.00", "", ""),
            item("better", "150.00", "boards; files; sso", "10"),
        ],
        rules=(),
        repelled={},
    )
    found = {
        model.catalogue.items[upgrade.item]: upgrade
        for upgrade in _best(model, BaseItem(0, 1, 10_000))
    }
    assert found.keys() == {"traded", "unknown", "better"}
    share = 101 / 210
    assert found["traded"].score == pytest.approx(share / 1.2 * 0.8)
    assert found["unknown"].score == pytest.approx(share / 1.4 * 0.6**2 * 0.5)
    assert found["better"].score == pytest.approx(share / 1.5 * 0.6**3)


def test_an_upgrade_never_strands_an_accessory_of_the_cart() -> None:
    model = tiny_model()
    # The case in the cart fits phone-64, -128 and -256, not the Pro.
    upgrades = _best(model, BaseItem(0, 1, 599_000), BaseItem(4, 1, 19_900))
    assert _ids(model, upgrades) == ["phone-256", "phone-128"]
    # With another phone left that the case fits, the Pro strands nothing.
    bases = (BaseItem(0, 1, 599_000), BaseItem(1, 1, 649_000), BaseItem(4, 1, 19_900))
    assert "phone-pro" in _ids(model, _best(model, *bases))


def test_a_category_alone_makes_no_versions() -> None:
    items = [
        TinyItem("breakfast", "Breakfast", "195.00", "Extras", n_orders=300),
        TinyItem("parking", "Parking", "250.00", "Extras", n_orders=200),
        TinyItem("buffet", "Breakfast buffet", "290.00", "Extras", n_orders=100),
        TinyItem("suite", "Suite", "400.00", "Extras", attributes={"size_m2": "42"}, n_orders=9),
        TinyItem("room", "Room", "320.00", "Extras", attributes={"size_m2": "18"}, n_orders=9),
    ]
    apart = tiny_model(items=items, rules=(), repelled={})
    # Called alike, or known to gain; parking is no better breakfast.
    assert _ids(apart, _best(apart, BaseItem(0, 1, 19_500))) == ["buffet"]
    assert _ids(apart, _best(apart, BaseItem(4, 1, 32_000))) == ["suite"]
    together = tiny_model(items=items, rules=(), repelled={}, combining_families=["Extras"])
    assert _best(together, BaseItem(0, 1, 19_500)) == []
    # A family is the shop's own word for it.
    family = [replace(item, family="extras") for item in items]
    declared = tiny_model(items=family, rules=(), repelled={}, combining_families=["extras"])
    assert "parking" in _ids(declared, _best(declared, BaseItem(0, 1, 19_500)))


@given(st.data())
def test_a_short_list_is_the_head_of_the_long_one(data: st.DataObject) -> None:
    model = data.draw(models())
    n_items = len(model.catalogue)
    chosen = data.draw(st.sets(st.integers(0, n_items - 1), min_size=1, max_size=4))
    bases = [
        BaseItem(item, data.draw(st.integers(1, 5)), data.draw(st.none() | st.integers(0, 300_000)))
        for item in sorted(chosen)
    ]
    every = _best(model, *bases, limit=100)
    limit = data.draw(st.integers(0, 5))
    assert _best(model, *bases, limit=limit) == every[:limit]
    settings = model.settings.offers
    for upgrade in every:
        paid = upgrade.base.unit_price_minor
        assert paid is not None
        price = int(model.catalogue.price_minor[upgrade.item])
        assert upgrade.price_difference_minor == price - paid > 0
        ratio = price / paid
        assert settings.min_price_ratio - 1e-6 <= ratio <= settings.max_price_ratio + 1e-6
        assert 0 <= upgrade.score <= 1
        assert model.ladders.family[upgrade.item] == model.ladders.family[upgrade.base.item]
        assert model.ladders.tier[upgrade.item] > model.ladders.tier[upgrade.base.item]
        assert model.catalogue.offerable[upgrade.item]
        assert len(upgrade.comparison.losses) <= len(upgrade.comparison.gains)
