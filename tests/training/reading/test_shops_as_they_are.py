"""Order files and catalogues as shops export them: what each way of writing comes to.

Every table gives a file, what the shop file says of it, and the right values.
"""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine import clock
from mersalg.engine.config import parse_config
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import Dataset, load_dataset
from mersalg.training.reading.validation import warnings_of
from tests.support.shop_files import baskets_by_id

SHOP = '[shop]\nname = "Te og brød"\ncurrency = "NOK"\ntimezone = "Europe/Oslo"\n'


def read(
    folder: Path, orders: str, settings: str = "", *, catalogue: str = "", of_catalogue: str = ""
) -> Dataset:
    """The data set of these files; `settings` is TOML of `[orders]` and what follows."""
    (folder / "orders.csv").write_text(textwrap.dedent(orders).lstrip(), encoding="utf-8")
    text = f'{SHOP}[orders]\npath = "orders.csv"\n{settings}\n'
    if catalogue:
        (folder / "catalogue.csv").write_text(textwrap.dedent(catalogue).lstrip(), encoding="utf-8")
        text += f'[catalogue]\npath = "catalogue.csv"\n{of_catalogue}\n'
    return load_dataset(parse_config(tomllib.loads(text)), folder, SilentProgress())


def left_out(dataset: Dataset) -> dict[str, int]:
    return {why: found.rows for why, found in dataset.quality.orders.left_out.items()}


def notes(dataset: Dataset) -> dict[str, int]:
    return {what: found.rows for what, found in dataset.quality.orders.notes.items()}


def prices(dataset: Dataset) -> dict[str, int]:
    return dict(
        zip(dataset.catalogue.items.ids, dataset.catalogue.price_minor.tolist(), strict=True)
    )


def test_a_line_that_tells_spreadsheets_the_separator_is_no_header(tmp_path: Path) -> None:
    for hint in ("sep=;", '"sep=;"'):
        orders = f"{hint}\norder_id;item_id\n1;a\n1;b;c\n2;'7'\n"
        dataset = read(tmp_path, orders, 'separator = ";"')
        assert baskets_by_id(dataset) == {"1": {"a"}, "2": {"'7'"}}
        assert dataset.quality.orders.left_out["ragged_row"].examples[0].row == 2


# What may have been overlooked


@pytest.mark.parametrize(
    ("header", "setting"),
    [
        ("Dato,Kunde,Antall", 'customer_id = "Kunde", ordered_at = "Dato", quantity = "Antall"'),
        ("price,store", 'unit_price = "price", store_id = "store"'),
        ("Enhetspris,Pris", 'unit_price = "Enhetspris"'),
    ],
)
def test_columns_that_may_be_fields_are_named(tmp_path: Path, header: str, setting: str) -> None:
    cells = ",".join("1" for _ in header.split(","))
    orders = f"orderId,itemID,{header}\n1,a,{cells}\n"
    dataset = read(tmp_path, orders)
    assert baskets_by_id(dataset) == {"1": {"a"}}
    (said,) = warnings_of(dataset.quality)
    assert f"set [orders] columns = {{ {setting} }}" in said
    unused = "columns = {{ {} }}".format(
        ", ".join(f'{each.split(" = ")[0]} = ""' for each in setting.split(", "))
    )
    assert warnings_of(read(tmp_path, orders, unused).quality) == []


def test_columns_of_a_catalogue_that_may_be_fields_are_named(tmp_path: Path) -> None:
    catalogue = "sku,title,availability,stock_note\na,Tea,in stock,x\n"
    columns = 'columns = { item_id = "sku" }'
    dataset = read(tmp_path, "order_id,item_id\n1,a\n", catalogue=catalogue, of_catalogue=columns)
    (said,) = warnings_of(dataset.quality)
    assert 'columns = { name = "title", in_stock = "availability" }' in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("0101", "101"), ("AB-1", "ab-1"), ("1,250", "1250"), ("A-1", "A\u20111")],
        *[("A1", "\uff211"), ("TE A", "TE  A"), ("TE A", "TE\u00a0A"), ("101,0", "101")],
    ],
)
def test_ids_that_may_be_one_are_named(tmp_path: Path, one: str, other: str) -> None:
    orders = f'order_id,item_id\n1,"{one}"\n2,"{other}"\n3,A.1\n3,x\n4,"{one}"\n'
    (said,) = warnings_of(read(tmp_path, orders).quality)
    assert said.startswith("1 item ids are written in several forms, as ")
    assert repr(one) in said
    assert repr(other) in said


def test_a_customer_that_may_be_all_guests_is_named(tmp_path: Path) -> None:
    rows = [f"{n},a,{'till@shop.no' if n % 2 else f'k{n % 9}'}" for n in range(60)]
    orders = "\n".join(["order_id,item_id,customer_id", *rows])
    (said,) = warnings_of(read(tmp_path, orders).quality)
    assert "'till@shop.no' has 30 of 60 order lines" in said
    rows = [f"{n},a,k{n % 3}" for n in range(60)]
    assert warnings_of(read(tmp_path, "\n".join([orders[:28], *rows])).quality) == []


