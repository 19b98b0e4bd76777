"""What training is given: numbering, prices, catalogue columns, selection."""

from __future__ import annotations

import random
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine import clock
from mersalg.engine.arrays import arrays_of, read
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.errors import DataError
from mersalg.engine.fact_values import parse_instant
from mersalg.training.reading.catalogue_file import parse_flag
from mersalg.training.reading.dataset import Dataset, load_dataset
from tests.support.repetitions import repetitions
from tests.support.shop_files import baskets_by_id, config, line, load, write_csv


def catalogue_of(folder: Path, toml: str, rows: list[dict[str, Any]], *bought: str) -> Catalogue:
    """The catalogue made of `rows`, where each item of `bought` (or the first) was ordered."""
    write_csv(folder / "catalogue.csv", rows, list(rows[0]))
    text = f'\n[catalogue]\npath = "catalogue.csv"\n{toml}'
    lines = [line("1", item) for item in bought or (next(iter(rows[0].values())),)]
    return load(folder, config(text), lines).catalogue


def test_a_small_shop(tmp_path: Path) -> None:
    rows = [
        line("o2", "tea", "2025-07-02 08:00", "kari", 2, "30", "5.50", "Oslo"),
        line("o1", "tea", "2025-07-01 08:00", "ola", 1, "30", "", "Bergen"),
        line("o1", "bun", "2025-07-01 08:01", "ola", 3, "19.90", "", "Bergen"),
        line("o3", "bun", "2025-07-02 08:00", "", 1, "19.90", "", ""),
    ]
    dataset = load(tmp_path, config(), rows)
    assert dataset.n_orders == 3
    assert list(dataset.order_ids) == ["o1", "o2", "o3"]
    assert list(dataset.catalogue.items.ids) == ["bun", "tea"]
    assert list(dataset.catalogue.names) == ["bun", "tea"]
    assert list(dataset.customer_ids) == ["kari", "ola"]
    assert list(dataset.store_ids) == ["Bergen", "Oslo"]
    first = parse_instant("2025-07-01T06:00:00+00:00")
    minute, a_day = 60_000_000, clock.MICROS_PER_DAY
    expected = {
        "order": [0, 0, 1, 2],
        "item": [0, 1, 1, 0],
        "customer": [1, 1, 0, -1],
        "ordered_at": [first + minute, first, first + a_day, first + a_day],
        "quantity": [3.0, 1.0, 2.0, 1.0],
        "unit_price_minor": [1990, 3000, 3000, 1990],
        "discount_minor": [0, 0, 550, 0],
        "store": [0, 0, 1, -1],
    }
    assert dataset.lines.to_dict("list") == expected
    assert {name: str(kind) for name, kind in dataset.lines.dtypes.items()} == {
        **dict.fromkeys(expected, "int64"),
        "item": "int32",
        "store": "int32",
        "quantity": "float64",
    }
    assert dataset.ordered_at.tolist() == [first, first + a_day, first + a_day]
    assert dataset.customer.tolist() == [1, 0, -1]
    assert [dataset.baskets[order].tolist() for order in range(3)] == [[0, 1], [1], [0]]
    assert dataset.catalogue.offerable.all()
    assert dataset.catalogue.currency == "NOK"
    assert dataset.catalogue.price_minor.tolist() == [1990, 3000]
    assert set(dataset.catalogue.family.tolist()) == {-1}


ROWS = st.lists(
    st.builds(
        line,
        st.sampled_from(["1", "2", "10", "C3", "x|y"]),
        st.sampled_from(["a", "b", "c", "frakt"]),
        st.sampled_from(["2025-03-01 12:00", "2025-03-02", "2025-03-03T07:00:00+05:00", "never"]),
        st.sampled_from(["", "k1", "k2"]),
        st.integers(-2, 3),
        st.sampled_from(["1", "2.50", "-1", "", "5000"]),
        st.sampled_from(["", "0.5"]),
        st.sampled_from(["", "Oslo"]),
        st.sampled_from(["NOK", "NOK", "NOK", "EUR"]),
    ),
    max_size=25,
)


