"""Files, globs and databases: what is read from each door, and how they say what is wrong."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine import clock
from mersalg.engine.arrays import arrays_of
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.source_sections import OrdersSection
from mersalg.training.reading.database_source import without_password
from mersalg.training.reading.dataset import Dataset
from mersalg.training.reading.keys import MISSING, read_keys
from mersalg.training.reading.moments import read_moments
from mersalg.training.reading.numbers import Marks, money_to_minor, parse_number, read_numbers
from mersalg.training.reading.sources import SourceTable, read_source, single
from tests.support.shop_files import ORDER_COLUMNS, config, line, load, write_csv


def section(**fields: Any) -> OrdersSection:
    return OrdersSection.model_validate(fields)


def table(columns: dict[str, Any]) -> SourceTable:
    return single(pa.table(columns), "file")


def keys_of(values: Any) -> list[str | None]:
    keys = read_keys(table({"id": values}), ("id",))
    texts = [*keys.texts.to_pylist(), None]
    assert MISSING == -1
    return [texts[code] for code in keys.codes.tolist()]


def instants(columns: dict[str, Any], form: str | None = None, zone: str = "UTC") -> list[str]:
    found = read_moments(table(columns), tuple(columns), form, zone)
    return [
        "" if bad else clock.to_iso(micros)
        for micros, bad in zip(found.micros.tolist(), found.bad.tolist(), strict=True)
    ]


# Keys


def test_ids_keep_their_exact_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufefforder_id,item_id\n00123,"a, b "\n1e5,NA\n')
    source = read_source(section(path="a.csv"), tmp_path)
    assert source.column("order_id").to_pylist() == ["00123", "1e5"]
    assert source.column("item_id").to_pylist() == ["a, b ", "NA"]


def test_numbers_as_ids_have_no_decimals() -> None:
    assert keys_of(pa.array([17850.0, None, 1.5, float("nan")])) == ["17850", None, "1.5", None]
    assert keys_of(pa.array([123, None])) == ["123", None]
    assert keys_of(pa.array(["x", "", "  ", None])) == ["x", None, None, None]
    assert keys_of(pa.array(["b", "a", "b"]).dictionary_encode()) == ["b", "a", "b"]
    assert keys_of(pa.array([True, False])) == ["true", "false"]
    assert keys_of(pa.array([Decimal(7)])) == ["7"]
    assert keys_of(pa.nulls(2)) == [None, None]


@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("a|\\b"), max_size=4)] * 3), min_size=1, max_size=30
    )
)
def test_different_composite_keys_never_look_the_same(rows: list[tuple[str, str, str]]) -> None:
    parts = list(zip(*rows, strict=True))
    data = {name: pa.array(cells) for name, cells in zip("xyz", parts, strict=True)}
    keys = read_keys(table(data), ("x", "y", "z"))
    texts = keys.texts.to_pylist()
    seen: dict[str, tuple[str, str, str]] = {}
    for row, code in zip(rows, keys.codes.tolist(), strict=True):
        # An empty part leaves the key without meaning.
        assert (code == MISSING) == (not all(row))
        if code != MISSING:
            assert seen.setdefault(texts[code], row) == row
    assert len(seen) == len({row for row in rows if all(row)}) == len(texts)


def test_composite_keys_are_readable() -> None:
    keys = read_keys(table({"x": ["7", "7"], "y": ["01-04-19", "a|b"]}), ("x", "y"))
    assert keys.texts.to_pylist() == ["7|01-04-19", "7|a\\|b"]


# Numbers


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("12.50", ".", 12.5),
        ("$18.00 ", ".", 18),
        ("1,234.5", ".", 1234.5),
        ("kr 1 290,50", ",", 1290.5),
        ("1\u00a0290,-", ",", 1290),
        ("1.234,5", ",", 1234.5),
        ("1.234", ",", 1234),
        ("99 NOK", ".", 99),
        ("-$5", ".", -5),
        ("$-5", ".", -5),
        ("(5.00)", ".", -5),
        ("−3", ".", -3),
        (".5", ".", 0.5),
        ("2 stk", ".", 2),
        ("USD12", ".", 12),
        ("1'000.25", ".", 1000.25),
    ],
)
def test_numbers_as_people_write_them(text: str, decimal: str, value: float) -> None:
    assert parse_number(text, decimal) == value
    assert read_numbers(table({"n": [text]}), "n", Marks(decimal)).values.tolist() == [value]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        *[
            ("12,50", "."),
            ("1,2", "."),
            ("1.5", ","),
            ("12x3", "."),
            ("x3", "."),
            ("abc", "."),
            ("1_000", "."),
        ],
        *[("nan", "."), ("inf", "."), ("--5", "."), ("1.2.3", "."), ("(5", "."), ("-", ".")],
    ],
)
def test_what_is_no_number(text: str, decimal: str) -> None:
    numbers = read_numbers(table({"n": [text]}), "n", Marks(decimal, firm=True))
    assert numbers.bad.tolist() == [True]
    assert np.isnan(numbers.values[0])


def test_missing_is_not_bad() -> None:
    numbers = read_numbers(table({"n": ["", None, "1e2"]}), "n")
    assert numbers.missing.tolist() == [True, True, False]
    assert not numbers.bad.any()
    typed = read_numbers(table({"n": pa.array([1.5, float("nan"), float("inf"), None])}), "n")
    assert typed.missing.tolist() == [False, True, False, True]
    assert typed.bad.tolist() == [False, False, True, False]
    decimals = read_numbers(table({"n": pa.array([Decimal("12.34")])}), "n")
    assert decimals.values.tolist() == [12.34]
    assert read_numbers(table({"n": [date(2025, 1, 1)]}), "n").bad.tolist() == [True]


@given(
    st.lists(st.decimals(-(10**9), 10**9, places=3), max_size=20),
    st.sampled_from(["NOK", "JPY", "KWD"]),
)
def test_money_is_rounded_as_elsewhere(amounts: list[Decimal], currency: str) -> None:
    from mersalg.engine.fact_values import to_minor

    minor, too_large = money_to_minor(np.array([float(a) for a in amounts]), currency)
    assert minor.tolist() == [to_minor(amount, currency) for amount in amounts]
    assert not too_large.any()


def test_money_beyond_exact_integers_is_too_large() -> None:
    minor, too_large = money_to_minor(np.array([1e15, np.nan, 2.675]), "NOK")
    assert too_large.tolist() == [True, False, False]
    assert minor.tolist() == [0, 0, 268]


# Moments


def test_local_times_become_instants() -> None:
    assert instants({"t": ["2025-07-01 12:00", "2025-01-01"]}, zone="Europe/Oslo") == [
        "2025-07-01T10:00:00+00:00",
        "2024-12-31T23:00:00+00:00",
    ]
    # The clock skipped 02:30 that night, and repeated it in autumn.
    assert instants({"t": ["2020-03-29 02:30", "2020-10-25 02:30"]}, zone="Europe/Oslo") == [
        "2020-03-29T01:00:00+00:00",
        "2020-10-25T00:30:00+00:00",
    ]


def test_offsets_win_over_the_shops_zone() -> None:
    texts = ["2025-07-01T12:00:00Z", "2025-07-01 12:00:00+02:00", "2025-07-01 12:00:00 UTC", "x"]
    assert instants({"t": texts}, zone="Asia/Tokyo") == [
        *("2025-07-01T12:00:00+00:00", "2025-07-01T10:00:00+00:00", "2025-07-01T12:00:00+00:00"),
        "",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *["2025-03-14 15:09:26", "20250314 15:09:26", "2025-03-14T15:09:26", "14.03.2025 15:09:26"],
        *["14/03/2025 15:09:26", "03/14/2025 03:09:26 PM", "14-03-2025 15:09:26"],
        *["2025/03/14 15:09:26", "14 Mar 2025 15:09:26", "March 14, 2025 15:09:26"],
        *["2025-03-14 15:09:26.000", " 2025-03-14 15:09:26 "],
    ],
)
def test_common_forms_of_dates(text: str) -> None:
    assert instants({"t": [text]}) == ["2025-03-14T15:09:26+00:00"]


def test_the_files_own_dates_tell_day_from_month() -> None:
    assert instants({"t": ["03/04/2025", "25/04/2025", "31/13/2025"]})[:2] == [
        "2025-04-03T00:00:00+00:00",
        "2025-04-25T00:00:00+00:00",
    ]
    assert instants({"t": ["03/04/2025", "04/25/2025"]})[0] == "2025-03-04T00:00:00+00:00"
    with pytest.raises(DataError, match=r"cannot be told apart.*'03/04/2025'.*date_format"):
        instants({"t": ["03/04/2025"]})
    with pytest.raises(DataError, match=r"day first.*'25/04.*'04/25.*row 3, column t"):
        instants({"t": ["25/04/2025", "25/04/2025", "04/25/2025"]})
    with pytest.raises(DataError, match="row 2"):
        instants({"t": ["2025-04-03", "03/04/2025"]})
    # One slip among many is a bad date, not a contradiction.
    many = [f"{day}/04/2025" for day in range(13, 31)] * 10
    assert instants({"t": [*many, "04/25/2025"]})[-1] == ""
    assert instants({"t": [*["2025-04-03"] * 99, "03/04/2025"]})[-1] == ""


def test_a_form_can_be_given() -> None:
    assert instants({"d": ["01-04-19", "x"], "t": ["12:04:43", "1"]}, "%d-%m-%y %H:%M:%S") == [
        "2019-04-01T12:04:43+00:00",
        "",
    ]
    assert instants({"t": ["01/04/19 +0200"]}, "%d/%m/%y %z") == ["2019-03-31T22:00:00+00:00"]


def test_typed_times() -> None:
    naive, aware = datetime(2025, 7, 1, 12), datetime(2025, 7, 1, 12, tzinfo=UTC)  # noqa: DTZ001
    expected = ["2025-07-01T10:00:00+00:00", ""]
    assert instants({"t": pa.array([naive, None])}, zone="Europe/Oslo") == expected
    stamps = pa.array([naive, None], pa.timestamp("ns"))
    assert instants({"t": stamps}, zone="Europe/Oslo") == expected
    assert instants({"t": pa.array([aware])}, zone="Europe/Oslo") == ["2025-07-01T12:00:00+00:00"]
    assert instants({"t": pa.array([date(2025, 1, 1)])}) == ["2025-01-01T00:00:00+00:00"]
    two = {"d": pa.array([naive]), "t": pa.array([time(9, 30)])}
    assert instants(two) == ["2025-07-01T09:30:00+00:00"]


# Files


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path, what in (("no.csv", "no such file"), ("no*.csv", "no file matches")):
        with pytest.raises(DataError, match=what) as caught:
            read_source(section(path=path), tmp_path)
        assert caught.value.details["file"] == str(tmp_path / path)
    (tmp_path / "orders").mkdir()
    with pytest.raises(DataError, match=r"this is a folder.*\*\.csv"):
        read_source(section(path="orders"), tmp_path)


def test_a_missing_column_is_named_with_those_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("order_id,sku\n1,2\n")
    with pytest.raises(DataError, match="no such column; there are 'order_id', 'sku'") as caught:
        read_source(section(path="a.csv"), tmp_path).column("item_id")
    assert caught.value.details["column"] == "item_id"
    assert caught.value.details["file"] == str(tmp_path / "a.csv")


def test_a_column_may_not_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("order_id,item_id,item_id\n1,2,3\n")
    with pytest.raises(DataError, match="more than once"):
        read_source(section(path="a.csv"), tmp_path).column("item_id")


@pytest.mark.parametrize(("content", "what"), [(b"", "cannot be read"), (b"a,b\n", "no rows")])
def test_a_file_without_rows_cannot_serve(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=what):
        read_source(section(path="a.csv"), tmp_path)


def test_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("order_id;item_id\n1;brød\n".encode("cp1252"))
    with pytest.raises(DataError, match="not utf-8 text; set encoding"):
        read_source(section(path="a.csv", separator=";"), tmp_path)
    known = section(path="a.csv", separator=";", encoding="cp1252")
    assert read_source(known, tmp_path).column("item_id").to_pylist() == ["brød"]
    with pytest.raises(DataError, match="no such encoding: klingon"):
        read_source(section(path="a.csv", encoding="klingon"), tmp_path)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_source(section(path="a.parquet"), tmp_path)


def test_spreadsheets_and_lists_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="save the sheet as CSV"):
        read_source(section(path="a.xlsx"), tmp_path)
    with pytest.raises(DataError, match="not one value"):
        keys_of(pa.array([["a"], ["b"]]))
    for kind in (pa.binary(), pa.binary(1), pa.large_binary(), pa.binary_view()):
        assert keys_of(pa.array([b"a", b"b"]).cast(kind)) == ["a", "b"]
        with pytest.raises(DataError, match="not UTF-8"):
            keys_of(pa.array([b"\xff"]).cast(kind))


def test_rows_of_another_width_are_set_aside_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("order_id,item_id\n1,a\n2,b,c\n3,c\n4\n5,e\n")
    source = read_source(section(path="a.csv"), tmp_path)
    assert source.column("order_id").to_pylist() == ["1", "3", "5"]
    assert [source.place(row)[1] for row in range(3)] == [1, 3, 5]
    assert [(row.row, row.text) for row in source.ragged] == [(2, "2,b,c"), (4, "4")]


def test_a_glob_reads_files_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "2025").mkdir()
    (tmp_path / "2025" / "b.csv").write_text("item_id,order_id\nx,2\ny,3\n")
    (tmp_path / "2025" / "a.csv").write_text("order_id,item_id\n1,x\n")
    source = read_source(section(path="*/*.csv"), tmp_path)
    assert source.column("order_id").to_pylist() == ["1", "2", "3"]
    assert source.place(0) == (str(tmp_path / "2025" / "a.csv"), 1)
    assert source.place(2) == (str(tmp_path / "2025" / "b.csv"), 2)
    absolute = read_source(section(path=str(tmp_path / "2025" / "?.csv")), Path("/"))
    assert absolute.n_rows == 3


def test_files_of_a_glob_must_fit_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("order_id,item_id\n1,x\n")
    (tmp_path / "b.csv").write_text("order_id,sku\n1,x\n")
    with pytest.raises(DataError, match="it lacks item_id and adds sku") as caught:
        read_source(section(path="*.csv"), tmp_path)
    assert caught.value.details["file"] == str(tmp_path / "b.csv")
    parquet.write_table(pa.table({"order_id": [1]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"order_id": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="holds string here and int64") as caught:
        read_source(section(path="*.parquet"), tmp_path)
    assert caught.value.details["column"] == "order_id"
    # A month without guests stores whole numbers, one with guests floats: the ids are the same.
    parquet.write_table(pa.table({"order_id": [17850.0, None]}), tmp_path / "b.parquet")
    source = read_source(section(path="*.parquet"), tmp_path)
    assert read_keys(source, ("order_id",)).texts.to_pylist() == ["1", "17850"]


# Databases


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table lines (order_id, item_id, note)")
        connection.executemany(
            "insert into lines values (?, ?, ?)", [(1, "a", 1), (2, "b", "x"), (3, None, 2.5)]
        )
    connection.close()
    return tmp_path


def test_a_query_is_run_as_written(database: Path) -> None:
    query = "select order_id, item_id, note, '100%s :x' as mark from lines order by 1"
    source = read_source(section(url="sqlite:///shop.db", query=query), database)
    assert source.table.to_pydict() == {
        "order_id": [1, 2, 3],
        "item_id": ["a", "b", None],
        "note": ["1", "x", "2.5"],
        "mark": ["100%s :x"] * 3,
    }


def test_parts_of_a_query_may_differ_in_type(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mersalg.training.reading.database_source._ROWS_AT_A_TIME", 1)
    query = "select note from lines order by order_id"
    source = read_source(section(url="sqlite:///shop.db", query=query), database)
    assert source.column("note").to_pylist() == ["1", "x", "2.5"]


def test_the_environment_keeps_secrets(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DB", "shop.db")
    query = "select item_id from lines"
    source = read_source(section(url="sqlite:///${SHOP_DB}", query=query), database)
    assert source.n_rows == 3
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        read_source(section(url="sqlite:///${NO_SUCH_VARIABLE}", query=query), database)


def test_what_a_database_refuses(database: Path) -> None:
    def read(url: str, query: str) -> None:
        read_source(section(url=url, query=query), database)

    with pytest.raises(DataError, match="the query failed: no such table: orders"):
        read("sqlite:///shop.db", "select * from orders")
    with pytest.raises(DataError, match="must be a select"):
        read("sqlite:///shop.db", "create table t (x)")
    with pytest.raises(DataError, match="no such file"):
        read("sqlite:///shup.db", "select 1")
    assert not (database / "shup.db").exists()
    with pytest.raises(ConfigError, match="no driver"):
        read("nosuch://u:secret@h/d", "select 1")
    for url in ("shop.db", "postgresql://u:secret@host:port/d"):
        with pytest.raises(ConfigError, match="not a database URL") as caught:
            read(url, "select 1")
        assert "secret" not in caught.value.message
    with pytest.raises(DataError, match="no rows"):
        read("sqlite:///shop.db", "select * from lines where 0")


@pytest.mark.postgres
def test_postgresql_types(fresh_postgres_url: str, tmp_path: Path) -> None:
    query = """
        select 7 as order_id, 'a'::text as item_id, 12.50::numeric as price, 10 % 7 as quantity,
               timestamptz '2025-07-01 12:00+02' as ordered_at
    """
    source = read_source(section(url=fresh_postgres_url, query=query), tmp_path)
    assert read_keys(source, ("order_id",)).texts.to_pylist() == ["7"]
    assert read_numbers(source, "price").values.tolist() == [12.5]
    moments = read_moments(source, ("ordered_at",), None, "UTC")
    assert clock.to_iso(int(moments.micros[0])) == "2025-07-01T10:00:00+00:00"
    with pytest.raises(DataError) as caught:
        read_source(section(url=fresh_postgres_url, query="select * from nothing"), tmp_path)
    assert "nothing" in caught.value.message


# Three doors


def assert_same(left: Dataset, right: Dataset) -> None:
    pd.testing.assert_frame_equal(left.lines, right.lines)
    for name in ("order_ids", "customer_ids", "store_ids"):
        assert list(getattr(left, name)) == list(getattr(right, name))
    np.testing.assert_array_equal(left.ordered_at, right.ordered_at)
    np.testing.assert_array_equal(left.customer, right.customer)
    np.testing.assert_array_equal(left.baskets.indptr, right.baskets.indptr)
    np.testing.assert_array_equal(left.baskets.items, right.baskets.items)
    ours, theirs = arrays_of(left.catalogue), arrays_of(right.catalogue)
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array)


def test_the_same_data_through_three_doors(tmp_path: Path) -> None:
    rows = [
        line("1", "10", "2025-03-01 12:00:00", "17850", 2, "12.5", "1.25", "Oslo"),
        line("1", "11", "2025-03-01 12:00:00", "17850", 1, "99.9", "", "Oslo"),
        line("2", "10", "2025-03-02 09:30:00", "", 1.5, "12.5", "", ""),
        line("3", "11", "2025-03-03 09:30:00", "17850", -1, "99.9", "", "Oslo"),
        line("4", "12", "2025-03-03 10:00:00", "12", 1, "-5", "", "Oslo"),
        line("5", "12", "2025-03-03 10:00:00", "12", 3, "5", "", "Oslo"),
    ]
    by_csv = load(tmp_path, config(), rows)
    frame = pd.DataFrame(rows, columns=list(ORDER_COLUMNS)).replace("", None)
    for name in ("order", "item", "quantity", "price", "discount", "customer"):
        frame[name] = pd.to_numeric(frame[name])
    frame["time"] = pd.to_datetime(frame["time"])
    frame.to_parquet(tmp_path / "orders.parquet")
    by_parquet = load(tmp_path, config(path="orders.parquet"))
    with sqlite3.connect(tmp_path / "orders.db") as connection:
        frame.assign(time=frame["time"].astype(str)).to_sql("lines", connection, index=False)
    connection.close()
    by_query = load(
        tmp_path,
        config(path="", url="sqlite:///orders.db", query='select * from "lines"'),
    )
    assert by_csv.n_orders == 3
    for other in (by_parquet, by_query):
        assert_same(by_csv, other)
        ours, theirs = by_csv.quality.to_json(), other.quality.to_json()
        assert theirs["returns"] == ours["returns"]
        for part in ("left_out", "notes"):
            counts = {name: found["rows"] for name, found in ours["orders"][part].items()}
            assert {n: f["rows"] for n, f in theirs["orders"][part].items()} == counts
    # Semicolons and decimal commas say the same once more.
    comma = [row | {"price": row["price"].replace(".", ",")} for row in rows]
    comma = [
        row
        | {
            "quantity": str(row["quantity"]).replace(".", ","),
            "discount": row["discount"].replace(".", ","),
        }
        for row in comma
    ]
    write_csv(tmp_path / "orders.csv", comma, delimiter=";", encoding="utf-8-sig")
    assert_same(by_csv, load(tmp_path, config(separator=";", decimal=",")))


def test_the_name_of_a_database_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    for url in (
        "postgresql://shop:${SHOP_PASSWORD}@db/orders",
        "postgresql://db/orders?user=shop&password=${SHOP_PASSWORD}",
    ):
        shown = without_password(url)
        assert "hunter2" not in shown
        assert "db/orders" in shown