# Columns that bear a field's own name


def test_columns_of_a_fields_own_name_are_used_and_others_named(tmp_path: Path) -> None:
    orders = """
        Order ID,item_id,ITEM_ID,Ordered at,customer-id,Quantity,unit.price,colour,type
        1,a,x,2026-01-02,k1,2,10,red,sale
        1,b,y,2026-01-02,k1,1,20,red,sale
    """
    dataset = read(tmp_path, orders)
    assert baskets_by_id(dataset) == {"1": {"a", "b"}}
    assert list(dataset.customer_ids) == ["k1"]
    assert clock.to_iso(int(dataset.ordered_at[0])) == "2026-01-01T23:00:00+00:00"
    assert prices(dataset) == {"a": 1000, "b": 2000}
    orders_read = dataset.quality.to_json()["orders"]
    assert orders_read["columns_used_by_name"] == [
        *("Order ID", "item_id", "Ordered at", "customer-id", "Quantity", "unit.price")
    ]
    assert orders_read["columns_unused"] == ["ITEM_ID", "colour", "type"]


def test_what_the_shop_file_says_of_a_column_holds(tmp_path: Path) -> None:
    orders = "order_id,item_id,quantity,unit_price\n1,a,2,100\n"
    dataset = read(tmp_path, orders, 'columns = { line_total = "unit_price", quantity = "" }')
    assert prices(dataset) == {"a": 10000}
    assert dataset.lines["quantity"].tolist() == [1]
    assert dataset.quality.orders.columns_unused == ["quantity"]
    with pytest.raises(ConfigError, match="order_id"):
        read(tmp_path, orders, 'columns = { order_id = "" }')


def test_columns_of_a_catalogue(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        "order_id,item_id\n1,a\n",
        catalogue="item_id,Name,Category,Price,Cost,Brand,In stock,Image url\n"
        'a,Tea,Hot,20,5,Lipton,no,"https://x.example/a.jpg, https://x.example/b.jpg"\n',
        of_catalogue='attribute_labels = { brand = { nb = "merke" } }',
    )
    catalogue = dataset.catalogue
    assert (list(catalogue.names), catalogue.cost_minor.tolist()) == (["Tea"], [500])
    assert (list(catalogue.category_names), list(catalogue.attributes["brand"])) == (
        ["Hot"],
        ["Lipton"],
    )
    assert catalogue.offerable.tolist() == [False]
    assert list(catalogue.image_urls or ()) == ["https://x.example/a.jpg"]


# Numbers

ONE_PRICE = "order_id;item_id;unit_price\n"


@pytest.mark.parametrize(
    ("cells", "settings", "minor"),
    [
        # Each column has its own marks, which its own numbers show.
        (("0,90", "1,20"), "", [90, 120]),
        (("0,90", "1,20"), 'decimal = "."', [90, 120]),
        (("0.90", "1.20"), 'decimal = ","', [90, 120]),
        (("1.299,00", "99,50"), "", [129900, 9950]),
        (("1,299.00", "2,500"), "", [129900, 250000]),
        (("1 299,00", "2.500"), "", [129900, 250000]),
        (("1'299.00", "99"), "", [129900, 9900]),
        (("1\u00a0299", "99"), "", [129900, 9900]),
        (("1.234.567", "12"), "", [123456700, 1200]),
        (("1,23,456.00", "1,299.00"), "", [12345600, 129900]),  # as in India
        # What they do not show, the shop file does.
        (("1,299", "2,500"), 'decimal = "."', [129900, 250000]),
        (("1,299", "2,500"), 'decimal = ","', [130, 250]),
        (("1.299", "2.500"), 'decimal = { unit_price = "," }', [129900, 250000]),
        (("1.299", "2.500"), 'thousands = "."', [129900, 250000]),
        (("1,299", "2,500"), 'thousands = { unit_price = "," }', [129900, 250000]),
        (("1.299", "1 000"), 'thousands = " "', [130, 100000]),
        # Currencies in the cell.
        (("kr 59,90", "59,90 kr."), "", [5990, 5990]),
        (("NOK 59.90", "59.90 nok"), "", [5990, 5990]),
        (("kr. 1 290,-", "kr 1290,–"), "", [129000, 129000]),
        (("59,90 kr", "59,90 EUR"), "", [5990]),
        (("59,90 kr", "US$ 59,90"), "", [5990]),
        (("59,90 kr", "R$ 59,90"), "", [5990]),
        (("59,90", "€59,90"), "", [5990]),
        (("59,90", "59,90 zł"), "", [5990]),
        (("59,90", "$59,90"), "", [5990]),
    ],
)
def test_prices_as_they_are_written(
    tmp_path: Path, cells: tuple[str, ...], settings: str, minor: list[int]
) -> None:
    rows = [f"{number};{number};{cell}\n" for number, cell in enumerate(cells)]
    dataset = read(tmp_path, ONE_PRICE + "".join(rows), f'separator = ";"\n{settings}')
    assert dataset.lines["unit_price_minor"].tolist() == minor
    foreign = len(cells) - len(minor)
    assert left_out(dataset) == ({"other_currency": foreign} if foreign else {})


