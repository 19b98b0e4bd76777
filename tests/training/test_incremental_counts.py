"""Counts added up from old and new orders are those of all orders, to the integer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.orders import Baskets
from engine.progress import Progress, SilentProgress
from tests.support.repetitions import repetitions
from training.incremental.differing import difference, renumbered
from training.incremental.remembering import RememberingEngine
from training.incremental.updating import updated
from training.mining.protocol import Itemsets, get_engine
from training.mining.search import default_min_count
from training.mining.tallies import Tallies

N_ITEMS = 7
ORDER = st.frozensets(st.integers(0, N_ITEMS - 1), max_size=5)
ORDERS = st.lists(ORDER, max_size=20)
ENGINE = get_engine("mlxtend")


def baskets_of(orders: list[frozenset[int]], n_items: int = N_ITEMS) -> Baskets:
    pairs = [(number, item) for number, order in enumerate(orders) for item in order]
    rows = np.array([row for row, _ in pairs], dtype=np.int64)
    items = np.array([item for _, item in pairs], dtype=np.int64)
    return Baskets.from_pairs(rows, items, len(orders), n_items)


def mined(baskets: Baskets, min_count: int, max_length: int) -> Itemsets:
    return ENGINE.itemsets(baskets, min_count, max_length, SilentProgress())


def assert_same(left: Itemsets, right: Itemsets) -> None:
    assert (left.n_orders, left.min_count) == (right.n_orders, right.min_count)
    assert len(left.items) == len(right.items)
    for one, other in zip((*left.items, *left.counts), (*right.items, *right.counts), strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    kept=ORDERS,
    gone=ORDERS,
    new=ORDERS,
    old_count=st.integers(1, 6),
    rise=st.integers(0, 4),
    max_length=st.integers(2, 4),
    draw=st.randoms(use_true_random=False),
)
def test_any_split_gives_the_counts_of_all(
    kept: list[frozenset[int]],
    gone: list[frozenset[int]],
    new: list[frozenset[int]],
    old_count: int,
    rise: int,
    max_length: int,
    draw: st.DataObject,
) -> None:
    earlier, later = [*kept, *gone], [*kept, *new]
    draw.shuffle(earlier)  # type: ignore[attr-defined]
    draw.shuffle(later)  # type: ignore[attr-defined]
    old, whole = baskets_of(earlier), baskets_of(later)
    changed = difference(old, whole)
    found = updated(
        mined(old, old_count, max_length),
        whole.take(changed.added),
        old.take(changed.removed),
        whole,
        min_count=old_count + rise,
        engine=ENGINE,
        progress=SilentProgress(),
    )
    assert_same(found, mined(whole, old_count + rise, max_length))


@given(
    orders=st.lists(ORDER, min_size=1, max_size=40),
    share=st.floats(0, 1),
    counts=st.one_of(st.none(), st.tuples(st.integers(1, 30), st.integers(1, 30))),
    max_length=st.integers(2, 3),
)
def test_an_engine_that_remembers_gives_what_the_engine_gives(
    orders: list[frozenset[int]],
    share: float,
    counts: tuple[int, int] | None,
    max_length: int,
) -> None:
    """Any split, any two thresholds: those that follow the number of orders as well."""
    old, whole = baskets_of(orders[: int(share * len(orders))]), baskets_of(orders)
    first, second = counts or (default_min_count(old.n_orders), default_min_count(whole.n_orders))
    before = RememberingEngine(ENGINE)
    assert_same(
        before.itemsets(old, first, max_length, SilentProgress()), mined(old, first, max_length)
    )
    now = RememberingEngine(ENGINE, before.counted)
    # Twice over: what was added up is as good to build on as what was counted.
    for engine in (now, RememberingEngine(ENGINE, now.counted)):
        assert_same(
            engine.itemsets(whole, second, max_length, SilentProgress()),
            mined(whole, second, max_length),
        )


def test_a_long_chain_of_small_additions_stays_exact() -> None:
    draw = np.random.default_rng(5)
    orders = [
        frozenset(draw.choice(N_ITEMS, size=draw.integers(1, 5), replace=False).tolist())
        for _ in range(400)
    ]
    engine, remembered = RememberingEngine(ENGINE), 0
    for n_orders in range(200, 401, 20):
        baskets = baskets_of(orders[:n_orders])
        engine = RememberingEngine(ENGINE, engine.counted)
        found = engine.itemsets(baskets, n_orders // 5, 2, SilentProgress())
        assert_same(found, mined(baskets, n_orders // 5, 2))
        remembered += engine.origins[0].remembered
    # The threshold rises with the orders, so only the first time everything is counted.
    assert remembered == 10


class CountingEngine:
    """The reference engine, noting how many orders it was given."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        self.asked.append(baskets.n_orders)
        return ENGINE.itemsets(baskets, min_count, max_length, progress)