@settings(max_examples=repetitions(25, 200))
@given(ROWS, st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    mixed = random.Random(seed).sample(rows, len(rows))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def outcome(lines: list[dict[str, Any]]) -> Dataset | None:
            try:
                return load(folder, config(), [line("always", "a"), *lines])
            except DataError:
                return None

        first, second = outcome(rows), outcome(mixed)
    assert (first is None) == (second is None)
    if first is None or second is None:
        return
    assert baskets_by_id(first) == baskets_by_id(second)
    pd.testing.assert_frame_equal(first.lines, second.lines)
    for name in ("order_ids", "customer_ids", "store_ids"):
        assert list(getattr(first, name)) == list(getattr(second, name))
    np.testing.assert_array_equal(first.customer, second.customer)
    np.testing.assert_array_equal(first.catalogue.price_minor, second.catalogue.price_minor)


def test_without_times_orders_keep_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,item_id\n9,a\n1,b\n9,c\n5,a\n")
    dataset = load(tmp_path, config(columns={}))
    assert list(dataset.order_ids) == ["9", "1", "5"]
    assert dataset.ordered_at.tolist() == [0, 0, 0]
    assert dataset.lines["ordered_at"].tolist() == [0, 0, 0, 0]
    assert dataset.lines["unit_price_minor"].tolist() == [-1] * 4
    assert dataset.catalogue.price_minor.tolist() == [-1] * 3


def test_line_totals_are_divided(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "order_id,item_id,n,total,each\n1,a,3,30,\n2,a,-1,-10,\n2,b,2,50,24.5\n3,a,0,10,\n"
    )
    columns = {"quantity": "n", "line_total": "total"}
    dataset = load(tmp_path, config(columns=columns))
    assert dataset.lines["unit_price_minor"].tolist() == [1000, 2500]
    assert dataset.quality.returns.lines == 1
    both = load(tmp_path, config(columns=columns | {"unit_price": "each"}))
    assert both.lines["unit_price_minor"].tolist() == [1000, 2450]


def test_a_list_price_is_the_median_of_the_recent_half(tmp_path: Path) -> None:
    prices = ["10", "10", "10", "10", "20", "22", "24"]
    rows = [
        line(str(day), "a", f"2025-03-{day:02}", price=price)
        for day, price in enumerate(prices, start=1)
    ]
    rows.append(line("8", "a", "2025-03-08", price="0"))
    dataset = load(tmp_path, config(), rows)
    # Of the seven priced lines the later half begins with the fourth: 10, 20, 22, 24.
    assert dataset.catalogue.price_minor.tolist() == [2100]


def test_a_list_price_stands_and_its_gaps_are_filled(tmp_path: Path) -> None:
    catalogue = catalogue_of(
        tmp_path,
        'columns = { item_id = "sku", price = "p" }',
        [{"sku": "a", "p": "99"}, {"sku": "b", "p": ""}, {"sku": "c", "p": "0"}, {"sku": "d"}],
        *("a", "b", "c"),
    )
    assert catalogue.price_minor.tolist() == [9900, 1000, 0, -1]


def test_categories_families_names(tmp_path: Path) -> None:
    catalogue = catalogue_of(
        tmp_path,
        'attributes = ["gb", "b"]\n[catalogue.columns]\nitem_id = "sku"\nname = ["b", "t"]\n'
        'category = ["dep", "cat"]\nfamily = "fam"\nbrand = "b"\npack_size = "size"\n',
        [
            {"sku": "1", "b": "Acme", "t": " Phone ", "dep": "El", "cat": "Phones", "fam": "p"}
            | {"gb": "64", "size": "1 pc"},
            {"sku": "2", "b": "", "t": "Case", "dep": "El", "cat": "", "fam": ""},
            {"sku": "3", "b": "", "t": "", "dep": "", "cat": "", "fam": "o"},
        ],
    )
    assert list(catalogue.names) == ["Acme Phone", "Case", "3"]
    assert list(catalogue.category_names) == ["El", "El > Phones"]
    assert catalogue.category.tolist() == [1, 0, -1]
    assert list(catalogue.family_names) == ["o", "p"]
    assert catalogue.family.tolist() == [1, -1, 0]
    # A brand that is compared already is not compared twice.
    assert {name: list(texts) for name, texts in catalogue.attributes.items()} == {
        "gb": ["64", "", ""],
        "b": ["Acme", "", ""],
        "pack_size": ["1 pc", "", ""],
    }


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        *[(word, True) for word in ("true", "TRUE", " Yes ", "ja", "1", "12", "0.5", "in stock")],
        *[(word, False) for word in ("false", "no", "Nei", "0", "-3", "0.0", "utsolgt", "0,00")],
        *[(word, True) for word in ("in_stock", "instock", "X", "✓", ">10", "10+", "Få igjen")],
        *[(word, True) for word in ("https://schema.org/InStock", "Catalog, Search", "publish")],
        *[(word, False) for word in ("out_of_stock", "OutOfStock", "onbackorder", "preorder")],
        *[(word, False) for word in ("discontinued", "archived", "Ikke på lager", "Disabled")],
        *[(word, None) for word in ("maybe", "24h", "kanskje")],
    ],
)
def test_yes_and_no(text: str, flag: bool | None) -> None:
    assert parse_flag(text) is flag


def test_active_and_in_stock(tmp_path: Path) -> None:
    rows = [
        {"sku": str(number), "stock": stock, "on": active}
        for number, (stock, active) in enumerate(
            [("4", "ja"), ("0", "ja"), ("4", "nei"), ("", ""), ("", "hidden"), ("no", "")]
        )
    ]
    toml = 'columns = { item_id = "sku", in_stock = "stock", active = "on" }'
    catalogue = catalogue_of(tmp_path, toml, rows)
    assert catalogue.offerable.tolist() == [True, False, False, True, False, False]
    # Of what is off sale anyway nobody asks whether it is in stock.
    assert catalogue.sold_out is not None
    assert catalogue.sold_out.tolist() == [False, True, False, False, False, True]
    again = read(Catalogue, arrays_of(catalogue))
    assert again.sold_out is not None
    assert again.sold_out.tolist() == catalogue.sold_out.tolist()