@pytest.mark.parametrize(
    ("cells", "settings", "message"),
    [
        (("99", "1,299"), "", r"'1,299' can be read as 1\.299 or 1,299; set decimal.*row 2"),
        (("99", "1.299"), "", r"'1\.299' can be read as.*row 2, column unit_price"),
        (("0.90", "1,20", "1.10"), "", r"point \('0\.90'\) and some.*comma \('1,20'\).*row 2"),
        (("0,90", "1,20", "1.10"), "", "set decimal.*row 3"),
    ],
)
def test_a_column_that_reads_two_ways_stops(
    tmp_path: Path, cells: tuple[str, ...], settings: str, message: str
) -> None:
    rows = [f"{number};{number};{cell}\n" for number, cell in enumerate(cells)]
    with pytest.raises(DataError, match=message):
        read(tmp_path, ONE_PRICE + "".join(rows), f'separator = ";"\n{settings}')


def test_the_mark_of_a_field_never_gives_way(tmp_path: Path) -> None:
    orders = "order_id;item_id;quantity;unit_price\n1;a;1,5;9.90\n2;a;2;0,90\n"
    settings = 'separator = ";"\ndecimal = { unit_price = ".", quantity = "," }'
    dataset = read(tmp_path, orders, settings)
    assert (dataset.lines["quantity"].tolist(), left_out(dataset)) == ([1.5], {"bad_price": 1})
    for wrong in ('decimal = { price = "," }', 'decimal = ","\nthousands = ","'):
        with pytest.raises(ConfigError, match=r"no field|same mark"):
            read(tmp_path, orders, wrong)


def test_weights_below_one_are_no_thousands(tmp_path: Path) -> None:
    orders = "order_id;item_id;quantity;line_total\n1;honey;0,350;70\n2;honey;1,250;250\n"
    dataset = read(tmp_path, orders, 'separator = ";"\ndecimal = "."')
    assert dataset.lines["unit_price_minor"].tolist() == [20000, 20000]
    # A slip among many thousands changes none of these.
    rows = "".join(f"{number};a;1;1,299\n" for number in range(200))
    slip = f"order_id;item_id;quantity;line_total\n{rows}x;a;1;12,50\n"
    dataset = read(tmp_path, slip, 'separator = ";"\ndecimal = "."')
    assert left_out(dataset) == {"bad_price": 1}


def test_a_currency_in_the_cell_decides_before_the_column(tmp_path: Path) -> None:
    orders = """
        order_id,item_id,unit_price,currency
        1,a,10 NOK,EUR
        2,a,10 EUR,NOK
        3,a,10,kr
        4,a,10,SEK
    """
    dataset = read(tmp_path, orders)
    assert set(baskets_by_id(dataset)) == {"1", "3"}
    assert left_out(dataset) == {"other_currency": 2}
    assert "left out 2 of 4 rows" in warnings_of(dataset.quality)[0]


# Ids


@pytest.mark.parametrize(
    ("one", "other", "id_"),
    [
        ("101", "101.0", "101"),
        ("101.00", "101", "101"),
        ("101", "1.01E+2", "101"),
        ("5701234567891", "5.701234567891E+12", "5701234567891"),
        ("Bl\u00e5b\u00e6r", "Bla\u030ab\u00e6r", "Bl\u00e5b\u00e6r"),
        ("TEA", "TEA ", "TEA"),
        ("TEA", "\u00a0TEA", "TEA"),
        ("TEA", "\u200bTEA\ufeff", "TEA"),
        ("TEA", "TEA\u0000", "TEA"),
        ("0101", "'0101", "0101"),
        ("0101", '"=""0101"""', "0101"),
    ],
)
def test_one_id_in_two_written_forms(tmp_path: Path, one: str, other: str, id_: str) -> None:
    orders = f"order_id,item_id,customer_id\n1,{one},7\n2,{other},7.0\n"
    catalogue = f"item_id,upgrades\n{other},\nX,{one}\n"
    dataset = read(tmp_path, orders, catalogue=catalogue)
    assert list(dataset.catalogue.items.ids) == [id_, "X"]
    assert list(dataset.customer_ids) == ["7"]
    assert dataset.baskets.item_counts().tolist() == [2, 0]
    assert dataset.catalogue.upgrades is not None
    assert dataset.catalogue.upgrades[1].tolist() == [0]


def test_ids_that_only_look_alike_stay_apart(tmp_path: Path) -> None:
    ids = ("00123", "123", "00123.0", "1E5", "100000", "1.0.0", "1", "a", "A", "1.5")
    rows = "".join(f"{id_},tea\n" for id_ in ids)
    assert set(baskets_by_id(read(tmp_path, "order_id,item_id\n" + rows))) == {*ids}


