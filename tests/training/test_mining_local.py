"""The compiled engine against counting by hand and against mlxtend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.local import LocalEngine, fullness_of, label_rows
from mersalg.training.mining.mlxtend import MlxtendEngine
from mersalg.training.mining.protocol import Itemsets
from mersalg.training.reading.basket_files import read_baskets
from tests.support.repetitions import repetitions
from tests.support.shared_data import shared_data


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


@settings(deadline=None, max_examples=repetitions(100))
@given(_ROWS, st.integers(1, 6), st.integers(1, 7))
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


@pytest.mark.parametrize("n_orders", [1, 2, 3])
def test_triples_behind_more_partners_than_one_square_holds(n_orders: int) -> None:
    # Counted in strips: the sets that begin with the first label alone are 2.2 million triples.
    n_items = 2_100
    baskets = _baskets([[*range(n_items)]] * n_orders, n_items)
    with ThreadPoolExecutor(1) as threads:
        labelled = label_rows(baskets, n_orders, threads, 1)
    assert labelled.rows.n_long == n_orders - 1
    found = labelled.rows.sets(0, 1, n_orders, 3)
    partners = n_items - 1
    assert [found.n_sets(length) for length in (2, 3, 4)] == [
        partners,
        partners * (partners - 1) // 2,
        0,
    ]
    counts = np.empty(found.n_sets(3), dtype=np.int64)
    found.move(3, np.empty((len(counts), 3), dtype=np.int32), counts)
    assert (counts == n_orders).all()
    assert found.n_sets(3) == 0


@settings(deadline=None, max_examples=repetitions(60))
@given(_ROWS, st.integers(1, 6), st.integers(2, 5), st.integers(0, 4))
def test_rows_that_are_not_walked_count_the_same(
    rows: list[list[int]], min_count: int, max_length: int, long_row: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mersalg.training.mining.local._LONG_ROW", long_row)
        mined = _mined(_baskets(rows, 7), min_count, max_length)
    assert _as_dict(mined) == _counted(rows, 7, min_count, max_length)


@settings(deadline=None, max_examples=repetitions(60))
@given(_ROWS, st.integers(1, 6), st.integers(1, 5), st.integers(0, 8))
def test_entries_beside_sets_are_what_a_search_of_every_order_counts(
    rows: list[list[int]], min_count: int, max_length: int, long_row: int
) -> None:
    baskets = _baskets(rows, 7)
    mined = _mined(baskets, min_count, max_length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mersalg.training.mining.local._LONG_ROW", long_row)
        fullness = fullness_of(baskets, mined)
    held = [set(row) for row in rows]
    assert fullness.n_entries == sum(map(len, held))
    assert len(fullness.entries) == max_length - 1
    for sets, longer, entries in zip(mined.items, mined.counts[1:], fullness.entries, strict=False):
        expected = [sum(len(order) for order in held if order >= set(row)) for row in sets.tolist()]
        assert entries.tolist() == (expected if len(longer) else [0] * len(sets))


@settings(deadline=None, max_examples=repetitions(30))
@given(_ROWS, st.integers(1, 4), st.integers(1, 5))
def test_many_blocks_of_orders_count_the_same(
    rows: list[list[int]], min_count: int, threads: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mersalg.training.mining.local._BLOCK_ENTRIES", 2)
        mined = _mined(_baskets(rows, 7), min_count, 3, threads)
    assert _as_dict(mined) == _counted(rows, 7, min_count, 3)


def test_one_giant_basket_is_counted_with_the_others() -> None:
    # 10,000 items that all stand in other baskets often enough: 50 million pairs in one order.
    draw = np.random.default_rng(4)
    n_items = 10_000
    orders = np.repeat(np.arange(60_000), 8)
    items = np.minimum(draw.geometric(3 / n_items, len(orders)), n_items) - 1
    plain = Baskets.from_pairs(orders, items, 60_000, n_items)
    giant = Baskets.from_pairs(
        np.append(orders, np.full(n_items, 60_000)),
        np.append(items, np.arange(n_items)),
        60_001,
        n_items,
    )
    without = _as_dict(_mined(plain, 4, 3))
    expected = {items: count + 1 for items, count in without.items()}
    assert _as_dict(_mined(giant, 5, 3)) == expected


@pytest.mark.parametrize("rows", [[], [[]], [[1], [2], [1]]])
def test_nothing_to_combine(rows: list[list[int]]) -> None:
    mined = _mined(_baskets(rows, 3), 1, 3)
    assert _as_dict(mined) == _counted(rows, 3, 1, 1)


def test_one_thread_and_many_agree() -> None:
    baskets = _baskets(_random_rows(3, 800, 50, 7.0), 50)
    assert _as_dict(_mined(baskets, 3, 3, threads=1)) == _as_dict(_mined(baskets, 3, 3, threads=5))


_SHARED = {
    "groceries": "groceries.csv",
    "fimi_retail": "retail.dat",
    "breadbasket": ("BreadBasket_DMS.csv", "Transaction", "Item"),
    "coffee_ibm": ("201904_sales_reciepts.csv", "transaction_id", "product_id"),
    "pizzaplace_great_tables": ("05-pizzaplace.csv", "id", "name"),
    "online_retail": ("online_retail.parquet", "InvoiceNo", "StockCode"),
}


def _shared_baskets(name: str, folder: Path) -> Baskets:
    file = _SHARED[name]
    if isinstance(file, str):
        return read_baskets(shared_data(name) / file)[0]
    path, order, item = shared_data(name) / file[0], *file[1:]
    table = pq.read_table(path) if path.suffix == ".parquet" else arrow_csv.read_csv(path)
    renamed = table.select([order, item]).drop_null().rename_columns(["order_id", "item_id"])
    pq.write_table(renamed, folder / "orders.parquet")
    return read_baskets(folder / "orders.parquet")[0]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "min_count", "max_length"),
    [
        ("groceries", 10, 5),
        ("groceries", 3, 3),
        ("breadbasket", 3, 4),
        ("coffee_ibm", 250, 3),
        ("pizzaplace_great_tables", 20, 3),
        ("fimi_retail", 250, 4),
        ("online_retail", 330, 3),
    ],
)
def test_equals_mlxtend_on_shared_sets(
    name: str, min_count: int, max_length: int, tmp_path: Path
) -> None:
    baskets = _shared_baskets(name, tmp_path)
    reference = MlxtendEngine().itemsets(baskets, min_count, max_length, SilentProgress())
    mined = _mined(baskets, min_count, max_length)
    assert len(mined.counts[1]) > 10
    for ours, theirs in zip(
        mined.items + mined.counts, reference.items + reference.counts, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
