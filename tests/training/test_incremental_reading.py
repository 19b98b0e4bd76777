"""What is read anew, and that remembered and new rows are as if all had been read."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sqlalchemy import create_engine, text

from engine.config import ShopConfig, parse_config
from engine.errors import DataError
from engine.progress import SilentProgress
from training.dataset import Dataset, Sources, load_dataset
from training.incremental.parts import Part, Reading, read_file_parts, source_of
from training.incremental.row_digests import OTHER_COLUMNS, digest_of_rows, row_digests, slimmed
from training.incremental.window import read_database_part

HEADER = "order_id,ordered_at,item_id,quantity,price,remark\n"
COLUMNS = {"ordered_at": "ordered_at", "quantity": "quantity", "unit_price": "price"}


def shop(**orders: Any) -> ShopConfig:
    return parse_config(
        {
            "shop": {"name": "Test", "currency": "NOK"},
            "orders": {"columns": COLUMNS, **orders},
        }
    )


def line(order: str, item: str, day: int = 1, quantity: str = "1", remark: str = "") -> str:
    return f"{order},2026-03-{day:02} 10:00:00,{item},{quantity},10.00,{remark}\n"


def settle(*paths: Path) -> None:
    """As if the files had last been changed long before they are read."""
    for path in paths:
        moment = time.time_ns() - 60_000_000_000
        os.utime(path, ns=(moment, moment))


def read_again(
    config: ShopConfig, folder: Path, parts: list[Part]
) -> tuple[list[Part], Reading, Dataset]:
    """Read with memory; what comes out must be what a reading of everything gives."""
    found, reading = read_file_parts(config.orders, folder, {part.name: part for part in parts})
    dataset = dataset_of(config, folder, found)
    assert_same(dataset, load_dataset(config, folder, SilentProgress()))
    return found, reading, dataset


def dataset_of(config: ShopConfig, folder: Path, parts: list[Part]) -> Dataset:
    sources = Sources(source_of(parts, config.orders, folder), None)
    return load_dataset(config, folder, SilentProgress(), sources=sources)


def assert_same(left: Dataset, right: Dataset, *, numbered: bool = True) -> None:
    """`numbered`: whether the rows have numbers of their own, as those of a database have not."""
    assert left.lines.equals(right.lines)
    assert list(left.order_ids) == list(right.order_ids)
    assert list(left.catalogue.items.ids) == list(right.catalogue.items.ids)
    np.testing.assert_array_equal(left.ordered_at, right.ordered_at)
    qualities = [repr(dataset.quality) for dataset in (left, right)]
    if not numbered:
        qualities = [re.sub(r"\brow=\d+", "row", quality) for quality in qualities]
    assert qualities[0] == qualities[1]


def test_rows_appended_to_a_csv_file_are_read_alone(tmp_path: Path) -> None:
    config, path = shop(path="orders.csv"), tmp_path / "orders.csv"
    first = [line("a", "x"), line("a", "y", remark='"two\nlines, and ""quotes"""'), line("b", "x")]
    path.write_text(HEADER + "".join(first) + "b,y\n")
    settle(path)
    parts, reading, _ = read_again(config, tmp_path, [])
    assert (reading.anew, reading.rows_read) == (1, 4)
    # A late line of an old order, a return, a row too short, a line that stood there before.
    more = [line("b", "y", 2), line("a", "x", 3, "-1"), "c\n", line("c", "z", 4), first[0]]
    with path.open("a") as file:
        file.writelines(more)
    found, reading, dataset = read_again(config, tmp_path, parts)
    assert (reading.grown, reading.rows_read, reading.rows_remembered) == (1, 5, 4)
    assert dataset.quality.orders.left_out["ragged_row"].rows == 2
    assert dataset.quality.orders.left_out["duplicate_line"].rows == 1
    assert [example.row for example in dataset.quality.orders.left_out["ragged_row"].examples] == [
        4,
        7,
    ]
    settle(path)
    _, reading, _ = read_again(config, tmp_path, found)
    assert (reading.unchanged, reading.rows_read) == (1, 0)