def test_ids_cut_by_a_spreadsheet_are_warned_of(tmp_path: Path) -> None:
    dataset = read(tmp_path, "order_id,item_id\n1,5.70123E+12\n2,a\n")
    assert notes(dataset) == {"shortened_id": 1}
    assert "save the column as text" in warnings_of(dataset.quality)[0]


@pytest.mark.parametrize(
    "nobody",
    [
        *("0", "0.0", "-1", "guest", "Guest", "GUEST CHECKOUT", "-", "nan", "NaN", "null", "NULL"),
        *("None", "N/A", "n/a", "#N/A", "undefined", "(not set)", "Gjest", "Ukjent", "anonymous"),
        *("00000000-0000-0000-0000-000000000000", "Walk-in Customer", " 0 ", "Kontantkunde"),
        *("NOT LOGGED IN", "Consumidor Final", "0000", "[null]", "\\N", "Default Customer"),
    ],
)
def test_placeholders_for_nobody_are_nobody(tmp_path: Path, nobody: str) -> None:
    orders = f"order_id,item_id,customer_id\n1,a,{nobody}\n2,a,{nobody}\n3,a,k\n"
    dataset = read(tmp_path, orders)
    assert (list(dataset.customer_ids), notes(dataset)) == (["k"], {"guest_line": 2})


# Rows that leave out what an earlier row said


def test_shopify_writes_what_is_true_of_an_order_in_its_first_row(tmp_path: Path) -> None:
    orders = """
        Name,Email,Financial Status,Currency,Created at,Lineitem quantity,Lineitem sku
        #1000,p0@x.no,paid,NOK,2024-01-01 09:50:26 +0200,1,POT
        #1000,,,,,1,CUP
        #1001,p1@x.no,voided,NOK,2024-01-02 09:50:26 +0200,1,POT
        #1001,,,,,1,CUP
        #1002,p2@x.no,paid,SEK,2024-01-03 09:50:26 +0200,1,POT
        #1002,,,,,1,CUP
    """
    settings = """
        not = { "Financial Status" = ["voided", "refunded"] }
        [orders.columns]
        order_id = "Name"
        customer_id = "Email"
        ordered_at = "Created at"
        item_id = "Lineitem sku"
        quantity = "Lineitem quantity"
    """
    dataset = read(tmp_path, orders, textwrap.dedent(settings))
    assert baskets_by_id(dataset) == {"#1000": {"POT", "CUP"}}
    assert left_out(dataset) == {"filtered": 2, "other_currency": 2}
    assert list(dataset.customer_ids) == ["p0@x.no"]
    assert "guest_line" not in notes(dataset)
    assert clock.to_iso(int(dataset.ordered_at[0])) == "2024-01-01T07:50:26+00:00"


def test_odoo_leaves_out_the_order_id_too(tmp_path: Path) -> None:
    orders = """
        Order Reference,Customer,Order Date,Product
        S001,Kari,2024-01-01 10:00:00,POT
        ,,,CUP
        S002,Ola,2024-01-02 10:00:00,TEA
        ,Per,,POT
        ,,,CUP
    """
    columns = (
        'columns = { order_id = "Order Reference", customer_id = "Customer",'
        ' ordered_at = "Order Date", item_id = "Product" }'
    )
    dataset = read(tmp_path, orders, columns)
    assert baskets_by_id(dataset) == {"S001": {"POT", "CUP"}, "S002": {"TEA"}}
    # Below a row whose order nobody knows, neither is known.
    assert left_out(dataset) == {"missing_order_id": 2}
    assert notes(dataset)["continued_row"] == 1


def test_nothing_is_taken_where_the_order_says_two_things(tmp_path: Path) -> None:
    orders = "order_id,item_id,currency\n1,a,NOK\n1,b,SEK\n1,c,\n"
    assert left_out(read(tmp_path, orders)) == {"other_currency": 2}


def test_variants_take_the_words_of_their_product(tmp_path: Path) -> None:
    shopify = """
        Handle,Title,Type,Vendor,Published,Variant SKU,Variant Price
        mug,Mug,Cups,Kahla,TRUE,MUG-S,99
        mug,,,,,MUG-L,129
        mug,,,,,,
        pot,Pot,Pots,,FALSE,POT,299
        pot,,,,,POT-XL,399
    """
    columns = (
        'columns = { item_id = "Variant SKU", name = "Title", category = "Type", brand = "Vendor",'
        ' family = "Handle", price = "Variant Price", active = "Published" }'
    )
    catalogue = read(
        tmp_path, "order_id,item_id\n1,MUG-S\n", catalogue=shopify, of_catalogue=columns
    ).catalogue
    assert list(catalogue.names) == ["Mug", "Mug", "Pot", "Pot"]
    assert list(catalogue.attributes["brand"]) == ["Kahla", "Kahla", "", ""]
    assert catalogue.offerable.tolist() == [True, True, False, False]
    assert catalogue.price_minor.tolist() == [9900, 12900, 29900, 39900]

    woocommerce = """
        SKU,Name,Categories,Parent,Published
        MUG,Mug,Cups,,1
        MUG-S,Mug - small,,MUG,1
        TEA,Tea,Drinks,,0
    """
    columns = (
        'columns = { item_id = "SKU", name = "Name", category = "Categories", active = "Published"}'
    )
    catalogue = read(
        tmp_path, "order_id,item_id\n1,MUG\n", catalogue=woocommerce, of_catalogue=columns
    ).catalogue
    assert list(catalogue.names) == ["Mug", "Mug - small", "Tea"]
    assert [list(catalogue.category_names)[code] for code in catalogue.category] == [
        *("Cups", "Cups", "Drinks")
    ]
    by_id = woocommerce.replace("SKU,", "ID,SKU,").replace(",MUG,1", ",id:7,1")
    by_id = by_id.replace("        MUG", "        7,MUG").replace(
        "        7,MUG-", "        8,MUG-"
    )
    catalogue = read(
        tmp_path,
        "order_id,item_id\n1,MUG\n",
        catalogue=by_id.replace("        TEA", "        9,TEA"),
        of_catalogue=columns,
    ).catalogue
    assert catalogue.category.tolist() == [0, 0, 1]