def test_typed_flags(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sku": [1, 2, 3], "on": [True, False, None], "stock": [2.0, 3, np.nan]})
    frame.to_parquet(tmp_path / "catalogue.parquet")
    shop = config(
        '\n[catalogue]\npath = "catalogue.parquet"\n'
        'columns = { item_id = "sku", in_stock = "stock", active = "on" }\n'
    )
    catalogue = load(tmp_path, shop, [line("1", "1")]).catalogue
    assert list(catalogue.items.ids) == ["1", "2", "3"]
    assert catalogue.offerable.tolist() == [True, False, True]


def test_compatibility(tmp_path: Path) -> None:
    cells = {
        "phone 1": "",
        "phone-2": "",
        "case": "phone 1; phone-2",
        "glass": "phone-2|case, glass",
        "film": "phone-2 case",
        "strap": "phone 1",
        "old case": "phone-0",
        "mixed": "phone-0;phone-2",
    }
    rows = [{"sku": sku, "fits": fits} for sku, fits in cells.items()]
    toml = 'columns = { item_id = "sku", compatible_with = "fits" }'
    write_csv(tmp_path / "catalogue.csv", rows, ["sku", "fits"])
    text = f'\n[catalogue]\npath = "catalogue.csv"\n{toml}'
    dataset = load(tmp_path, config(text), [line("1", "case")])
    catalogue = dataset.catalogue
    found = {
        sku: [catalogue.items[other] for other in catalogue.compatible[item].tolist()]
        for item, sku in enumerate(catalogue.items.ids)
    }
    assert found == {
        "phone 1": [],
        "phone-2": [],
        "case": ["phone 1", "phone-2"],
        "glass": ["phone-2", "case"],
        "film": ["phone-2", "case"],
        "strap": ["phone 1"],
        "old case": [],
        "mixed": ["phone-2"],
    }
    # What fits only items nobody sells must not seem to fit everything.
    names = dict(zip(catalogue.items.ids, catalogue.offerable.tolist(), strict=True))
    assert [sku for sku, offerable in names.items() if not offerable] == ["old case"]
    assert dataset.quality.catalogue is not None
    assert dataset.quality.catalogue.notes["unknown_compatible_item"].rows == 2


def test_composite_item_ids(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("o,sku,size\n1,tee,S\n1,tee,L\n2,tee,S\n2,cap,\n")
    (tmp_path / "catalogue.csv").write_text("sku,size,fits\ntee,S,tee|L\ntee,L,\n")
    shop = config(
        '\n[catalogue]\npath = "catalogue.csv"\n'
        'columns = { item_id = ["sku", "size"], compatible_with = "fits" }\n',
        columns={"order_id": "o", "item_id": ["sku", "size"]},
    )
    dataset = load(tmp_path, shop)
    assert baskets_by_id(dataset) == {"1": {"tee|S", "tee|L"}, "2": {"tee|S"}}
    assert dataset.catalogue.compatible[0].tolist() == [1]
    assert dataset.quality.orders.left_out["missing_item_id"].rows == 1


def test_missing_columns_name_file_and_column(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order,item\n1,a\n")
    with pytest.raises(DataError, match=r"no such column; there are 'order', 'item'.*orders\.csv"):
        load(tmp_path, config())


def test_orders_can_be_selected(tmp_path: Path) -> None:
    rows = [line(str(n), item, f"2025-03-0{n}") for n in range(1, 6) for item in ("a", str(n))]
    whole = load(tmp_path, config(), rows)
    by_mask = whole.select_orders(np.array([False, True, False, True, True]))
    by_position = whole.select_orders(np.array([4, 1, 3, 3]))
    for part in (by_mask, by_position):
        assert part.n_orders == 3
        assert list(part.order_ids) == ["2", "4", "5"]
        assert baskets_by_id(part) == {n: {"a", n} for n in ("2", "4", "5")}
        assert part.lines["order"].tolist() == [0, 0, 1, 1, 2, 2]
        assert part.catalogue is whole.catalogue
        assert part.ordered_at.tolist() == whole.ordered_at[[1, 3, 4]].tolist()
    assert whole.lines["order"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert whole.select_orders(np.zeros(5, dtype=bool)).n_orders == 0


def test_loading_tells_how_far_it_has_come(tmp_path: Path) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def task(self, description: str, total: int | None = None) -> AbstractContextManager[Any]:
            del total
            self.seen.append(description)
            return nullcontext()

    recorder = Recorder()
    write_csv(tmp_path / "orders.csv", [line("1", "a")])
    load_dataset(config(), tmp_path, recorder)
    assert recorder.seen == [
        *("Reading orders", "Checking order lines", "Matching returns", "Numbering orders"),
    ]