@pytest.mark.parametrize(
    "change",
    ["edited", "shortened", "no line end", "open quote", "utf-16"],
)
def test_a_file_that_did_not_just_grow_is_read_whole(tmp_path: Path, change: str) -> None:
    encoding = "utf-16" if change == "utf-16" else "utf-8"
    config, path = shop(path="orders.csv", encoding=encoding), tmp_path / "orders.csv"
    content = HEADER + line("a", "x") + line("b", "y")
    after = content + line("c", "z")
    if change == "edited":
        after = after.replace("b,", "d,")
    elif change == "shortened":
        after = HEADER + line("a", "x")
    elif change == "no line end":
        content = content[:-1]
    elif change == "open quote":
        content = HEADER + line("a", "x") + '"b\n'
        after = content + line('"', "x")
    path.write_text(content, encoding=encoding)
    settle(path)
    config_parts, _ = read_file_parts(config.orders, tmp_path, {})
    path.write_text(after, encoding=encoding)
    settle(path)
    _, reading, _ = read_again(config, tmp_path, config_parts)
    assert (reading.anew, reading.rows_remembered) == (1, 0)


def test_files_of_a_glob_are_told_apart(tmp_path: Path) -> None:
    config = shop(path="orders/*.csv")
    folder = tmp_path / "orders"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.csv").write_text(HEADER + line(name, "x") + line(name, "y"))
    settle(*folder.iterdir())
    parts, _, _ = read_again(config, tmp_path, [])
    # One goes, one is touched, one comes between, with its columns in another order.
    (folder / "a.csv").unlink()
    os.utime(folder / "c.csv")
    columns = HEADER.strip().split(",")[::-1]
    cells = line("b2", "x", 2).strip().split(",")[::-1]
    (folder / "b2.csv").write_text(",".join(columns) + "\n" + ",".join(cells) + "\n")
    found, reading, dataset = read_again(config, tmp_path, parts)
    assert (reading.unchanged, reading.anew, reading.gone) == (2, 1, 1)
    assert (reading.rows_read, reading.rows_remembered) == (1, 4)
    assert sorted(dataset.order_ids) == ["b", "b2", "c"]
    assert [part.name for part in found] == ["orders/b.csv", "orders/b2.csv", "orders/c.csv"]