def test_items_below_their_product_without_a_word_of_it(tmp_path: Path) -> None:
    odoo = "sku,name,category,price\nA,Mug,Cups,99\nB,,,129\nC,Pot,Pots,299\n"
    dataset = read(
        tmp_path,
        "order_id,item_id\n1,A\n",
        catalogue=odoo,
        of_catalogue='columns = { item_id = "sku" }',
    )
    assert list(dataset.catalogue.names) == ["Mug", "Mug", "Pot"]
    assert any("of the one above" in warning for warning in warnings_of(dataset.quality))


# Flags


@pytest.mark.parametrize(
    ("cells", "offerable"),
    [
        (("in_stock", "out_of_stock", "preorder"), [True, False, False]),
        (("instock", "outofstock", "onbackorder"), [True, False, False]),
        (("X", "", "X"), [True, False, True]),
        (("ja", "nei", ""), [True, False, True]),
        (("12", "0", ""), [True, False, True]),
        (("På lager", "Utsolgt", "Få igjen"), [True, False, True]),
        (("In Stock", "Sold out", "Discontinued"), [True, False, False]),
        (("1,00", "0,00", "-2"), [True, False, False]),
        (("10 available", "Out of stock (0)", "In stock (5)"), [True, False, True]),
        (("N/A", "Coming soon", "0 in stock"), [True, False, False]),
    ],
)
def test_words_for_stock(tmp_path: Path, cells: tuple[str, ...], offerable: list[bool]) -> None:
    rows = "".join(f'{number},"{cell}"\n' for number, cell in enumerate(cells))
    dataset = read(tmp_path, "order_id,item_id\n1,0\n", catalogue=f"item_id,in_stock\n{rows}")
    assert dataset.catalogue.offerable.tolist() == offerable


