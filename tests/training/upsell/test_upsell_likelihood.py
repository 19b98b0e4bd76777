"""Fitted upgrades on a planted shop: what is known of the truth is found again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged, arrays_of, read
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.upsell.likelihood import Likelihood
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable
from mersalg.training.ranking.signals import purchases_of
from mersalg.training.reading.dataset import Dataset
from mersalg.training.upsell.evaluation import calibration_error, evaluate_upsell
from mersalg.training.upsell.events import Purchased, questions_of, turns_of
from mersalg.training.upsell.memory import Memory, Timeline, facts_of
from mersalg.training.upsell.model_fit import Asker, fit_likelihood, shares
from tests.support.models import TinyItem, tiny_model
from tests.support.numpy_upsell import of_cart

_DAY = 86_400_000_000
_N_FAMILIES, _PER_FAMILY = 4, 5
_UP = (0.05, 0.4)
"""How often customers of either sort take something dearer after the cheapest."""


def _catalogue() -> Catalogue:
    items = [
        TinyItem(f"{family}-{place}", f"Thing {family} {place}", f"{price}.00", family=f"f{family}")
        for family in range(_N_FAMILIES)
        for place, price in enumerate((100, 130, 135, 180, 185))
    ]
    catalogue = tiny_model(items=items, rules=()).catalogue
    brands = ["", "red", "blue", "red", "blue"] * _N_FAMILIES
    return replace(catalogue, attributes={"brand": StringTable.from_texts(brands)})


@cache
def _shop() -> tuple[Dataset, Ladders]:
    """Customers of even number take red siblings, of odd number blue; half of them often."""
    rng = np.random.default_rng(5)
    catalogue = _catalogue()
    rows: list[tuple[int, int, int]] = []
    for customer in range(300):
        for turn in range(60):
            family = int(rng.integers(_N_FAMILIES))
            goes_up = rng.random() < _UP[customer // 2 % 2]
            place = 0
            if goes_up:
                place = int(rng.choice([1, 3])) + (customer % 2 if rng.random() < 0.9 else 0)
            at = int((turn * 5 + rng.random() * 4) * _DAY)
            rows.append((at, customer, family * _PER_FAMILY + place))
    rows.sort()
    at, customer, item = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    at += 1_600_000_000_000_000
    from mersalg.engine.orders import Baskets
    from mersalg.training.reading.validation import DataQuality

    order = np.arange(len(at))
    lines = pd.DataFrame(
        {
            "order": order,
            "item": item.astype(np.int32),
            "customer": customer,
            "ordered_at": at,
            "quantity": 1.0,
            "unit_price_minor": catalogue.price_minor[item],
            "discount_minor": 0,
            "store": np.full(len(at), -1, dtype=np.int32),
        }
    )
    dataset = Dataset(
        catalogue,
        lines,
        at,
        customer,
        StringTable.from_texts([str(each) for each in order]),
        StringTable.from_texts([f"{each:03}" for each in range(300)]),
        StringTable.from_texts([]),
        Baskets.from_pairs(order, item, len(at), len(catalogue)),
        DataQuality.__new__(DataQuality),
    )
    family = catalogue.family.astype(np.int32)
    tier = np.array([0, 1, 1, 2, 2] * _N_FAMILIES, dtype=np.int16)
    members = np.arange(len(family), dtype=np.int32)
    return dataset, Ladders(
        family, tier, Ragged.of_lengths(np.full(_N_FAMILIES, _PER_FAMILY), members)
    )


@cache
def fitted_shop() -> Likelihood:
    dataset, ladders = _shop()
    found = fit_likelihood(
        dataset, ladders, dataset.catalogue.price_minor.astype(np.float64), (1.05, 2.5)
    )
    assert found is not None
    return found


def _asked(sort: int, base: int = 0) -> tuple[float, np.ndarray]:
    """Mean (P(upgrade), share of each better item) over customers of one kind (modulo 4)."""
    dataset, ladders = _shop()
    likelihood, purchases = fitted_shop(), purchases_of(dataset)
    price = dataset.catalogue.price_minor.astype(np.float64)
    questions = questions_of(np.array([base], dtype=np.int32), ladders, price)
    now = np.array([int(dataset.ordered_at.max()) + _DAY])
    chances, which = [], []
    for customer in range(sort, 300, 4):
        past = Past.read(purchases, np.array([customer]), now, now)
        score = of_cart(likelihood, past, questions)
        chances.append(score.sum())
        which.append(score / score.sum())
    return float(np.mean(chances)), np.mean(which, axis=0)


def test_who_moves_up_often_is_found() -> None:
    for sort, truth in ((0, _UP[0]), (1, _UP[0]), (2, _UP[1]), (3, _UP[1])):
        assert _asked(sort)[0] == pytest.approx(truth, abs=0.06)


def test_the_brand_that_a_customer_prefers_is_found() -> None:
    red, blue = _asked(2)[1], _asked(3)[1]
    # Siblings of the cheapest: red, blue, red, blue.
    assert red[[0, 2]].sum() > 0.8
    assert blue[[1, 3]].sum() > 0.8


def test_nobody_known_is_answered_between_the_two() -> None:
    dataset, ladders = _shop()
    price = dataset.catalogue.price_minor.astype(np.float64)
    questions = questions_of(np.array([0, 5], dtype=np.int32), ladders, price)
    score = of_cart(fitted_shop(), Past.unknown(), questions)
    assert np.all((score > 0) & (score < 1))
    assert _UP[0] < score[:4].sum() < _UP[1]


def test_served_scores_are_those_of_training() -> None:
    dataset, ladders = _shop()
    likelihood = fitted_shop()
    price = dataset.catalogue.price_minor.astype(np.float64)
    memory = Memory.of(dataset, ladders, facts_of(dataset.catalogue, ladders, price))
    base = np.array([0, 5, 6, 10], dtype=np.int32)
    questions = questions_of(base, ladders, price)
    begin, end = int(dataset.ordered_at.min()), int(dataset.ordered_at.max())
    at = (end // 1_000_000 + 1) * 1_000_000
    seconds = np.full(len(base), at // 1_000_000 - begin // 1_000_000)
    served = replace(likelihood, standing=memory.standing(int(seconds[0])))
    purchases = purchases_of(dataset)
    for customer in (0, 7, 123):
        asked, rows = memory.signals(np.full(len(base), customer), questions, seconds)
        moments = purchases.ordered_at.values // 1_000_000 * 1_000_000
        whole_seconds = replace(purchases, ordered_at=Ragged(purchases.ordered_at.indptr, moments))
        now = np.array([at])
        past = Past.read(whole_seconds, np.array([customer]), now, now)
        expected = likelihood.whether.probability(asked)[questions.owner] * shares(
            likelihood.which.raw(rows), questions, likelihood.which.slope
        )
        assert of_cart(served, past, questions) == pytest.approx(expected, abs=1e-6)


def test_arrays_bring_back_the_same_scores() -> None:
    dataset, ladders = _shop()
    price = dataset.catalogue.price_minor.astype(np.float64)
    questions = questions_of(np.array([0], dtype=np.int32), ladders, price)
    again = read(Likelihood, arrays_of(fitted_shop()))
    before = of_cart(fitted_shop(), Past.unknown(), questions)
    assert np.array_equal(of_cart(again, Past.unknown(), questions), before)


def test_scores_are_calibrated_and_beat_the_yardsticks() -> None:
    from mersalg.engine.progress import SilentProgress

    found = evaluate_upsell(_shop()[0], SilentProgress())
    assert found is not None
    quality = found["whether"]["quality"]
    assert quality["mersalg"]["auc"] > quality["ladder_rate"]["auc"] + 0.1
    assert quality["mersalg"]["ece"] < 0.03


def test_too_few_upgrades_fit_nothing() -> None:
    dataset, ladders = _shop()
    price = dataset.catalogue.price_minor.astype(np.float64)
    few = dataset.select_orders(np.arange(900))
    assert fit_likelihood(few, ladders, price, (1.05, 2.5)) is None


def test_calibration_error_by_hand() -> None:
    score = np.repeat([0.1, 0.9], 50)
    observed = np.r_[np.zeros(50), np.ones(50)].astype(bool)
    assert calibration_error(score, observed) == pytest.approx(0.1)


_PURCHASES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(_PURCHASES)
def test_turns_are_those_of_a_slow_count(rows: list[tuple[int, int, int]]) -> None:
    """Each row: customer, day (one order a day), item; items 0-2 and 3-4 are ladders, 5 on none."""
    distinct = sorted(set(rows))
    family = np.array([0, 0, 0, 1, 1, -1], dtype=np.int32)
    ladders = Ladders(
        family,
        np.array([0, 1, 2, 0, 1, -1], dtype=np.int16),
        Ragged.of_rows([[0, 1, 2], [3, 4]], np.int32),
    )
    customer, day, item = (np.array(part) for part in zip(*distinct, strict=True))
    bought = Purchased(customer, customer * 10 + day, day * 86_400, item.astype(np.int32))
    turns = turns_of(bought, ladders)
    found = set(
        zip(
            turns.customer.tolist(),
            turns.order.tolist(),
            turns.base.tolist(),
            turns.item.tolist(),
            turns.is_new.tolist(),
            strict=True,
        )
    )
    expected: set[tuple[int, int, int, int, bool]] = set()
    for who in range(3):
        for ladder in range(2):
            last: int | None = None
            for when in range(7):
                held = [i for c, d, i in distinct if c == who and d == when and family[i] == ladder]
                if len(held) != 1:
                    continue
                if last is not None:
                    new = not any(c == who and d < when and i == held[0] for c, d, i in distinct)
                    expected.add((who, who * 10 + when, last, held[0], new))
                last = held[0]
    assert found == expected
    assert len(turns) == len(expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), max_size=40), st.integers(0, 60))
def test_a_timeline_counts_what_came_before(things: list[tuple[int, int]], moment: int) -> None:
    keys = np.array([key for key, _ in things], dtype=np.int64)
    seconds = np.array([second for _, second in things], dtype=np.int64)
    line = Timeline.of(keys, seconds)
    wanted, at = np.arange(5), np.full(5, moment)
    for within in (None, 10):
        least = 0 if within is None else moment - within
        expected = [sum(k == key and least <= s < moment for k, s in things) for key in range(5)]
        assert line.before(wanted, at, within).tolist() == expected


def test_upgrades_are_dearer_of_a_higher_tier_inside_the_band() -> None:
    dataset, ladders = _shop()
    price = dataset.catalogue.price_minor.astype(np.float64)
    memory = Memory.of(dataset, ladders, facts_of(dataset.catalogue, ladders, price))
    asker = Asker(memory, ladders, price, 1.05, 1.5)
    turns = asker.turns
    ratio = price[turns.item] / price[turns.base]
    up = ladders.tier[turns.item] > ladders.tier[turns.base]
    assert np.array_equal(asker.upgrades(), up & (ratio >= 1.05) & (ratio <= 1.5))
    assert asker.upgrades().any()
    assert (up & (ratio > 1.5)).any()
