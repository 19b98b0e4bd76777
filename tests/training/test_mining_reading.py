"""Order lines become baskets by compiled kernels: against plain Python, whatever stands in them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine import orders as orders_module
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.training.reading.basket_files import numbered_items, read_baskets
from mersalg.training.reading.keys import read_keys
from mersalg.training.reading.sources import single
from tests.support.repetitions import repetitions
from tests.support.shared_data import shared_data

_TEXT = st.text(
    st.sampled_from("ab7 \t\n\r\x0b\x1c\x85\xa0\u1680\u2003\u2028\u3000ø😀"), max_size=40
)


def _labels(path: Path) -> list[list[str]]:
    baskets, items = read_baskets(path)
    return [[items[item] for item in baskets[order]] for order in range(baskets.n_orders)]


@given(_TEXT)
@settings(max_examples=repetitions(150), deadline=None)
def test_lines_are_cut_where_python_cuts_them(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.dat"
    path.write_bytes(("start\n" + text).encode())
    expected = [sorted(set(line.split())) for line in text.split("\n")]
    assert _labels(path) == [["start"], *(row for row in expected if row)]


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, 5)), max_size=60)
        )
    ),
    st.booleans(),
    st.integers(1, 8),
)
@settings(max_examples=repetitions(120), deadline=None)
def test_pairs_become_baskets_of_ascending_items(
    drawn: tuple[int, list[tuple[int, int]]], in_order: bool, block: int
) -> None:
    n_orders, lines = drawn
    both = np.array(sorted(lines) if in_order else lines, dtype=np.int64).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders_module, "_BLOCK_PAIRS", block)
        found = Baskets.from_pairs(both[:, 0], both[:, 1], n_orders, 6)
    expected = [sorted({item for order, item in lines if order == n}) for n in range(n_orders)]
    assert [found[order].tolist() for order in range(n_orders)] == expected
    assert (found.indptr.dtype, found.items.dtype) == (np.int64, np.int32)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([3, 1, 3, 20]),
        pa.array([3, 1, 3, 20], pa.uint8()),
        pa.array([3.0, 1.0, 2.5, 1e20]),
        pa.array([True, False, True, True]),
        pa.array(["07", " a ", "7", "07"]),
        pa.array(["ø", "a", "ø", "é"], pa.large_string()),
        pa.array(["b", "a", "b", "c"], pa.string_view()),
        pa.array([b"b", b"a", b"b", b"c"], pa.binary()),
        pa.array(["b", "a", "b", "c"]).dictionary_encode(),
        pa.array([5, 4, 5, 6]).dictionary_encode(),
        pa.array([date(2024, 1, 2), date(2023, 5, 1), date(2024, 1, 2), date(2020, 1, 1)]),
        pa.array([Decimal("1.50"), Decimal("2.00"), Decimal("1.50"), Decimal("3.25")]),
    ],
    ids=lambda column: str(column.type),
)
def test_every_type_of_id_has_its_text(column: pa.Array) -> None:
    table = pa.table({"item_id": pa.chunked_array([column[:3], column[3:]])})
    codes, ids = numbered_items(table, "item_id", "x.parquet")
    values = [value.decode() if isinstance(value, bytes) else value for value in column.to_pylist()]
    expected = [
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:.0f}"
        if value == 1e20
        else str(value).removesuffix(".0")
        if isinstance(value, float)
        else str(value)
        for value in values
    ]
    assert list(ids) == sorted(set(expected))
    assert [ids[code] for code in codes.tolist()] == expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None]),
        pa.array([1.5, 2.0, None]),
        pa.array(["a", "b", " \t"]),
        pa.array(["a", "b", "\u2003"]).dictionary_encode(),
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "b", None])),
    ],
    ids=lambda column: str(column.type),
)
def test_an_empty_cell_is_reported_with_its_row(column: pa.Array) -> None:
    table = pa.table({"item_id": column})
    with pytest.raises(DataError, match="the cell is empty") as caught:
        numbered_items(table, "item_id", "x.parquet")
    assert caught.value.details == {"file": "x.parquet", "row": 3, "column": "item_id"}


def test_what_a_dictionary_names_and_no_line_holds_is_no_item() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2]), pa.array(["a", " ", "c"]))
    keys = read_keys(single(pa.table({"item_id": column}), "x"), ("item_id",))
    assert keys.texts.to_pylist() == ["a", "c"]
    assert keys.codes.tolist() == [1, 0, 1]


@given(st.lists(st.integers(-3, 12), max_size=30), st.booleans(), st.booleans())
@settings(deadline=None)
def test_orders_are_numbered_as_they_come(ids: list[int], in_order: bool, as_text: bool) -> None:
    listed = sorted(ids) if in_order else ids
    column = pa.array([str(number) for number in listed] if as_text else listed)
    kind = pa.string() if as_text else pa.int64()
    keys = read_keys(single(pa.table({"order_id": column.cast(kind)}), "x"), ("order_id",))
    seen = list(dict.fromkeys(listed))
    assert keys.texts.to_pylist() == list(map(str, seen))
    assert keys.codes.tolist() == [seen.index(number) for number in listed]


def test_cells_that_hold_lists_are_refused() -> None:
    with pytest.raises(DataError, match="not one value"):
        numbered_items(pa.table({"item_id": pa.array([["a"], ["b"]])}), "item_id", "x")


def test_tables_in_any_order_of_rows_and_columns(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    orders, items = draw.integers(0, 400, 3_000), draw.integers(0, 50, 3_000)
    expected = {
        f"o{order}": sorted({f"i{item}" for item in items[orders == order].tolist()})
        for order in np.unique(orders).tolist()
    }
    table = pa.table(
        {
            "price": draw.random(3_000),
            " item_id": [f"i{item}" for item in items.tolist()],
            "note": ["two\nlines, and a comma"] * 3_000,
            "order_id": [f"o{order}" for order in orders.tolist()],
        }
    )
    first_seen = list(dict.fromkeys(table["order_id"].to_pylist()))
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=700)
    pa.csv.write_csv(table, tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        assert _labels(tmp_path / name) == [expected[order] for order in first_seen]


def test_a_bad_row_far_down_a_table_is_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{row // 7},item {row % 90}" for row in range(200_000)]
    rows[150_001] += ",surplus"
    path.write_text("order_id,item_id\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match="more or fewer cells") as caught:
        read_baskets(path)
    assert caught.value.details["row"] == 150_002


@pytest.mark.realdata
def test_shared_sets_are_read_as_plain_python_reads_them() -> None:
    path = shared_data("fimi_retail") / "retail.dat"
    rows = [sorted(set(line.split())) for line in path.read_text().splitlines()]
    assert _labels(path) == [row for row in rows if row]