def test_a_word_that_is_neither_yes_nor_no_stops(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'perhaps' says neither.*columns\.in_stock.*row 2"):
        read(
            tmp_path,
            "order_id,item_id\n1,a\n",
            catalogue="item_id,in_stock\na,yes\nb,perhaps\n",
        )


def test_a_number_is_no_word_for_active(tmp_path: Path) -> None:
    """Magento writes 2 for what is disabled."""
    catalogue = "item_id,active\na,1\nb,2\n"
    with pytest.raises(DataError, match=r"'2' says neither.*columns\.active.*row 2"):
        read(tmp_path, "order_id,item_id\n1,a\n", catalogue=catalogue)
    dataset = read(tmp_path, "order_id,item_id\n1,a\n", catalogue=catalogue.replace("2", "0"))
    assert dataset.catalogue.offerable.tolist() == [True, False]


@pytest.mark.parametrize("nothing", ["nan", "NULL", "#N/A", "<NA>", r"\N", "-", "n/a"])
def test_words_of_data_frames_and_databases_for_nothing(tmp_path: Path, nothing: str) -> None:
    orders = f"""
        order_id,item_id,quantity,unit_price,store_id
        1,a,1,10,{nothing}
        2,b,1,{nothing},x
        {nothing},c,1,10,x
        {nothing},d,1,10,x
        3,{nothing},1,10,x
        4,a,{nothing},10,x
    """
    catalogue = f"""
        item_id,name,category,brand,price,in_stock
        a,{nothing},{nothing},Kahla,{nothing},no
        b,Mug,{nothing},{nothing},20,{nothing}
    """
    dataset = read(
        *(tmp_path, orders),
        catalogue=catalogue,
        of_catalogue='attribute_labels = { brand = { nb = "merke" } }',
    )
    assert baskets_by_id(dataset) == {"1": {"a"}, "2": {"b"}}
    assert left_out(dataset) == {"missing_order_id": 2, "missing_item_id": 1, "bad_quantity": 1}
    assert notes(dataset)["missing_price"] == 1
    made = dataset.catalogue
    assert (list(made.names), list(made.attributes["brand"])) == (["a", "Mug"], ["Kahla", ""])
    assert (list(made.category_names), made.offerable.tolist()) == ([], [False, True])


# Orders of one id

EVERY_DAY = ("2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04")


def receipts(*parts: tuple[str, ...]) -> str:
    """A file in which receipts 1 to 9 stand once for each of the parts; two items each."""
    rows = [
        ",".join((str(number), *part, item))
        for part in parts
        for number in range(1, 10)
        for item in (f"a{number}{part[0]}", f"b{number}{part[0]}")
    ]
    return "\n".join(rows) + "\n"


def test_receipts_that_begin_again_every_day(tmp_path: Path) -> None:
    rows = receipts(*((f"{day} 12:00",) for day in EVERY_DAY))
    dataset = read(tmp_path, "order_id,ordered_at,item_id\n" + rows)
    assert dataset.n_orders == 36
    assert set(map(len, baskets_by_id(dataset).values())) == {2}
    (warning,) = warnings_of(dataset.quality)
    assert "one order id stands for up to 4 days" in warning
    assert "split_orders = false" in warning
    assert 'columns.order_id = ["order_id", "ordered_at"]' in warning
    assert "1|2024-02-01" in list(dataset.order_ids)
    one = read(tmp_path, "order_id,ordered_at,item_id\n" + rows, "split_orders = false")
    assert (one.n_orders, warnings_of(one.quality)) == (9, [])
    named = read(
        tmp_path,
        "order_id,ordered_at,item_id\n" + rows,
        'columns = { order_id = ["order_id", "ordered_at"] }',
    )
    assert (named.n_orders, warnings_of(named.quality)) == (36, [])


def test_receipts_of_several_stores_and_customers(tmp_path: Path) -> None:
    stores = receipts(("2024-02-01", "Oslo"), ("2024-02-01", "Bergen"))
    dataset = read(tmp_path, "order_id,ordered_at,store_id,item_id\n" + stores)
    assert dataset.n_orders == 18
    assert "up to 2 stores" in warnings_of(dataset.quality)[0]
    customers = receipts(("2024-02-01", "k1"), ("2024-02-01", "k2"), ("2024-02-02", "k1"))
    dataset = read(tmp_path, "order_id,ordered_at,customer_id,item_id\n" + customers)
    assert dataset.n_orders == 27
    assert "up to 2 days and up to 2 customers" in warnings_of(dataset.quality)[0]


def test_a_visit_over_midnight_is_one_order(tmp_path: Path) -> None:
    rows = "".join(
        f"{number},{day} 23:5{number},a\n{number},{after} 00:0{number},b\n"
        f"{number},{after} 21:00,c\n"
        for day, after in (("2024-02-01", "2024-02-02"), ("2024-02-05", "2024-02-06"))
        for number in range(1, 6)
    )
    dataset = read(tmp_path, "order_id,ordered_at,item_id\n" + rows)
    baskets = baskets_by_id(dataset)
    assert baskets["1|2024-02-01"] == {"a", "b"}
    assert baskets["1|2024-02-02"] == {"c"}
    assert dataset.n_orders == 20


def test_ids_that_are_orders_are_believed(tmp_path: Path) -> None:
    # A few orders were added to later, or are open for hours.
    rows = "".join(
        f"{number},2024-02-01 08:00,a\n{number},2024-02-01 20:00,b\n" for number in range(50)
    )
    late = "".join(f"{number},2024-02-09 08:00,c\n" for number in range(4))
    dataset = read(tmp_path, "order_id,ordered_at,item_id\n" + rows + late)
    (warning,) = warnings_of(dataset.quality)
    assert "4 of 50 order ids stand for several days and are believed" in warning
    assert dataset.n_orders == 50
    for split, n_orders in (("true", 54), ("false", 50)):
        dataset = read(
            tmp_path, "order_id,ordered_at,item_id\n" + rows + late, f"split_orders = {split}"
        )
        assert (dataset.n_orders, warnings_of(dataset.quality)) == (n_orders, [])


# Rows that are no sales, and returns

STATES = """
    order_id,item_id,status
    1,a,wc-completed
    2,a,wc-Cancelled
    3,a,processing
    4,a,
"""


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ("", {"1", "2", "3", "4"}),
        ('not = { status = ["cancelled"] }', {"1", "3", "4"}),
        ('not = { status = "wc-cancelled" }', {"1", "3", "4"}),
        ('only = { status = ["Completed", "processing"] }', {"1", "3"}),
        ('only = { status = ["*"] }\nnot = { status = ["processing"] }', {"1", "2"}),
    ],
)
def test_states_of_orders(tmp_path: Path, settings: str, ids: set[str]) -> None:
    dataset = read(tmp_path, STATES, settings)
    assert set(baskets_by_id(dataset)) == ids
    assert left_out(dataset) == ({"filtered": 4 - len(ids)} if settings else {})
    unheard = [] if settings else ["says 'wc-Cancelled'"]
    assert [
        words in warning
        for words, warning in zip(unheard, warnings_of(dataset.quality), strict=True)
    ] == [True] * len(unheard)


