"""Basket files for mining: every form, and what they say when they cannot serve."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.vocabulary import Vocabulary
from mersalg.training.reading.basket_files import read_baskets
from tests.support.shared_data import shared_data


def labels(read: tuple[Baskets, Vocabulary]) -> list[list[str]]:
    baskets, items = read
    return [[items[item] for item in baskets[n]] for n in range(baskets.n_orders)]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_items_parted_by_spaces(tmp_path: Path) -> None:
    for name in ("a.dat", "a.basket"):
        path = written(tmp_path, name, "3 1 2 \r\n\n1 1\t10\n   \n2")
        assert labels(read_baskets(path)) == [["1", "2", "3"], ["1", "10"], ["2"]]
        assert list(read_baskets(path)[1]) == ["1", "10", "2", "3"]


def test_items_parted_by_commas_keep_their_exact_text(tmp_path: Path) -> None:
    text = '\ufeffmilk,cream cheese \n"salt, fine",milk,milk\n\ncream cheese,,\n,\n"6"" nails"\n'
    assert labels(read_baskets(written(tmp_path, "a.csv", text))) == [
        ["cream cheese ", "milk"],
        ["milk", "salt, fine"],
        ["cream cheese"],
        ['6" nails'],
    ]
    assert labels(read_baskets(written(tmp_path, "b.csv", "a,b\rb,c\r"))) == [
        ["a", "b"],
        ["b", "c"],
    ]


@given(
    st.lists(
        st.lists(st.text(st.sampled_from('ab ,"\n\u2028ø'), min_size=1, max_size=5), max_size=5),
        max_size=8,
    )
)
def test_whatever_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "whatever.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["start"], *rows])
    kept = [sorted({label for label in row if label.strip()}) for row in rows]
    assert labels(read_baskets(path)) == [["start"], *(row for row in kept if row)]


def test_a_table_of_order_lines(tmp_path: Path) -> None:
    text = "line,order_id,item_id\n1,07,b\n2,07,a \n3,7,b\n4,07,b\n"
    expected = [["a ", "b"], ["b"]]
    for end in ("\n", "\r\n", "\r"):
        path = written(tmp_path, "a.csv", text.replace("\n", end).encode())
        assert labels(read_baskets(path)) == expected
    frame = pd.DataFrame({"item_id": ["b", "a ", "b"], "order_id": [7, 7, 8], "n": 1})
    frame.to_parquet(tmp_path / "a.parquet")
    assert labels(read_baskets(tmp_path / "a.parquet")) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "1 2", "read from .dat, .basket, .csv or .parquet"),
        ("a.dat", "\n \n", "there is no basket"),
        ("a.csv", "", "there is no basket"),
        ("a.csv", "order_id,item_id\n", "there is no basket"),
        ("a.dat", b"1 2\n\xff\n", "not UTF-8 text"),
        ("a.csv", "a;b;c\na;b\n", "parted by commas, these by semicolons"),
        ("a.csv", "a\tb\nb\nc\td\n", "these by tabs"),
        # A column for each item.
        ("a.csv", "bread,milk\nTrue,False\nTrue,True\n", "a column for each item"),
        ("a.csv", ",bread,milk,tea\n0,1,0,1\n1,0,0,1\n", "a column for each item"),
        ("a.csv", "bread,milk,tea\n1,,1\n,1,1\n", "a column for each item"),
        ("a.csv", "brød,melk,te\nja,nei,nei\nnei,nei,ja\n", "a column for each item"),
        ("a.csv", "bread,milk,tea\nt,?,?\n?,t,?\n", "a column for each item"),
        ("a.csv", "bread,milk,tea\n0,2,0\n3,0,0\n1,0,0\n", "a column for each item"),
        ("a.dat", "1 0 1 1\n0 0 1 0\n1 1 0 0\n", "a column for each item"),
        # Other programs.
        ("a.dat", "@CONVERTED_FROM_TEXT\n@ITEM=1=apple\n1 2\n", "begin with @ are of SPMF"),
        ("a.csv", ",0,1,2\n0,tea,bun,\n1,tea,pie,\n", "rows of a data frame"),
        ("a.csv", "<orders>\n<order>tea</order>\n</orders>\n", "markup such as XML"),
        ("a.dat", "@relation shop\n@data\n1 2\n", "SPMF or ARFF"),
        ("a.dat", "# a comment\n1 2\n2 3\n", "lines that begin with #"),
        ("a.dat", "% a comment\n1 2\n", "lines that begin with %"),
        ("a.dat", "1 -1 2 3 -1 -2\n2 -1 -2\n", "events of a sequence"),
        ("a.dat", "3 5 1 2:10:3 5 1 1\n1 4:6:2 4\n", "utilities"),
        ("a.csv", "\"['milk', 'bread']\"\n\"['tea']\"\n", "lists or objects"),
        ("a.csv", "['milk', 'bread']\n['tea', 'milk']\n", "lists or objects"),
        ("a.dat", "milk,bread\ntea\nmilk,tea\n", "separated by white space"),
        ("a.dat", "milk;bread\ntea;milk\n", "separated by white space"),
        # Headers.
        ("a.csv", "items\nmilk,tea\ntea\n", "a header .'items'"),
        ("a.csv", "Item(s),Item 1,Item 2\n2,milk,tea\n1,tea,\n", "a header"),
        ("a.csv", "Member_number,Date,itemDescription\n1,2024-01-01,tea\n", "a header"),
        ("a.csv", "Varer\nmelk,te\n", "a header"),
        ("a.csv", "InvoiceNo,StockCode,Quantity\n536365,85123A,6\n", "a header"),
        ("a.dat", "Transaction Items\n1 2\n", "a header"),
        # Semicolons with decimal commas.
        ("a.csv", "milk;1,50\ntea;2,30\nbun;3,10\n", "decimal comma"),
        ("a.csv", "1;milk;1,50\n2;tea;2,30\n", "decimal comma"),
        ("a.csv", 'a,b\n"c,d\n', "cannot be read as CSV"),
        ("a.csv", "a" * 200_000, "cannot be read as CSV: field larger than field limit"),
        ("a.csv", "order_id,item_id\n1,a\n2\n", "more or fewer cells"),
        ("a.csv", "order_id,item_id\n1,a\n2,\n", "the cell is empty"),
        ("a.parquet", "no", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_serve(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        read_baskets(path)
    assert caught.value.details["file"] == str(path)


def test_an_item_may_hold_a_semicolon(tmp_path: Path) -> None:
    assert labels(read_baskets(written(tmp_path, "a.csv", "a;b,c\na;b\n"))) == [
        ["a;b", "c"],
        ["a;b"],
    ]
    assert labels(read_baskets(written(tmp_path, "b.csv", "a;b\n"))) == [["a;b"]]


def test_baskets_that_look_a_little_like_other_files(tmp_path: Path) -> None:
    for name, content in (
        ("a.dat", "0 1\n1\n0\n0 1\n"),  # items 0 and 1
        ("b.csv", "product 1,tea\ntea,product 1\n"),
        ("c.csv", "#1,#2\n#2\n"),
        ("d.dat", "#1 #2\n#2\n"),
        ("g.dat", "[red] [blue]\n[red]\n"),
        ("e.csv", "yes,no\nno,maybe\nyes\n"),
        ("f.csv", "tea 1,50 g\nsalt,tea 2\n50 g\n"),
    ):
        read = labels(read_baskets(written(tmp_path, name, content)))
        assert len(read) == len(content.splitlines()), name


def test_the_row_is_named(tmp_path: Path) -> None:
    for name, content, row in (
        ("a.dat", b"1 2\n\xff\n", 2),
        ("b.csv", b"order_id,item_id\n1,a\n2\n", 2),
        ("c.csv", b"order_id,item_id\n1,a\n,b\n", 2),
        ("d.csv", b'a,b\n"c"d,e\n', 2),
    ):
        with pytest.raises(DataError) as caught:
            read_baskets(written(tmp_path, name, content))
        assert caught.value.details["row"] == row, name
    with pytest.raises(DataError, match="no such file"):
        read_baskets(tmp_path / "nothing.dat")
    pd.DataFrame({"order": [1], "item_id": ["a"]}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="no such column; there are 'order', 'item_id'"):
        read_baskets(tmp_path / "e.parquet")


@pytest.mark.realdata
def test_groceries() -> None:
    baskets, items = read_baskets(shared_data("groceries") / "groceries.csv")
    assert (baskets.n_orders, len(items), len(baskets.items)) == (9_835, 169, 43_367)
    assert "cream cheese " in items
    assert "cream cheese" not in items


@pytest.mark.realdata
def test_retail() -> None:
    baskets, items = read_baskets(shared_data("fimi_retail") / "retail.dat")
    assert (baskets.n_orders, len(items), len(baskets.items)) == (88_162, 16_470, 908_576)
