"""Orders read by Spark where they lie, against the same read into memory."""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.protocol import Counted
from mersalg.training.mining.search import count_source
from mersalg.training.mining.spark.session import open_session, reading
from mersalg.training.reading.basket_files import read_baskets, read_baskets_of_query
from tests.support.spark import DRIVER_JAR
from tests.support.system import missing

pytestmark = [
    pytest.mark.spark,
    pytest.mark.usefixtures("spark"),
]
LABELS = ("milk", " bread ", "blå, grov", 'a "B" c', "7", "07", "ærter\u2028", "x", "y", "z")


def _rows(n_orders: int = 120, seed: int = 1) -> list[list[str]]:
    draw = random.Random(seed)
    return [draw.choices(LABELS, k=draw.randint(1, 7)) for _ in range(n_orders)]


def _lines(rows: list[list[str]]) -> pd.DataFrame:
    pairs = [(f"o{number}", label) for number, row in enumerate(rows) for label in row]
    return pd.DataFrame(pairs, columns=["order_id", "item_id"])


def _count(source: Path | str, engine: str = "spark", **options: object) -> Counted:
    settings = {"min_count": 4, "max_length": 4, "progress": SilentProgress(), **options}
    return count_source(str(source), engine=engine, **settings)  # type: ignore[arg-type]


def _assert_same(found: Counted, expected: Counted) -> None:
    """Equal to the integer; items are compared by label, since Spark names the frequent only."""
    places = {label: place for place, label in enumerate(expected.items)}
    names = [places[label] for label in found.items]
    assert len(names) == len(expected.itemsets.counts[0]) > 2
    name_of = np.array(names, dtype=np.int32)
    sets, counted = found.itemsets, expected.itemsets
    assert (sets.n_orders, sets.min_count) == (counted.n_orders, counted.min_count)
    assert (found.n_items, found.n_oversized) == (expected.n_items, expected.n_oversized)
    assert found.fullness.n_entries == expected.fullness.n_entries
    for rows, theirs, counts, their_counts in zip(
        sets.items, counted.items, sets.counts, counted.counts, strict=True
    ):
        np.testing.assert_array_equal(name_of[rows], theirs)
        np.testing.assert_array_equal(counts, their_counts)
    entries, their_entries = found.fullness.entries, expected.fullness.entries
    assert len(entries) == sets.max_length - 1
    # The engine in memory counts only the parts of longer sets.
    for longer, here, there in zip(counted.counts[1:], entries, their_entries, strict=True):
        if len(longer):
            np.testing.assert_array_equal(here, there)


def _agree(path: Path, **options: object) -> None:
    _assert_same(_count(path, **options), _count(path, "local", **options))


def test_a_parquet_table(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    _lines(_rows()).assign(other=1.5).to_parquet(path)
    _agree(path)


def test_baskets_that_are_too_large_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    _lines(_rows()).to_parquet(path)
    found = _count(path, max_basket_size=3)
    assert found.n_oversized > 10
    _assert_same(found, _count(path, "local", max_basket_size=3))


def test_numbers_are_ids_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "order_id": np.array([dt.date(2026, 1, 1 + n) for n in draw.integers(0, 28, 300)]),
            "item_id": draw.choice([1.0, 2.0, 2.5, 1e22, -3.0, 7.0], 300),
        }
    )
    frame.to_parquet(tmp_path / "orders.parquet")
    _agree(tmp_path / "orders.parquet")


def test_a_glob_and_a_folder_of_parquet_are_one_table(tmp_path: Path) -> None:
    lines = _lines(_rows())
    lines.to_parquet(tmp_path / "whole.parquet")
    folder = tmp_path / "parts"
    folder.mkdir()
    # An order lies in two files, and one of its lines in both.
    for number, part in enumerate((lines[:150], lines[149:330], lines[320:])):
        part.to_parquet(folder / f"part-{number}.parquet")
    expected = _count(tmp_path / "whole.parquet", "local")
    _assert_same(_count(folder / "part-*.parquet"), expected)
    _assert_same(_count(folder), expected)