def test_states_that_nobody_has_are_warned_of(tmp_path: Path) -> None:
    dataset = read(tmp_path, STATES, 'not = { status = ["canceled"] }')
    assert (
        "no row of column 'status' says 'canceled'; it says 'wc-completed'"
        in (warnings_of(dataset.quality)[0])
    )
    with pytest.raises(DataError, match="no such column"):
        read(tmp_path, STATES, 'not = { state = ["canceled"] }')


def test_any_word_is_none_for_nothing(tmp_path: Path) -> None:
    orders = "order_id,item_id,cancelled\n1,a,false\n2,a,TRUE\n3,a,0\n4,a,1\n5,a,\n6,a,No\n"
    dataset = read(tmp_path, orders, 'not = { cancelled = ["*"] }')
    assert baskets_by_id(dataset).keys() == {"1", "3", "5", "6"}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("status", ("not cancelled", "non refundable")),
        ("Financial Status", ("paid", "partially_refunded")),
        ("type", ("Tested", "Returnable bottle")),
        ("colour", ("Void deck", "Draft beer")),
        ("refund_policy", ("30 days", "14 days")),
    ],
)
def test_words_that_say_nothing_of_the_order(
    tmp_path: Path, header: str, words: tuple[str, str]
) -> None:
    orders = f"order_id,item_id,{header}\n1,a,{words[0]}\n2,a,{words[1]}\n"
    assert warnings_of(read(tmp_path, orders).quality) == []


@pytest.mark.parametrize(
    ("header", "cells", "setting"),
    [
        ("Cancelled at", ("", "2024-02-01"), 'not = { "Cancelled at" = ["*"] }'),
        ("is_test", ("false", "true"), 'not = { "is_test" = ["*"] }'),
        ("Refunded Amount", ("0.00", "99.00"), 'columns.amount_refunded = "Refunded Amount"'),
        ("Status", ("Complete", "Draft"), 'not = { "Status" = ["Draft"] }'),
        ("Ordrestatus", ("Levert", "Kansellert"), 'not = { "Ordrestatus" = ["Kansellert"] }'),
        ("Event", ("Payment", "Refund"), 'returns = { "Event" = ["Refund"] }'),
        ("State", ("Done", "CANCELLED_BY_ADMIN"), 'not = { "State" = ["CANCELLED_BY_ADMIN"] }'),
        ("Status", ("Levert", "Avbestilt (kunde)"), 'not = { "Status" = ["Avbestilt (kunde)"] }'),
        ("fulfillment", ("sent", "returned_to_sender"), 'not = { "fulfillment" = ["returned_t'),
        ("Document type", ("Rechnung", "Storno"), 'returns = { "Document type" = ["Storno"] }'),
        ("paid", ("yes", "no"), 'not = { "paid" = ["no"] }'),
        ("Estado", ("Completado", "Cancelado"), 'not = { "Estado" = ["Cancelado"] }'),
        ("Stato", ("Completato", "Annullato"), 'not = { "Stato" = ["Annullato"] }'),
        ("Bestelstatus", ("Voltooid", "Geannuleerd"), 'not = { "Bestelstatus" = ["Geannuleerd"]'),
        ("Return", ("", "yes"), 'returns = { "Return" = ["*"] }'),
        ("Canceled at", ("NaT", "2024-02-01"), "in 1 row, counted as sales"),
        ("is_return", ("0", "1"), 'returns = { "is_return" = ["*"] }'),
        ("qty_refunded", ("0", "1"), 'not = { "qty_refunded" = ["*"] }'),
    ],
)
def test_columns_that_seem_to_tell_of_no_sales_are_named(
    tmp_path: Path, header: str, cells: tuple[str, str], setting: str
) -> None:
    orders = f"order_id,item_id,{header}\n1,a,{cells[0]}\n2,b,{cells[1]}\n"
    (warning,) = warnings_of(read(tmp_path, orders).quality)
    assert repr(header) in warning
    assert setting in warning


SOLD = """
    order_id,customer_id,ordered_at,item_id,quantity,unit_price,type
    1,k,2026-01-01,CUP,1,89,sale
    1,k,2026-01-01,POT,1,299,sale
    3,l,2026-01-01,POT,1,299,sale
    3,l,2026-01-01,TEA,1,99,sale
"""


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ("R1,k,2026-01-02,POT,1,299,refund", ""),
        ("R1,k,2026-01-02,POT,1,299,Retur", ""),
        ("R1,k,2026-01-02,POT,1,-299,shop_order_refund", ""),
        ("R1,k,2026-01-02,POT,1,-299,", ""),
        ("R1,k,2026-01-02,POT,1,-249,", ""),
        ("1,k,2026-01-01,POT,1,-299,", ""),
        ("R1,k,2026-01-02,POT,-1,299,", ""),
        ("R1,k,2026-01-02,POT,1-,299,", ""),
        ("R1,k,2026-01-02,POT,-1,-299,", ""),
        ("R1,k,2026-01-02,POT,1,299,RET", 'returns = { type = ["ret"] }'),
    ],
)
def test_refunds_that_are_rows_of_their_own(tmp_path: Path, row: str, settings: str) -> None:
    dataset = read(tmp_path, textwrap.dedent(SOLD) + row + "\n", settings)
    assert baskets_by_id(dataset) == {"1": {"CUP"}, "3": {"POT", "TEA"}}
    assert dataset.quality.returns.matched_units == 1
    assert warnings_of(dataset.quality) == []


