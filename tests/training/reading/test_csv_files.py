"""CSV files that cannot serve say so: a quotation mark too many loses no row in silence."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.errors import DataError
from mersalg.training.reading.basket_files import read_baskets
from mersalg.training.reading.csv_files import read_csv

HEADER = "order,item,price"
ROWS = [f"{number},item-{number % 7},10.00" for number in range(1, 101)]


def _written(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "orders.csv"
    path.write_text("\n".join([header, *rows, ""]), "utf-8")
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(DataError) as refused:
        read_csv(path, separator=",", encoding="utf-8")
    return str(refused.value)


def test_a_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    rows = [*ROWS]
    rows[50] = '51,"item-2,10.00'
    said = _refusal(_written(tmp_path, rows))
    assert "over 49 lines that look like rows" in said
    assert "row 51" in said


def test_two_stray_quotes_are_named_with_row_and_column(tmp_path: Path) -> None:
    rows = [*ROWS]
    rows[2] = "half a row"
    rows[9] = '10,"item-3,10.00'
    rows[29] = '30,item-2",10.00'
    said = _refusal(_written(tmp_path, rows))
    assert "over 19 lines" in said
    assert "row 10, column item" in said


def test_a_name_may_go_on_over_lines(tmp_path: Path) -> None:
    rows = ['1,"A lamp\nfor tables, desks, shelves\n\nand more",10.00', *ROWS]
    table, ragged = read_csv(_written(tmp_path, rows), separator=",", encoding="utf-8")
    assert (table.num_rows, ragged) == (101, [])
    assert table.column("item")[0].as_py().endswith("and more")


CELLS = st.text(st.sampled_from('ab,;"\n '), max_size=12)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_whatever_csv_writes_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("v", "w", "x", "y", "z"), *rows])
    path.write_text(text.getvalue(), "utf-8", newline="")
    like_rows = [
        sum(line.count(",") == 4 for line in re.split("\n", cell)[1:])
        for row in rows
        for cell in row
    ]
    if max(like_rows) >= 2:
        with pytest.raises(DataError, match="look like rows"):
            read_csv(path, separator=",", encoding="utf-8")
        return
    table, ragged = read_csv(path, separator=",", encoding="utf-8")
    assert ragged == []
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_a_table_to_mine_is_held_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text('order_id,item_id\n1,a\n1,"b\n2,a\n2,b\n')
    with pytest.raises(DataError, match=r"2 lines that look like rows.*row 2, column item_id"):
        read_baskets(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_what_spreadsheets_call_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order,item\n1,blåbær\n", encoding)
    assert "set encoding = 'utf-16'" in _refusal(path)
    if encoding == "utf-16":
        table, _ = read_csv(path, separator=",", encoding=encoding)
        assert table.column("item").to_pylist() == ["blåbær"]


def test_text_that_is_neither_utf8_nor_of_the_right_width_is_reported_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes("order,item\n1,blåbær,2\n2,a\n".encode("latin-1"))
    assert "not utf-8 text; set encoding" in _refusal(path)
    assert capfd.readouterr().err == ""
