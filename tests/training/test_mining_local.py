"""The compiled engine against counting by hand and against mlxtend."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.orders import Baskets
from engine.progress import SilentProgress
from tests.support.shared_data import shared_data
from training.basket_files import read_baskets
from training.mining import kernels
from training.mining.local import LocalEngine
from training.mining.mlxtend import MlxtendEngine
from training.mining.protocol import Itemsets


def _baskets(rows: list[list[int]], n_items: int) -> Baskets:
    orders = np.array([o for o, row in enumerate(rows) for _ in row], dtype=np.int64)
    items = np.array([item for row in rows for item in row], dtype=np.int64)
    return Baskets.from_pairs(orders, items, len(rows), n_items)


def _mined(baskets: Baskets, min_count: int, max_length: int, threads: int = 2) -> Itemsets:
    return LocalEngine(threads).itemsets(baskets, min_count, max_length, SilentProgress())


def _as_dict(itemsets: Itemsets) -> dict[tuple[int, ...], int]:
    return {
        tuple(row): int(count)
        for rows, counts in zip(itemsets.items, itemsets.counts, strict=True)
        for row, count in zip(rows.tolist(), counts, strict=True)
    }


def _counted(rows: list[list[int]], n_items: int, min_count: int, max_length: int):
    held = [set(row) for row in rows]
    counts = {
        items: sum(set(items) <= basket for basket in held)
        for length in range(1, max_length + 1)
        for items in combinations(range(n_items), length)
    }
    return {items: count for items, count in counts.items() if count >= min_count}


_ROWS = st.lists(st.lists(st.integers(0, 6), max_size=7), max_size=40)


@settings(deadline=None, max_examples=150)
@given(_ROWS, st.integers(1, 6), st.integers(1, 4))
def test_counts_what_counting_by_hand_counts(
    rows: list[list[int]], min_count: int, max_length: int
) -> None:
    mined = _mined(_baskets(rows, 7), min_count, max_length)
    assert _as_dict(mined) == _counted(rows, 7, min_count, max_length)
    assert mined.max_length == max_length


def _random_rows(seed: int, n_orders: int, n_items: int, mean: float) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, n_items + 1)
    popularity /= popularity.sum()
    return [
        draw.choice(n_items, size=min(n_items, 1 + draw.poisson(mean)), p=popularity).tolist()
        for _ in range(n_orders)
    ]


@pytest.mark.parametrize("max_length", [2, 3, 4])
def test_equals_mlxtend_to_the_integer(max_length: int) -> None:
    baskets = _baskets(_random_rows(1, 1_500, 60, 6.0), 60)
    reference = MlxtendEngine().itemsets(baskets, 8, max_length, SilentProgress())
    mined = _mined(baskets, 8, max_length)
    for ours, theirs in zip(mined.items, reference.items, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(mined.counts, reference.counts, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.realdata
@pytest.mark.parametrize(("min_count", "max_length"), [(10, 4), (3, 3)])
def test_equals_mlxtend_on_groceries(min_count: int, max_length: int) -> None:
    baskets, _ = read_baskets(next(shared_data("groceries").glob("*.csv")))
    reference = MlxtendEngine().itemsets(baskets, min_count, max_length, SilentProgress())
    assert _as_dict(_mined(baskets, min_count, max_length)) == _as_dict(reference)


def test_full_buffers_are_emptied_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    baskets = _baskets(_random_rows(2, 400, 30, 8.0), 30)
    whole = {length: _as_dict(_mined(baskets, 2, length)) for length in (3, 4)}
    monkeypatch.setattr("training.mining.local._FIRST_ROOM", 1)
    monkeypatch.setattr("training.mining.local._MOST_ROOM", 64)
    assert {length: _as_dict(_mined(baskets, 2, length)) for length in (3, 4)} == whole


def test_more_partners_than_one_square_holds() -> None:
    # 2,100 items that are all together twice: their pairs do not fit into one block of counters.
    n_items = 2_100
    assert n_items**2 > kernels.SQUARE_LIMIT
    baskets = _baskets([[*range(n_items)]] + [[0, item] for item in range(1, 40)], n_items)
    mined = _mined(baskets, 2, 3)
    assert [len(counts) for counts in mined.counts] == [40, 39, 0]
    tiny = _baskets([[*range(n_items)], [*range(n_items)]], n_items)
    twice = LocalEngine().itemsets(tiny, 2, 2, SilentProgress())
    assert len(twice.counts[1]) == n_items * (n_items - 1) // 2
    assert (twice.counts[1] == 2).all()


def test_a_triple_behind_many_partners_is_found() -> None:
    n_items = 2_100
    rows = [[*range(n_items)], [*range(n_items)]]
    labels = _baskets(rows, n_items)
    # Counted in strips: the sets that begin with the first label alone are 2.2 million triples.
    from training.mining.local import _Labelled  # the part of the work that one label makes

    labelled = _Labelled.of(labels, np.arange(n_items, dtype=np.int32))
    parts = list(labelled.expand(0, 1, 2, 3))
    n_found = sum(len(part[1]) for part in parts)
    partners = n_items - 1
    assert n_found == partners + partners * (partners - 1) // 2
    assert all((part[1] == 2).all() for part in parts)


@pytest.mark.parametrize("rows", [[], [[]], [[1], [2], [1]]])
def test_nothing_to_combine(rows: list[list[int]]) -> None:
    mined = _mined(_baskets(rows, 3), 1, 3)
    assert _as_dict(mined) == _counted(rows, 3, 1, 1)


def test_one_thread_and_many_agree() -> None:
    baskets = _baskets(_random_rows(3, 800, 50, 7.0), 50)
    assert _as_dict(_mined(baskets, 3, 3, threads=1)) == _as_dict(_mined(baskets, 3, 3, threads=5))
