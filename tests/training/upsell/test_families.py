"""Families learned from names and baskets; the shop's own tiers and upgrades; moves."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mersalg.engine.arrays import Ragged, arrays_of, read
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.upsell.tiers import CATEGORY, LEARNED, Families, Ladders
from mersalg.engine.vocabulary import StringTable, Vocabulary
from mersalg.training.reading.catalogue_file import ranks_of
from mersalg.training.upsell.events import count_moves
from mersalg.training.upsell.families import find_groups, learn_families
from mersalg.training.upsell.names import design_words, share_a_kind, stem_of
from mersalg.training.upsell.tiers import fit_ladders, former_cuts


def catalogue_of(
    names: list[str], prices: list[int], category: list[int] | None = None
) -> Catalogue:
    n = len(names)
    categories = np.array(category or [UNKNOWN] * n, dtype=np.int32)
    return Catalogue(
        items=Vocabulary.from_ids([f"item-{place}" for place in range(n)]),
        names=StringTable.from_texts(names),
        price_minor=np.array(prices, dtype=np.int64),
        cost_minor=np.full(n, UNKNOWN, dtype=np.int64),
        category=categories,
        category_names=StringTable.from_texts(
            [f"category-{place}" for place in range(int(categories.max()) + 1)]
        ),
        family=np.full(n, UNKNOWN, dtype=np.int32),
        family_names=StringTable.from_texts([]),
        offerable=np.ones(n, dtype=np.bool_),
        attributes={},
        compatible=Ragged.empty(n, np.int32),
        currency="NOK",
    )


def baskets_of(orders: list[list[int]], n_items: int) -> Baskets:
    pairs = [(order, item) for order, items in enumerate(orders) for item in items]
    order, item = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Baskets.from_pairs(order, item, len(orders), n_items)


def families(catalogue: Catalogue, orders: list[list[int]]) -> set[frozenset[str]]:
    learned = learn_families(catalogue, baskets_of(orders, len(catalogue)), SilentProgress())
    return {
        frozenset(catalogue.names[item] for item in np.flatnonzero(learned.family == one).tolist())
        for one in range(len(learned.names))
    }


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Coffee large", "coffee"),
        ("Small coffee", "coffee"),
        ("Latte (XL)", "latte"),
        ("Latte 0,4 l", "latte"),
        ("Tea, 2x250 g", "tea"),
        ("Columbian Medium Roast Sm", "columbian medium roast"),
        ("Premium", "premium"),
        ("Soup, no. 25671", "soup"),
    ],
)
def test_names_without_size_or_grade(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_sizes_of_one_drink_are_a_family_and_breakfast_and_parking_are_not() -> None:
    names = ["Coffee Sm", "Coffee Rg", "Coffee Lg", "Breakfast", "Parking"]
    catalogue = catalogue_of(names, [20, 25, 30, 100, 200])
    orders = [[place % 3, 3 + place % 2] for place in range(60)]
    assert families(catalogue, orders) == {frozenset(names[:3])}


def test_alike_but_bought_together_on_purpose_is_no_family() -> None:
    names = ["Red heart holder", "White heart holder", "Soup", "Bread", "Milk"]
    catalogue = catalogue_of(names, [20, 25, 30, 10, 10])
    orders = [[0, 1]] * 30 + [[2], [3], [4], [2, 3]] * 30
    assert families(catalogue, orders) == set()


def test_one_thing_typed_twice_is_no_family() -> None:
    names = ["Red umbrella", "Red umbrella", "Soup"]
    catalogue = catalogue_of(names, [600, 1200, 30])
    catalogue = replace(catalogue, items=Vocabulary.from_ids(["85014B", "85014b", "1"]))
    assert families(catalogue, [[0], [1], [2]] * 10) == set()


def test_words_of_many_prices_name_a_design_and_no_kind() -> None:
    stems = [f"{kind} retrospot" for kind in ("wrap", "mug", "bag", "lamp", "stool")]
    stems += [f"mug {colour}" for colour in ("blue", "green", "white", "black")]
    prices = np.array([42.0, 250, 400, 1500, 4000, 240, 260, 250, 255])
    designs = design_words(stems, prices)
    assert designs == {"retrospot"}
    pairs = np.array([[0, 3], [1, 5]])
    assert share_a_kind(stems, pairs, designs).tolist() == [False, True]
    assert design_words(stems, np.full(9, np.nan)) == frozenset()


def test_the_same_name_in_two_categories_is_two_things() -> None:
    names = ["Dark chocolate Rg", "Dark chocolate Lg", "Dark chocolate"]
    catalogue = catalogue_of(names, [20, 25, 90], [0, 0, 1])
    assert families(catalogue, [[0], [1], [2]] * 10) == {frozenset(names[:2])}


def test_ids_for_names_make_no_family() -> None:
    catalogue = catalogue_of(["item-0", "item-1"], [20, 25])
    assert families(catalogue, [[0], [1]] * 10) == set()


def test_a_ladder_remembers_why_it_is_one() -> None:
    names = ["Coffee Sm", "Coffee Lg", "Bun", "Pie"]
    catalogue = catalogue_of(names, [2000, 3000, 1000, 1500], [0, 0, 0, 0])
    baskets = baskets_of([[0, 2], [1, 3]] * 20, 4)
    groups = find_groups(catalogue, baskets, SilentProgress())
    unpaid = np.full(4, UNKNOWN, dtype=np.int64)
    ladders, counts = fit_ladders(catalogue, unpaid, SilentProgress(), groups=groups)
    assert counts.families_learned == 1
    again = read(Ladders, arrays_of(ladders))
    assert isinstance(again.families, Families)
    assert again.families.method.tolist() == [LEARNED, CATEGORY]
    assert list(again.families.names) == ["coffee", "category-0"]
    assert again.families.words[0] == "coffee"
    assert again.families.adjusted_lift(0) == 0.0
    assert again.family.tolist() == [0, 0, 1, 1]


def test_the_shops_own_tiers_win_and_who_has_none_stands_with_the_nearest_price() -> None:
    catalogue = catalogue_of(["A", "B", "C", "D"], [1000, 1010, 3000, 2900], [0, 0, 0, 0])
    given = replace(catalogue, given_tier=np.array([0, 3, 7, UNKNOWN], dtype=np.int16))
    ladders, _ = fit_ladders(given, np.full(4, UNKNOWN, dtype=np.int64), SilentProgress())
    assert ladders.tier.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("cells", "levels", "ranks", "unclear"),
    [
        (["2", "10", "", "2"], (), [0, 1, -1, 0], [False] * 4),
        (["large", "Small", "medium"], (), [2, 0, 1], [False] * 3),
        (["pro", "Basic", "?"], ("basic", "pro"), [1, 0, -1], [False, False, True]),
    ],
)
def test_words_of_tiers(
    cells: list[str], levels: tuple[str, ...], ranks: list[int], unclear: list[bool]
) -> None:
    found, doubtful = ranks_of(cells, levels)
    assert (found.tolist(), doubtful.tolist()) == (ranks, unclear)


def test_tiers_stay_where_the_version_before_cut_them() -> None:
    prices = [1000, 1100, 1200, 1900, 2600, 2700, 2800]
    before = catalogue_of([f"A{n}" for n in range(7)], prices, [0] * 7)
    unpaid = np.full(7, UNKNOWN, dtype=np.int64)
    first, _ = fit_ladders(before, unpaid, SilentProgress())
    moved = np.array([1020, 1090, 1230, 1850, 2550, 2720, 2850])
    after = replace(before, price_minor=moved)
    former = former_cuts(before, first)
    again, counts = fit_ladders(after, unpaid, SilentProgress(), former=former)
    assert counts.cut_as_before == 1
    assert again.tier.tolist() == first.tier.tolist()
    absurd = replace(before, price_minor=moved * 20)
    anew, counts = fit_ladders(absurd, unpaid, SilentProgress(), former=former)
    assert counts.cut_as_before == 0
    assert anew.tier.tolist() == first.tier.tolist()


def test_moves_against_a_plain_count() -> None:
    draw = np.random.default_rng(4)
    orders = [sorted(set(draw.integers(0, 5, 3).tolist())) for _ in range(200)]
    customer = draw.integers(-1, 12, 200)
    ladder = np.array([0, 0, 1, 1, -1], dtype=np.int32)
    moves = count_moves(baskets_of(orders, 5), customer, ladder)
    assert moves is not None
    wanted = np.zeros((5, 5), dtype=int)
    n_from = np.zeros(5, dtype=int)
    for who in range(12):
        for one in (0, 1):
            visits = [
                [item for item in orders[order] if ladder[item] == one]
                for order in np.flatnonzero(customer == who)
            ]
            visits = [visit for visit in visits if visit]
            for visit, following in itertools.pairwise(visits):
                for item in visit:
                    n_from[item] += 1
                    for other in following:
                        wanted[item, other] += 1
    found = [[moves.between(item, other) for other in range(5)] for item in range(5)]
    assert found == wanted.tolist()
    assert moves.n_from.tolist() == n_from.tolist()


def test_no_customers_no_moves() -> None:
    assert count_moves(baskets_of([[0]], 1), np.array([-1]), np.array([0], np.int32)) is None
