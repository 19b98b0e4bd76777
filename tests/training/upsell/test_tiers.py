"""Price tiers: levels as they stand, K-means where there are many, and prices that lie."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.progress import SilentProgress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable, Vocabulary
from mersalg.training.upsell.tiers import (
    EXPLAINED,
    MAX_TIERS,
    TierCounts,
    fit_ladders,
    tiers_of_prices,
)
from tests.support.repetitions import repetitions


def catalogue_of(
    prices: list[int], family: list[int] | None = None, category: list[int] | None = None
) -> Catalogue:
    n = len(prices)
    families = np.array(family if family is not None else [0] * n, dtype=np.int32)
    categories = np.array(category if category is not None else [UNKNOWN] * n, dtype=np.int32)
    ids = [f"item-{place}" for place in range(n)]
    names = [f"group-{place}" for place in range(int(max(families.max(), categories.max())) + 1)]
    return Catalogue(
        items=Vocabulary.from_ids(ids),
        names=StringTable.from_texts(ids),
        price_minor=np.array(prices, dtype=np.int64),
        cost_minor=np.full(n, UNKNOWN, dtype=np.int64),
        category=categories,
        category_names=StringTable.from_texts(names),
        family=families,
        family_names=StringTable.from_texts(names),
        offerable=np.ones(n, dtype=np.bool_),
        attributes={},
        compatible=Ragged.empty(n, np.int32),
        currency="NOK",
    )


def fit(catalogue: Catalogue, paid: list[int] | None = None) -> tuple[Ladders, TierCounts]:
    prices = paid if paid is not None else [UNKNOWN] * len(catalogue)
    return fit_ladders(catalogue, np.array(prices, dtype=np.int64), SilentProgress())


def best_explained(log_price: np.ndarray, n_tiers: int) -> float:
    """Explained variance of the best cut into intervals, by trying them all."""
    total = ((log_price - log_price.mean()) ** 2).sum()
    least = min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(log_price, cuts))
        for cuts in combinations(range(1, len(log_price)), n_tiers - 1)
    )
    return 1 - least / total


@pytest.mark.parametrize(
    ("prices", "tiers"),
    [
        ([], []),
        ([500], [0]),
        ([3900, 4900, 5900], [0, 1, 2]),
        ([10000, 10100, 10200], [0, 0, 0]),  # two per cent from end to end is one level
        ([100, 105], [0, 1]),
        ([100, 200, 300, 400, 500], [0, 1, 2, 3, 4]),
        ([100, 101, 200, 202], [0, 0, 1, 1]),  # steps too small to stand alone
        ([100, 102, 98 * 4, 400, 1600, 1616], [0, 0, 1, 1, 2, 2]),
    ],
)
def test_tiers_worked_out_by_hand(prices: list[int], tiers: list[int]) -> None:
    assert tiers_of_prices(np.array(prices, dtype=np.int64)).tolist() == tiers


@given(st.sets(st.integers(100, 100_000), min_size=6, max_size=12))
@settings(max_examples=repetitions(25))
def test_tiers_ascend_and_explain_enough(prices: set[int]) -> None:
    ordered = np.array(sorted(prices), dtype=np.int64)
    tiers = tiers_of_prices(ordered)
    assert tiers[0] == 0
    assert set(np.diff(tiers).tolist()) <= {0, 1}
    n_tiers = int(tiers[-1]) + 1
    assert n_tiers <= MAX_TIERS
    if n_tiers == 1:
        assert ordered[-1] < ordered[0] * 1.05
        return
    log_price = np.log(ordered)
    total = ((log_price - log_price.mean()) ** 2).sum()
    inside = sum(
        ((part - part.mean()) ** 2).sum()
        for part in (log_price[tiers == tier] for tier in range(n_tiers))
    )
    explained = 1 - inside / total
    assert explained >= EXPLAINED or n_tiers == MAX_TIERS


@pytest.mark.parametrize("seed", range(12))
def test_tiers_are_as_few_as_the_best_cuts_need(seed: int) -> None:
    draw = np.random.default_rng(seed)
    prices = np.unique(draw.lognormal(8, draw.uniform(0.2, 1.0), 14).astype(np.int64))
    log_price = np.log(prices)
    needed = next(
        (n for n in range(2, MAX_TIERS) if best_explained(log_price, n) >= EXPLAINED), MAX_TIERS
    )
    assert int(tiers_of_prices(prices)[-1]) + 1 == needed


def test_the_same_prices_always_give_the_same_tiers() -> None:
    prices = np.unique(np.random.default_rng(2).lognormal(7, 1, 60).astype(np.int64))
    assert tiers_of_prices(prices).tolist() == tiers_of_prices(prices).tolist()


def test_members_stand_by_price_then_index() -> None:
    ladders, counts = fit(catalogue_of([300, 100, 300, 200], [0, 0, 0, 0]))
    assert ladders.members[0].tolist() == [1, 3, 0, 2]
    assert ladders.tier.tolist() == [2, 0, 2, 1]
    assert (counts.ladders, counts.items, counts.ladders_with_steps) == (1, 4, 1)


def test_a_ladder_needs_two_priced_items() -> None:
    ladders, counts = fit(catalogue_of([100, UNKNOWN, 200, 300, 0], [0, 0, 1, 1, 1]))
    assert ladders.n_ladders == 1
    assert ladders.family.tolist() == [-1, -1, 0, 0, -1]
    assert ladders.tier.tolist() == [-1, -1, 0, 1, -1]
    assert counts.unpriced == 2


def test_one_price_is_one_tier() -> None:
    ladders, counts = fit(catalogue_of([100, 100, 100]))
    assert ladders.tier.tolist() == [0, 0, 0]
    assert (counts.ladders, counts.ladders_with_steps) == (1, 0)


def test_the_category_stands_in_where_there_is_no_family() -> None:
    ladders, _ = fit(catalogue_of([100, 200, 100, 200, 100], [0, 0, -1, -1, -1], [0, 0, 0, 0, -1]))
    # Items 2 and 3 share category 0 with the family's items and keep a ladder of their own.
    assert ladders.family.tolist() == [0, 0, 1, 1, -1]


def test_prices_that_orders_contradict_are_left_off() -> None:
    ladders, counts = fit(catalogue_of([100, 200, 300_000, 400]), paid=[1001, 1999, 300, UNKNOWN])
    assert ladders.family.tolist() == [-1, 0, -1, 0]
    assert counts.contradicted == 2


def test_prices_far_off_their_family_are_left_off() -> None:
    ladders, counts = fit(catalogue_of([100, 110, 120, 12_000, 1]))
    assert ladders.family.tolist() == [0, 0, 0, -1, -1]
    assert counts.far_off == 2


def test_no_families_no_ladders() -> None:
    ladders, counts = fit(catalogue_of([100, 200], [-1, -1]))
    assert ladders.n_ladders == 0
    assert ladders.family.tolist() == [-1, -1]
    assert counts.to_json()["ladders"] == 0
