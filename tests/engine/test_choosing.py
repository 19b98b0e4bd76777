"""Complements that are chosen in one go are those that are placed step by step."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.facts import CartLine
from engine.model import Model
from engine.ranking.purchases import Past
from engine.ranking.ranking import MODES, Mode
from engine.slate import Recommenders, Slate, build_slate
from tests.engine.test_slate_properties import MOMENTS, random_cart, random_shop
from tests.support.models import TinyItem, TinyRule, tiny_model
from tests.support.random_ranking import random_past, random_ranking
from tests.support.repetitions import repetitions

_N_ITEMS, _N_GROUPS = 400, 12


def both_ways(
    recommenders: Recommenders, cart: list[str], limit: int, past: Past, mode: Mode, at: int
) -> tuple[Slate, Slate, bool]:
    """Of one cart: in one go, step by step, and whether the one go found all of it."""
    lines = [CartLine(item_id, 1) for item_id in cart]
    # What is explained is placed step by step.
    quick, steps = (
        replace(
            build_slate(
                recommenders,
                lines,
                cross_sell=limit,
                upsell=1,
                at=at,
                past=past,
                mode=mode,
                explain=explain,
            ),
            rejected=(),
        )
        for explain in (False, True)
    )
    indices = recommenders.catalogue.items.indices_of(cart)
    held = np.array(sorted({item for item in indices if item >= 0}), dtype=np.int32)
    eligibility = recommenders.policy.at(at).eligibility.beside(held, ())
    found = recommenders.choosing.complements(held, past, mode, eligibility, limit)
    return quick, steps, found is not None


def with_ranking(model: Model, draw: np.random.Generator, n_groups: int) -> Model:
    return replace(model, ranking=random_ranking(draw, len(model.catalogue), n_groups))


@settings(max_examples=repetitions(200))
@given(seed=st.integers(0, 2**32), ranked=st.booleans(), limit=st.integers(1, 6))
def test_small_shops_with_rules_of_their_own(seed: int, ranked: bool, limit: int) -> None:
    lot, draw = Random(seed), np.random.default_rng(seed)
    model = random_shop(lot)
    if ranked:
        model = with_ranking(model, draw, 3)
    quick, steps, _ = both_ways(
        Recommenders.prepare(model),
        random_cart(lot, model),
        limit,
        random_past(draw, len(model.catalogue), 6),
        lot.choice(MODES),
        lot.choice(MOMENTS),
    )
    assert quick == steps


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
    )


@pytest.mark.parametrize("ranked", [False, True])
def test_large_shops(large_shop: Model, *, ranked: bool) -> None:
    draw = np.random.default_rng(3)
    model = with_ranking(large_shop, draw, _N_GROUPS) if ranked else large_shop
    recommenders = Recommenders.prepare(model)
    ids = list(model.catalogue.items.ids)
    in_one_go = 0
    for _ in range(150):
        cart = draw.choice(ids, draw.choice([1, 3, 12, 150]), replace=False).tolist()
        past = random_past(draw, _N_ITEMS, 30)
        limit, mode = int(draw.choice([1, 3, 10, 40])), MODES[int(draw.integers(len(MODES)))]
        quick, steps, whole = both_ways(recommenders, cart, limit, past, mode, MOMENTS[0])
        assert quick == steps
        in_one_go += whole
    assert in_one_go > 75
