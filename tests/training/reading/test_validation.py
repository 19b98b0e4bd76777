"""Every kind of bad row is counted by its reason, with examples, and left out."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.errors import DataError
from mersalg.training.reading.validation import NOTES, REASONS, warnings_of
from tests.support.shop_files import (
    ORDER_COLUMNS,
    baskets_by_id,
    config,
    line,
    load,
    write_csv,
)

CATALOGUE = """
[catalogue]
path = "catalogue.csv"

[catalogue.columns]
item_id = "sku"
name = "title"
price = "price"
cost = "cost"
in_stock = "stock"
active = "active"
compatible_with = "fits"
"""
CATALOGUE_COLUMNS = ("sku", "title", "price", "cost", "stock", "active", "fits")


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


BAD_ROWS: list[tuple[str, dict[str, Any], str, str]] = [
    ("missing_order_id", line("", "a"), "order", ""),
    ("missing_order_id", line("  ", "a"), "order", "  "),
    ("missing_item_id", line("o1", ""), "item", ""),
    ("ignored_item", line("o1", "frakt"), "item", "frakt"),
    ("other_currency", line("o1", "a", currency="SEK"), "currency", "SEK"),
    ("other_currency", line("o3", "a", currency=""), "currency", ""),
    ("bad_quantity", line("o1", "a", quantity="two"), "quantity", "two"),
    ("bad_quantity", line("o1", "a", quantity=""), "quantity", ""),
    ("bad_quantity", line("o1", "a", quantity="1e999"), "quantity", "1e999"),
    ("zero_quantity", line("o1", "a", quantity="0.0"), "quantity", "0.0"),
    ("absurd_quantity", line("o1", "a", quantity="1e300"), "quantity", "1e300"),
    ("absurd_quantity", line("o1", "a", quantity="-2000000000"), "quantity", "-2000000000"),
    ("bad_price", line("o1", "a", price="12,50"), "price", "12,50"),
    ("bad_price", line("o1", "a", price="free"), "price", "free"),
    ("negative_price", line("o1", "a", price="-0.01"), "price", "-0.01"),
    ("bad_date", line("o1", "a", time="yesterday"), "time", "yesterday"),
    ("bad_date", line("o2", "a", time=""), "time", ""),
    ("bad_date", line("o1", "a", time="2025-02-30"), "time", "2025-02-30"),
    ("impossible_date", line("o1", "a", time="1969-07-20 20:17"), "time", "1969-07-20 20:17"),
    ("impossible_date", line("o1", "a", time="0001-01-01"), "time", "0001-01-01"),
    ("absurd_price", line("o1", "a", price="10000.01"), "price", "10000.01"),
    ("absurd_price", line("o1", "a", price="1e17"), "price", "1e17"),
]
GOOD_ROWS = [line(f"g{number}", "a", customer="k1") for number in range(5)]


def test_every_kind_of_bad_row(tmp_path: Path) -> None:
    future = in_days(2)
    bad = [*BAD_ROWS, ("future_date", line("o1", "a", time=future), "time", future)]
    rows = [*GOOD_ROWS, line("g5", "a", time=in_days(0.5)), *(row for _, row, _, _ in bad)]
    dataset = load(tmp_path, config(), rows)
    assert set(baskets_by_id(dataset)) == {f"g{number}" for number in range(6)}
    quality = dataset.quality.to_json()["orders"]
    assert (quality["rows_read"], quality["rows_kept"]) == (len(rows), 6)
    expected: dict[str, dict[str, Any]] = {}
    for place, (reason, _, column, value) in enumerate(bad):
        found = expected.setdefault(reason, {"rows": 0, "examples": []})
        found["rows"] += 1
        file = str(tmp_path / "orders.csv")
        example = {"file": file, "row": 7 + place, "column": column, "value": value}
        found["examples"].append(example)
    for found in quality["left_out"].values():
        found["examples"].sort(key=lambda example: example["row"])
    assert quality["left_out"] == expected
    assert quality["notes"]["guest_line"]["rows"] == 1
    assert set(quality["left_out"]) <= set(REASONS)
    json.dumps(quality)


def test_a_row_counts_once_for_its_first_reason(tmp_path: Path) -> None:
    worst = line("", "", time="x", quantity="x", price="x", currency="x")
    quality = load(tmp_path, config(), [*GOOD_ROWS, worst]).quality.orders
    assert {reason: found.rows for reason, found in quality.left_out.items()} == {
        "missing_order_id": 1
    }


def test_a_great_part_left_out_is_warned_of(tmp_path: Path) -> None:
    bad = [line("o", "a", price="x"), line("o", "a", quantity="0")]
    intended = [line("o", "frakt") for _ in range(30)]
    quality = load(tmp_path, config(), [*GOOD_ROWS, *bad, *intended]).quality
    assert warnings_of(quality) == []
    quality = load(tmp_path, config(), [*GOOD_ROWS, *bad, *bad[:1] * 2, *intended[:2]]).quality
    assert warnings_of(quality) == [
        "orders: left out 4 of 11 rows, 3 of them for this: the price is no amount of money;"
        " set decimal and thousands, or columns.unit_price"
    ]


def test_every_reason_and_note_has_its_words() -> None:
    training = Path(__file__).parents[3] / "training" / "reading"
    lines, catalogue = (
        (training / name).read_text("utf-8") for name in ("order_lines.py", "catalogue_file.py")
    )
    used = set(re.findall(r'\(\s*"(\w+)",\s*(?:columns|price_columns|None|tuple|\(\*)', lines))
    used |= set(re.findall(r'(?:note|leave_out)\(\s*"(\w+)"', lines + catalogue))
    used |= set(
        re.findall(r'"((?:unknown|bad|negative|foreign|continued|inherited)_\w+)"', catalogue)
    )
    assert used | {"ragged_row"} == REASONS.keys() | NOTES.keys()


def test_five_examples_are_enough(tmp_path: Path) -> None:
    rows = [*GOOD_ROWS, *(line("o", "a", price=f"x{number}") for number in range(9))]
    found = load(tmp_path, config(), rows).quality.orders.left_out["bad_price"]
    assert found.rows == 9
    assert [example.value for example in found.examples] == ["x0", "x1", "x2", "x3", "x4"]


def test_ragged_rows_are_counted_and_shift_no_row_number(tmp_path: Path) -> None:
    write_csv(tmp_path / "orders.csv", [*GOOD_ROWS, line("o", "a", price="x")])
    lines = (tmp_path / "orders.csv").read_text().splitlines()
    lines.insert(2, "half,a,row")
    (tmp_path / "orders.csv").write_text("\n".join(lines))
    quality = load(tmp_path, config()).quality.orders
    assert (quality.rows_read, quality.rows_kept) == (7, 5)
    ragged = quality.left_out["ragged_row"]
    assert (ragged.rows, ragged.examples[0].row, ragged.examples[0].value) == (1, 2, "half,a,row")
    assert quality.left_out["bad_price"].examples[0].row == 7


def test_a_missing_part_of_a_key_is_named(tmp_path: Path) -> None:
    shop = config()
    columns = shop.orders.columns.model_copy(update={"order_id": ("order", "store")})
    shop = shop.model_copy(update={"orders": shop.orders.model_copy(update={"columns": columns})})
    dataset = load(tmp_path, shop, [*GOOD_ROWS, line("7", "a", store="")])
    (example,) = dataset.quality.orders.left_out["missing_order_id"].examples
    assert (example.column, example.value, example.row) == ("store", "", 6)
    assert next(iter(dataset.order_ids)) == "g0|Oslo"


# Duplicates


def test_only_whole_rows_are_duplicates(tmp_path: Path) -> None:
    rows = [
        *[line("1", "a"), line("1", "a"), line("1", "a")],
        *[line("1", "a", quantity=2), line("1", "a", store="Bergen"), line("2", "a")],
    ]
    dataset = load(tmp_path, config(), rows)
    found = dataset.quality.orders.left_out["duplicate_line"]
    assert found.rows == 2
    assert [(example.row, example.value) for example in found.examples] == [(2, "1 a"), (3, "1 a")]
    assert dataset.lines["quantity"].tolist() == [1, 1, 2, 1]


def test_a_line_number_tells_two_lines_apart(tmp_path: Path) -> None:
    rows = [line("1", "a") | {"line": number} for number in (1, 2, 2)]
    write_csv(tmp_path / "orders.csv", rows, [*ORDER_COLUMNS, "line"])
    dataset = load(tmp_path, config())
    assert dataset.quality.orders.left_out["duplicate_line"].rows == 1
    assert len(dataset.lines) == 2


def test_without_a_quantity_each_row_is_a_unit(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,item_id\n1,a\n1,a\n2,a\n")
    shop = config(columns={}, cancellation_prefix="")
    dataset = load(tmp_path, shop)
    assert dataset.quality.orders.left_out == {}
    assert len(dataset.lines) == 3
    assert dataset.baskets.item_counts().tolist() == [2]


def test_files_that_overlap(tmp_path: Path) -> None:
    write_csv(tmp_path / "o-1.csv", [line("1", "a"), line("2", "a")])
    write_csv(tmp_path / "o-2.csv", [line("2", "a"), line("3", "a")])
    dataset = load(tmp_path, config(path="o-*.csv"))
    assert set(baskets_by_id(dataset)) == {"1", "2", "3"}
    (example,) = dataset.quality.orders.left_out["duplicate_line"].examples
    assert (Path(example.file).name, example.row) == ("o-2.csv", 1)


# Prices


def test_absurd_is_relative_to_the_item(tmp_path: Path) -> None:
    rows = [
        *[line(f"g{number}", "gum", price="1") for number in range(3)],
        line("g4", "gum", price="1000"),
        line("g5", "gum", price="1001"),
        *[line("c1", "car", price="500000"), line("c2", "car", price="510000")],
        # Of two prices none can be called the usual one.
        *[line("x1", "x", price="1"), line("x2", "x", price="5000")],
    ]
    quality = load(tmp_path, config(), rows).quality.orders
    found = quality.left_out["absurd_price"]
    assert [example.value for example in found.examples] == ["1001"]


def test_a_price_of_zero_is_a_price_and_none_is_noted(tmp_path: Path) -> None:
    dataset = load(tmp_path, config(), [line("1", "a", price="0"), line("1", "b", price="")])
    assert dataset.lines["unit_price_minor"].tolist() == [0, -1]
    assert dataset.quality.orders.notes["missing_price"].rows == 1
    assert dataset.catalogue.price_minor.tolist() == [-1, -1]


def test_discounts(tmp_path: Path) -> None:
    rows = [
        line("1", item, discount=text) for item, text in (("a", "2.5"), ("b", "-2"), ("c", "x"))
    ]
    dataset = load(tmp_path, config(), rows)
    assert dataset.lines["discount_minor"].tolist() == [250, 200, 0]
    assert dataset.quality.orders.notes["bad_discount"].rows == 1


# Customers


def test_guests_and_orders_of_several_customers_are_noted(tmp_path: Path) -> None:
    rows = [
        *[line("1", "a", customer="k2"), line("1", "b", customer="k1"), line("1", "c")],
        *[line("2", "a"), line("3", "a", customer="k3")],
    ]
    dataset = load(tmp_path, config(), rows)
    notes = dataset.quality.orders.notes
    assert {name: found.rows for name, found in notes.items()} == {
        "guest_line": 2,
        "several_customers": 2,
    }
    assert list(dataset.customer_ids) == ["k1", "k2", "k3"]
    assert dataset.customer.tolist() == [0, -1, 2]


# Items and catalogues


def write_catalogue(folder: Path, *rows: dict[str, str]) -> None:
    write_csv(folder / "catalogue.csv", rows, CATALOGUE_COLUMNS)


def test_bad_catalogue_rows(tmp_path: Path) -> None:
    write_catalogue(
        tmp_path,
        {"sku": "a", "title": "First", "price": "10"},
        {"sku": "", "title": "Nobody"},
        {"sku": "a", "title": "Second", "price": "20"},
        {"sku": "b", "price": "ten", "cost": "x"},
        {"sku": "c", "price": "-1", "cost": "-1"},
        {"sku": "d", "price": "kr 1,234.50", "cost": "99.99", "stock": "sold out"},
    )
    dataset = load(tmp_path, config(CATALOGUE), [line("1", "b", price="7"), line("1", "c")])
    quality = dataset.quality.catalogue
    assert quality is not None
    assert (quality.rows_read, quality.rows_kept) == (6, 4)
    left_out = {reason: asdict(found) for reason, found in quality.left_out.items()}
    file = str(tmp_path / "catalogue.csv")
    assert left_out == {
        "missing_item_id": {
            "rows": 1,
            "examples": [{"file": file, "row": 2, "column": "sku", "value": ""}],
        },
        "duplicate_item": {
            "rows": 1,
            "examples": [{"file": file, "row": 3, "column": "sku", "value": "a"}],
        },
    }
    assert {name: (found.rows, found.examples[0].row) for name, found in quality.notes.items()} == {
        "bad_catalogue_price": (1, 4),
        "negative_catalogue_price": (1, 5),
        "bad_cost": (2, 4),
    }
    assert set(quality.notes) <= set(NOTES)
    catalogue = dataset.catalogue
    assert list(catalogue.items.ids) == ["a", "b", "c", "d"]
    assert list(catalogue.names) == ["First", "b", "c", "d"]
    # Unusable prices give way to those of the orders.
    assert catalogue.price_minor.tolist() == [1000, 700, 1000, 123450]
    assert catalogue.cost_minor.tolist() == [-1, -1, -1, 9999]
    assert catalogue.offerable.tolist() == [True, True, True, False]


def test_lines_of_unknown_items_are_left_out(tmp_path: Path) -> None:
    write_catalogue(tmp_path, {"sku": "a"})
    dataset = load(tmp_path, config(CATALOGUE), [line("1", "a"), line("1", "z"), line("2", "z")])
    assert baskets_by_id(dataset) == {"1": {"a"}}
    assert dataset.quality.orders.left_out["unknown_item"].rows == 2


def test_when_no_item_is_known_both_files_show_their_ids(tmp_path: Path) -> None:
    write_catalogue(tmp_path, {"sku": "00123"}, {"sku": "00124"})
    with pytest.raises(DataError) as caught:
        load(tmp_path, config(CATALOGUE), [line("1", "123"), line("1", "124"), line("1", "frakt")])
    message = caught.value.message
    assert "'123', '124'" in message
    assert "'00123', '00124'" in message
    assert "catalogue.csv" in message
    assert "orders.csv" in message
    assert "frakt" not in message


def test_a_catalogue_without_ids_cannot_serve(tmp_path: Path) -> None:
    write_catalogue(tmp_path, {"sku": "", "title": "x"})
    with pytest.raises(DataError, match="no item: 1 missing_item_id"):
        load(tmp_path, config(CATALOGUE), GOOD_ROWS)


# Stopping


def test_nothing_useful_is_one_clear_error(tmp_path: Path) -> None:
    rows = [line("1", "a", price="x"), line("1", "b", price="y"), line("1", "c", time="z")]
    with pytest.raises(DataError) as caught:
        load(tmp_path, config(), rows)
    assert "no order line can be used: 2 bad_price (for example row 1, column price: 'x';" in (
        caught.value.message
    )
    assert "1 bad_date" in caught.value.message


def test_returns_alone_are_no_orders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all are returns"):
        load(tmp_path, config(), [line("1", "a", quantity=-1)])


def test_orders_that_were_all_returned_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every line was returned"):
        load(tmp_path, config(), [line("1", "a"), line("1", "a", quantity=-1)])


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [
        *GOOD_ROWS,
        *(row for _, row, _, _ in BAD_ROWS),
        *[line("r", "b", customer="k1", quantity=3), line("Cr", "b", customer="k1", quantity=-3)],
        *[line("s", "b", customer="k1", quantity=3), line("Cs", "b", customer="k1", quantity=-1)],
    ]
    quality = load(tmp_path, config(), rows).quality
    left_out = sum(found.rows for found in quality.orders.left_out.values())
    gone = quality.returns.lines + quality.returns.lines_removed
    assert quality.orders.rows_read == quality.orders.rows_kept + left_out + gone == len(rows)