def test_discounts_below_zero_are_no_returns(tmp_path: Path) -> None:
    rows = "1,k,2026-01-01,POT,1,-30,\n1,k,2026-01-01,COUPON,1,-50,\n"
    dataset = read(tmp_path, textwrap.dedent(SOLD) + rows)
    assert baskets_by_id(dataset) == {"1": {"CUP", "POT"}, "3": {"POT", "TEA"}}
    assert left_out(dataset) == {"negative_price": 2}
    assert "returns = {" in warnings_of(dataset.quality)[0]
    # No column is asked where the shop file says that there are none.
    row = "R1,k,2026-01-02,POT,1,299,refund\n"
    dataset = read(tmp_path, textwrap.dedent(SOLD) + row, "returns = {}")
    assert dataset.quality.returns.lines == 0


def test_amounts_paid_back(tmp_path: Path) -> None:
    orders = """
        order_id,item_id,quantity,unit_price,amount_refunded
        whole,a,1,100,300
        whole,b,2,100,
        line,a,1,100,
        line,c,1,50,50
        part,a,1,100,100
        part,b,2,100,30
        none,a,1,100,0
        none,b,1,100,0.00
    """
    dataset = read(tmp_path, orders)
    assert baskets_by_id(dataset) == {"line": {"a"}, "part": {"b"}, "none": {"a", "b"}}
    assert left_out(dataset) == {"refunded": 4}
    assert notes(dataset) == {"partial_refund": 1}


# Stops say what to set


@pytest.mark.parametrize(
    ("time", "form"),
    [
        ("01.01.24 08:00", "%d.%m.%y %H:%M"),
        ("31.12.24", "%d.%m.%y"),
        ("12/31/24 8:15 AM", "%m/%d/%y %I:%M %p"),
        ('"31.12.2024, 08:15"', "%d.%m.%Y, %H:%M"),
        ("1/2/24 8:15:00", "%d/%m/%y %H:%M:%S"),
        ("45292.354", "excel"),
        ("45292", "excel"),
        ("1704067200", "unix"),
        ("1704067200000", "unix"),
    ],
)
def test_dates_that_are_not_understood(tmp_path: Path, time: str, form: str) -> None:
    orders = f"order_id,item_id,ordered_at\n1,a,{time}\n"
    with pytest.raises(DataError, match="set date_format, for example") as caught:
        read(tmp_path, orders)
    assert repr(form) in caught.value.message
    dataset = read(tmp_path, orders, f'date_format = "{form}"')
    assert clock.to_iso(int(dataset.ordered_at[0]))[:4] in ("2023", "2024")


def test_numbers_of_spreadsheets_and_clocks(tmp_path: Path) -> None:
    def instant(time: str, form: str) -> str:
        orders = f"order_id,item_id,ordered_at\n1,a,{time}\n"
        return clock.to_iso(int(read(tmp_path, orders, f'date_format = "{form}"').ordered_at[0]))

    assert instant("45292.5", "excel") == "2024-01-01T11:00:00+00:00"  # noon in Oslo
    assert instant('"45474,25"', "excel") == "2024-07-01T04:00:00+00:00"
    assert instant("1704067200", "unix") == "2024-01-01T00:00:00+00:00"
    assert instant("1704067200500", "unix") == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("orders", "settings", "message"),
    [
        ("order_id;item_id\n1;a\n", "", "set separator = ';'"),
        ("order_id;item_id;unit_price\n1;a;3,5\n", "", "set separator = ';'"),
        ("order_id\titem_id\n1\ta\n", "", r"set separator = '\\t'"),
        ("order_id,item_id\n1,a\n", 'separator = ";"', "set separator = ','"),
        ("order_id,item_id,unit_price\n1,a,free\n", "", "set decimal and thousands"),
        ("order_id,item_id,quantity\n1,a,few\n", "", r"set decimal.*columns\.quantity"),
        ("order_id,item_id,currency\n1,a,EUR\n", "", r"set \[shop\] currency"),
        ("order_id,item_id\n,a\n", "", r"set columns\.order_id"),
    ],
)
def test_every_stop_says_what_to_set(
    tmp_path: Path, orders: str, settings: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, orders, settings)


def test_settings_are_checked() -> None:
    def section(**fields: Any) -> None:
        parse_config({"shop": {"name": "T", "currency": "NOK"}, "orders": {"path": "x", **fields}})

    section(**{"not": {"status": "cancelled"}}, decimal={"quantity": ","})
    for wrong in ({"not": {"status": []}}, {"decimal": ";"}, {"only": "paid"}):
        with pytest.raises(ConfigError):
            section(**wrong)
