"""An explained call gives the slate of a plain one: the best candidates that find room."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from mersalg.engine.cross_sell.recommender import Candidates
from mersalg.engine.facts import CartLine
from mersalg.engine.merchandising.sections import OffersSection
from mersalg.engine.model import Model
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import MODES, Mode
from mersalg.engine.slate import Recommenders, build_slate
from tests.engine.test_slate_properties import MOMENTS, random_cart, random_shop
from tests.support.models import TinyItem, TinyRule, tiny_model
from tests.support.random_ranking import random_past, random_ranking
from tests.support.repetitions import repetitions

_N_ITEMS, _N_GROUPS = 400, 12


def with_ranking(model: Model, draw: np.random.Generator, n_groups: int) -> Model:
    return replace(model, ranking=random_ranking(draw, len(model.catalogue), n_groups))


@settings(max_examples=repetitions(200))
@given(seed=st.integers(0, 2**32), ranked=st.booleans(), limit=st.integers(1, 6))
def test_an_explained_call_gives_the_slate_of_a_plain_one(
    seed: int, ranked: bool, limit: int
) -> None:
    lot, draw = Random(seed), np.random.default_rng(seed)
    model = random_shop(lot)
    if ranked:
        model = with_ranking(model, draw, 3)
    recommenders, lines = (
        Recommenders.prepare(model),
        [CartLine(item_id, 1) for item_id in random_cart(lot, model)],
    )
    plain, explained = (
        build_slate(
            recommenders,
            lines,
            cross_sell=limit,
            upsell=1,
            at=moment,
            excluded_item_ids=excluded,
            past=past,
            mode=mode,
            explain=explain,
        )
        for past in [random_past(draw, len(model.catalogue), 6)]
        for mode, moment in [(lot.choice(MODES), lot.choice(MOMENTS))]
        for excluded in [random_cart(lot, model)[:1]]
        for explain in (False, True)
    )
    assert structs.replace(explained, rejected=()) == plain
    offered = {each.item for each in plain.cross_sell}
    judged = [each.item for each in explained.rejected if each.kind == "cross_sell"]
    assert len(set(judged)) == len(judged)
    assert offered.isdisjoint(judged)


@pytest.fixture(scope="module")
def large_shop() -> Model:
    """Hundreds of items of few categories, a third of them in families that exclude each other."""
    lot = Random(7)
    ids = [f"i{number}" for number in range(_N_ITEMS)]
    items = [
        TinyItem(
            item_id,
            "Name",
            f"{lot.randint(1, 300)}.00",
            lot.choice(["a", "a", "b", "c", ""]),
            lot.choice(["", "", "f0", "f1"]),
            {},
            (),
            lot.random() < 0.8,
            n_orders := lot.randint(100, 400),
            lot.randint(0, n_orders),
            None,
        )
        for item_id in ids
    ]
    rules = {
        (tuple(sorted(antecedent)), consequent): lot.randint(1, 100)
        for _ in range(6_000)
        for antecedent in [lot.sample(ids, lot.choice([1, 1, 1, 2]))]
        for consequent in [lot.choice(ids)]
        if consequent not in antecedent
    }
    return tiny_model(
        items=items,
        # As sure as can be, many of them: their scores come to the same number.
        rules=[
            TinyRule(antecedent, consequent, n_joint, 100)
            for (antecedent, consequent), n_joint in rules.items()
        ],
        repelled={item_id: lot.sample(ids, 40) for item_id in lot.sample(ids, 200)},
        combining_families=["f0"],
        n_orders=2_000,
        offers=OffersSection(max_price_to_cart_ratio=None),
    )


def _greedy(
    recommenders: Recommenders, cart: np.ndarray, past: Past, mode: Mode, limit: int
) -> list[int]:
    """Choose one after the other, by plain loops; those without room come last."""
    catalogue, eligibility = recommenders.catalogue, recommenders.eligibility
    found = Candidates.of(recommenders.cross_sell, recommenders.native, cart, past, mode)
    taken_families = {int(eligibility.substitutes[item]) for item in cart} - {-1}
    chosen: list[int] = []
    crowded: list[int] = []
    for item in found.items[np.lexsort((found.items, -found.strengths))].tolist():
        if eligibility.alone[item] or item in cart:
            continue
        family = int(eligibility.substitutes[item])
        if family in taken_families or family in {
            int(eligibility.substitutes[other]) for other in chosen if family >= 0
        }:
            continue
        code = int(catalogue.category[item])
        held = sum(int(catalogue.category[other]) == code for other in chosen)
        (crowded if code >= 0 and held >= max(2, (limit + 1) // 2) else chosen).append(item)
        if len(chosen) == limit:
            return chosen
    items, scores = found.fillers()
    assert (np.diff(scores) <= 0).all()
    for item in [*crowded, *items.tolist()]:
        family = int(eligibility.substitutes[item])
        held = {int(eligibility.substitutes[other]) for other in chosen} | taken_families
        if eligibility.alone[item] or item in cart or family in held - {-1}:
            continue
        chosen.append(item)
    return chosen[:limit]


@pytest.mark.parametrize("ranked", [False, True])
def test_the_best_that_find_room_are_chosen(large_shop: Model, *, ranked: bool) -> None:
    draw = np.random.default_rng(3)
    model = with_ranking(large_shop, draw, _N_GROUPS) if ranked else large_shop
    recommenders = Recommenders.prepare(model)
    ids = list(model.catalogue.items.ids)
    for _ in range(150):
        chosen = draw.choice(_N_ITEMS, draw.choice([1, 3, 12, 150]), replace=False)
        cart, past = np.sort(chosen).astype(np.int32), random_past(draw, _N_ITEMS, 30)
        limit, mode = int(draw.choice([1, 3, 10, 40])), MODES[int(draw.integers(len(MODES)))]
        lines = [CartLine(ids[item], 1) for item in cart.tolist()]
        slate = build_slate(
            recommenders, lines, cross_sell=limit, upsell=0, at=MOMENTS[0], past=past, mode=mode
        )
        expected = _greedy(recommenders, cart, past, mode, limit)
        assert [each.item for each in slate.cross_sell] == expected