def test_only_new_orders_are_searched() -> None:
    orders = [frozenset({number % 3, 3 + number % 2}) for number in range(300)]
    engine = CountingEngine()
    before = RememberingEngine(engine)
    before.itemsets(baskets_of(orders), 20, 2, SilentProgress())
    now = RememberingEngine(engine, before.counted)
    more = baskets_of([*orders[1:], frozenset({0, 6}), frozenset({1, 2})])
    found = now.itemsets(more, 20, 2, SilentProgress())
    assert engine.asked == [300, 2]
    assert_same(found, mined(more, 20, 2))
    origin = now.origins[0]
    assert (origin.remembered, origin.added, origin.removed) == (True, 2, 1)


@pytest.mark.parametrize(
    ("second", "max_length", "reason"),
    [(10, 2, "too near"), (20, 3, "length"), (20, 2, "most orders")],
)
def test_where_counts_do_not_serve_everything_is_counted_and_why(
    second: int, max_length: int, reason: str
) -> None:
    orders = [frozenset({number % 3, 3 + number % 2}) for number in range(300)]
    before = RememberingEngine(ENGINE)
    before.itemsets(baskets_of(orders), 20, 2, SilentProgress())
    now = RememberingEngine(ENGINE, before.counted)
    added = [frozenset({5, 6})] * (400 if reason == "most orders" else 30)
    whole = baskets_of([*orders, *added])
    found = now.itemsets(whole, second, max_length, SilentProgress())
    assert_same(found, mined(whole, second, max_length))
    assert not now.origins[0].remembered
    assert reason in now.origins[0].reason


def test_a_lower_threshold_than_was_counted_is_refused() -> None:
    old = baskets_of([frozenset({0, 1})] * 5)
    none = old.take(np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="not listed"):
        updated(
            mined(old, 3, 2),
            none,
            none,
            old,
            min_count=2,
            engine=ENGINE,
            progress=SilentProgress(),
        )


@given(old=ORDERS, new=ORDERS)
def test_the_difference_of_baskets_is_exact_and_least(
    old: list[frozenset[int]], new: list[frozenset[int]]
) -> None:
    changed = difference(baskets_of(old), baskets_of(new))
    left = sorted(sorted(old[order]) for order in range(len(old)) if order not in changed.removed)
    right = sorted(sorted(new[order]) for order in range(len(new)) if order not in changed.added)
    assert left == right
    removed = {old[order] for order in changed.removed.tolist()}
    assert not removed & {new[order] for order in changed.added.tolist()}


def test_baskets_that_look_alike_are_compared_item_by_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "training.incremental.differing._codes",
        lambda baskets: np.zeros(baskets.n_orders, dtype=np.uint64),
    )
    old = baskets_of([frozenset({0, 1}), frozenset({2}), frozenset({3, 4})])
    new = baskets_of([frozenset({0, 2}), frozenset({2}), frozenset({3, 4, 5})])
    changed = difference(old, new)
    assert changed.removed.tolist() == [0, 2]
    assert changed.added.tolist() == [0, 2]


def test_items_may_be_numbered_anew_or_vanish() -> None:
    baskets = baskets_of([frozenset({0, 1, 2}), frozenset({1}), frozenset({2, 3})], 4)
    found = renumbered(baskets, np.array([4, -1, 0, 2]), 5)
    assert [found.basket(order).tolist() for order in range(3)] == [[0, 4], [], [0, 2]]


@settings(max_examples=repetitions(50))
@given(
    orders=ORDERS,
    sets=st.sets(st.frozensets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=4), max_size=12),
)
def test_sets_are_counted_wherever_they_stand(
    orders: list[frozenset[int]], sets: set[frozenset[int]]
) -> None:
    tallies = Tallies(baskets_of(orders))
    for length in range(1, 5):
        wanted = [sorted(found) for found in sets if len(found) == length]
        rows = np.array(wanted, dtype=np.int32).reshape(len(wanted), length)
        expected = [sum(set(row) <= order for order in orders) for row in wanted]
        assert tallies.of_sets(rows).tolist() == expected