def test_a_csv_table_keeps_exact_texts(tmp_path: Path) -> None:
    path = tmp_path / "orders [1].csv"
    lines = _lines(_rows()).assign(remark='two\nlines, "quoted"')
    lines.rename(columns={"order_id": " order_id"}).to_csv(path, index=False, encoding="utf-8-sig")
    _agree(path)


def test_lines_of_baskets(tmp_path: Path) -> None:
    spaced, quoted = tmp_path / "a.dat", tmp_path / "a.csv"
    rows = [[label.strip().replace(" ", "") for label in row] for row in _rows()]
    text = "\r\n".join("\u00a0 ".join(row) for row in rows)
    spaced.write_bytes(f"\ufeff{text}\n\n  \t\n".encode())
    _agree(spaced)
    with quoted.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([*_rows(), [], ["", " "], ['6" nails', "milk"]])
    _agree(quoted)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"order_id,item_id\n1,a\n2,\n", "a cell is empty (column item_id)"),
        ("b.csv", b"order_id,item_id\n1,a\n2,b,c\n", "more or fewer cells"),
        ("c.csv", b"order_id,item_id\n1,a\n2\n", "more or fewer cells"),
        ("d.csv", b"order_id,item_id\n1,bl\xe5\n", "not UTF-8 text"),
        ("e.csv", b'a,"b\nc",d\n', "a quote is not closed in it"),
        ("f.csv", b'a,"b"c\n', "a quote is not closed in it"),
        ("g.dat", b"a bl\xe5\n", "not UTF-8 text"),
        ("h.dat", b" \n\n", "there is no basket"),
        ("i.txt", b"a b\n", "read from .dat, .basket, .csv or .parquet"),
    ],
)
def test_what_cannot_serve_is_reported(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as reported:
        _count(path)
    assert message in reported.value.message
    assert str(path) in reported.value.message


def test_what_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file.*nothing-\*\.parquet"):
        _count(tmp_path / "nothing-*.parquet")
    pd.DataFrame({"order_id": [1], "product": [2]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no such column.*'product'"):
        _count(tmp_path / "a.parquet")
    pd.DataFrame({"order_id": [1], "item_id": [["a", "b"]]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="not one value"):
        _count(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot read it"):
        _count(tmp_path / "c.parquet")


def test_a_database_without_a_driver_is_reported() -> None:
    spark = open_session()
    with pytest.raises(ConfigError, match=r"no JDBC driver.*spark\.jars"), reading("jdbc:none"):
        spark.read.jdbc("jdbc:nothing://host/db", "orders").count()
    with pytest.raises(ConfigError, match="with a query"):
        _count("postgresql://user:secret@host/db")


@pytest.mark.postgres
def test_postgresql_is_read_by_several_connections(
    fresh_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    if not DRIVER_JAR.is_file():
        missing("the JDBC driver of PostgreSQL (libpostgresql-jdbc-java)")
    lines = _lines(_rows())
    with psycopg.connect(fresh_postgres_url, autocommit=True) as connection:
        connection.execute("create table lines (order_number numeric, item text, sold boolean)")
        values = [(int(order[1:]), item, True) for order, item in lines.itertuples(index=False)]
        with connection.cursor() as cursor:
            cursor.executemany("insert into lines values (%s, %s, %s)", values)
            cursor.execute("insert into lines values (1, 'not sold', false)")
    monkeypatch.setenv("SHOP_DATABASE", fresh_postgres_url)
    query = """
        select order_number as order_id, item as item_id from lines
        where sold and item like '%' -- returns are not sold
    """
    found = _count("${SHOP_DATABASE}", query=query)
    _assert_same(found, _count(fresh_postgres_url, "local", query=query))
    lines.to_parquet(tmp_path / "orders.parquet")
    _assert_same(found, _count(tmp_path / "orders.parquet", "local"))
    assert (
        read_baskets_of_query(fresh_postgres_url, query)[0].n_orders
        == len(read_baskets(tmp_path / "orders.parquet")[0].indptr) - 1
    )
    empty = "select null::int as order_id, item as item_id from lines"
    with pytest.raises(DataError, match="a cell is empty"):
        _count(fresh_postgres_url, query=empty)
    with pytest.raises(DataError, match="nowhere"):
        _count(fresh_postgres_url, query="select order_id, item_id from nowhere")