def test_a_file_changed_just_before_is_looked_into_though_its_time_is_the_same(
    tmp_path: Path,
) -> None:
    config, path = shop(path="orders.csv"), tmp_path / "orders.csv"
    path.write_text(HEADER + line("a", "x"))
    status = path.stat()
    parts, _, _ = read_again(config, tmp_path, [])
    path.write_text(HEADER + line("a", "z"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    _, reading, dataset = read_again(config, tmp_path, parts)
    assert reading.anew == 1
    assert list(dataset.catalogue.items.ids) == ["z"]


def test_files_that_do_not_fit_are_refused_as_ever(tmp_path: Path) -> None:
    config = shop(path="*.csv")
    (tmp_path / "a.csv").write_text(HEADER + line("a", "x"))
    parts, _, _ = read_again(config, tmp_path, [])
    (tmp_path / "b.csv").write_text(
        "order_id,ordered_at,item_id,quantity,price\nb,2026-03-01,x,1,1\n"
    )
    with pytest.raises(DataError, match="lacks remark"):
        read_file_parts(config.orders, tmp_path, {part.name: part for part in parts})
    (tmp_path / "b.csv").unlink()
    (tmp_path / "a.csv").write_text("order_id,item_id\na,x\n")
    with pytest.raises(DataError, match="no such column"):
        read_file_parts(config.orders, tmp_path, {part.name: part for part in parts})


def test_parquet_files_are_remembered(tmp_path: Path) -> None:
    config = shop(path="*.parquet")
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    for name in ("a", "b"):
        table = pa.table(
            {
                "order_id": pa.array([name, name]).dictionary_encode(),
                "ordered_at": [moment, moment],
                "item_id": [1, 2],
                "quantity": [1, 1],
                "price": [10.0, None],
                "note": [["x"], None],
            }
        )
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
        settle(tmp_path / f"{name}.parquet")
        if name == "a":
            parts, _, _ = read_again(config, tmp_path, [])
    _, reading, _ = read_again(config, tmp_path, parts)
    assert (reading.unchanged, reading.anew) == (1, 1)


def test_columns_nobody_asked_for_leave_only_their_likeness() -> None:
    table = pa.table({"order_id": ["1", "1", "1"], "mail": ["a@b", "a@b", "c@d"], "n": [1, 1, 1]})
    slim = slimmed(table, ["order_id"])
    assert slim.column_names == ["order_id", OTHER_COLUMNS]
    first, second, third = slim.column(OTHER_COLUMNS).to_pylist()
    assert first == second != third


def test_digests_know_rows_in_any_order_and_numbers_of_any_type() -> None:
    table = pa.table({"id": [2**60 + 1, 2, None], "price": [1.5, 2.0, 3.0]})
    assert digest_of_rows(table) == digest_of_rows(table.take([2, 0, 1]))
    other = table.set_column(0, "id", pa.array([2**60, 2, None]))
    assert digest_of_rows(table) != digest_of_rows(other)
    whole = pa.table({"n": pa.array([1, 2, None], pa.int32())})
    floats = pa.table({"n": pa.array([1.0, 2.0, None])})
    np.testing.assert_array_equal(row_digests(whole), row_digests(floats))


QUERY = "select * from lines where item_id <> '%'  -- all, at 10:30\n;"
FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shop:
    """Order lines in a real database."""

    def __init__(self, url: str, folder: Path, kind: str) -> None:
        self.engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        self.folder, self.kind = folder, kind
        self.config = shop(url=url, query=QUERY)
        with self.engine.begin() as connection:
            columns = f"order_id text, ordered_at {kind}, item_id text, quantity int, price numeric"
            connection.execute(text(f"create table lines ({columns})"))

    def add(self, order: str, day: float, item: str = "x") -> None:
        moment: Any = FIRST + timedelta(days=day)
        if self.kind == "text":
            moment = f"{moment:%Y-%m-%d %H:%M:%S}"
        with self.engine.begin() as connection:
            connection.execute(
                text("insert into lines values (:order, :moment, :item, 1, 10)"),
                {"order": order, "moment": moment, "item": item},
            )

    def run(self, command: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(command))

    def read(self, known: Part | None) -> tuple[Part, Reading]:
        parts, reading = read_database_part(self.config, self.folder, known)
        dataset = dataset_of(self.config, self.folder, parts)
        whole = load_dataset(self.config, self.folder, SilentProgress())
        assert_same(dataset, whole, numbered=False)
        return parts[0], reading


@pytest.fixture(params=["sqlite", "postgres timestamptz", "postgres text"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "sqlite":
        found = sqlite_shop(tmp_path)
    else:
        url = request.getfixturevalue("fresh_postgres_url")
        found = Shop(url, tmp_path, request.param.split()[1])
    yield found
    found.engine.dispose()


def sqlite_shop(folder: Path) -> Shop:
    sqlite3.connect(folder / "shop.db").close()
    return Shop(f"sqlite:///{folder / 'shop.db'}", folder, "text")


def test_a_database_gives_its_last_days_only(database: Shop) -> None:
    for day in range(30):
        database.add(f"o{day}", day)
        database.add(f"o{day}", day, "y")
    known, reading = database.read(None)
    assert (reading.anew, reading.rows_read) == (1, 60)
    _, reading = database.read(known)
    assert (reading.unchanged, reading.rows_read, reading.rows_remembered) == (1, 16, 44)
    # New, late by three days, late by a line, changed, and cancelled: all in the last week.
    database.add("o30", 30)
    database.add("late", 27)
    database.add("o28", 28, "z")
    database.run("update lines set item_id = 'w' where order_id = 'o25' and item_id = 'y'")
    database.run("delete from lines where order_id = 'o29'")
    known, reading = database.read(known)
    assert (reading.grown, reading.rows_read, reading.rows_remembered) == (1, 17, 44)
    # Too late for the window, yet noticed by the number of lines before it.
    database.add("very late", 3)
    known, reading = database.read(known)
    assert reading.anew == 1
    assert "there are 47 order lines, and not the 46 remembered" in reading.reason
    database.run("delete from lines where order_id = 'o1'")
    _, reading = database.read(known)
    assert reading.anew == 1


def test_lines_without_a_time_are_counted_with_the_earlier_ones(database: Shop) -> None:
    for day in range(20):
        database.add(f"o{day}", day)
    known, _ = database.read(None)
    database.run("insert into lines values ('timeless', null, 'x', 1, 10)")
    known, reading = database.read(known)
    assert reading.anew == 1
    database.add("o20", 20)
    _, reading = database.read(known)
    assert (reading.grown, reading.rows_remembered) == (1, 13)


def test_times_that_do_not_sort_as_texts_are_read_whole(tmp_path: Path) -> None:
    database = sqlite_shop(tmp_path)
    for day in (1, 2, 13, 14):
        database.run(f"insert into lines values ('o{day}', '{day}.03.2026', 'x', 1, 10)")
    known, _ = database.read(None)
    _, reading = database.read(known)
    assert reading.anew == 1
    assert "do not sort" in reading.reason
    database.engine.dispose()


def test_other_columns_of_the_query_are_read_whole(database: Shop) -> None:
    for day in range(20):
        database.add(f"o{day}", day)
    known, _ = database.read(None)
    database.run("alter table lines add column remark text")
    _, reading = database.read(known)
    assert reading.anew == 1
    assert "columns of the query" in reading.reason
