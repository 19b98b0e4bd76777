"""`mersalg init FILES`: what it reads, asks and guesses, and that the shop file trains."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from typer.testing import CliRunner

from mersalg.engine.clock import to_datetime
from mersalg.engine.config import load_config
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.progress import SilentProgress
from mersalg.engine.source_sections import CatalogueColumns, OrderColumns
from mersalg.serving.cli.main import app
from mersalg.training.reading.dataset import load_dataset
from mersalg.training.reading.survey import Header, names
from tests.support.commands import run
from tests.support.exports import EXPORTS, GOODS, Export, Line, comma, lines, point

_GOODS = [*enumerate(GOODS, start=1)]
by_export = pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS.keys())


def _drafted(paths: Sequence[Path], *options: object) -> dict[str, Any]:
    """Run `mersalg init --yes` and return what it says."""
    out = paths[0].parent / "shop.toml"
    return json.loads(run("init", *paths, "--out", out, "--yes", "--json", *options))


@by_export
def test_every_setting_of_an_export_is_right(export: Export, tmp_path: Path) -> None:
    drafted = _drafted(export.write(tmp_path))
    assert drafted["settings"].pop("shop.name") == tmp_path.name
    assert drafted["settings"] == export.expected
    assert drafted["guessed"].keys() == {"shop.name", *export.guessed}
    text = (tmp_path / "shop.toml").read_text()
    assert text.count("  # guessed: ") == len(drafted["guessed"])
    assert tomllib.loads(text)["shop"]["currency"] == export.expected["shop.currency"]


@by_export
def test_training_reads_every_line_of_an_export_right(export: Export, tmp_path: Path) -> None:
    _drafted(export.write(tmp_path))
    shop = load_config(tmp_path / "shop.toml")
    dataset = load_dataset(shop, tmp_path, SilentProgress())
    item_ids = dataset.catalogue.items
    read = sorted(
        (
            "".join(filter(str.isdigit, dataset.order_ids[line.order])).lstrip("0"),
            item_ids[line.item],
            line.quantity,
            line.unit_price_minor,
        )
        for line in dataset.lines.itertuples()
    )
    by_name = shop.orders.columns.item_id == ("Artikkel",)
    sold = export.sold()
    assert read == sorted(
        (str(x.order), x.name if by_name else x.sku, x.quantity, round(x.price * 100)) for x in sold
    )
    zone = ZoneInfo(shop.shop.timezone)
    days = [to_datetime(int(micros)).astimezone(zone).date() for micros in dataset.ordered_at]
    assert days == sorted({x.order: x.moment.date() for x in sold}.values())
    if export.catalogue is not None:
        prices = {item_ids[n]: int(price) for n, price in enumerate(dataset.catalogue.price_minor)}
        assert prices == {sku: round(price * 100) for sku, _, _, price in GOODS}


@by_export
def test_the_shop_file_of_an_export_trains(export: Export, tmp_path: Path) -> None:
    _drafted(export.write(tmp_path))
    shop_file, models = tmp_path / "shop.toml", tmp_path / "models"
    trained = json.loads(run("train", "--config", shop_file, "--models", models, "--json"))
    assert trained["published"]
    assert trained["counts"]["orders"] == len({line.order for line in export.sold()})
    checked = json.loads(run("check", "--config", shop_file, "--models", models, "--json"))
    status = {each["part"]: each["status"] for each in checked["findings"]}
    assert status["shop file"] == status["orders and catalogue"] == "ok"


def _day(line: Line) -> str:
    return line.moment.date().isoformat()


def _orders(folder: Path, header: str, cells: Callable[[Line], Sequence[Any]]) -> Path:
    return Export((header, cells)).write(folder)[0]


_DATES: dict[str, tuple[str, int, str | None, bool]] = {
    # How dates are written, days that they span: the form, and whether it is a guess.
    "day and month": ("%d/%m/%Y", 9, "%d/%m/%Y", True),
    "month and day of a few days": ("%m/%d/%Y", 9, "%m/%d/%Y", True),
    "month and day of all days": ("%m/%d/%Y", 40, "%m/%d/%Y", False),
    "with points": ("%d.%m.%Y", 9, "%d.%m.%Y", False),
    "year of two digits": ("%d.%m.%y", 40, "%d.%m.%y", False),
    "Swedish year of two digits": ("%y-%m-%d", 9, "%y-%m-%d", False),
    "ISO 8601": ("%Y-%m-%dT%H:%M:%S", 40, None, False),
    "one word": ("%Y%m%d", 40, None, False),
    "name of the month": ("%d %b %Y", 40, None, False),
}


@pytest.mark.parametrize(("form", "days", "expected", "guessed"), _DATES.values(), ids=_DATES)
def test_dates(form: str, days: int, expected: str | None, guessed: bool, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Order ID", "Date", "SKU"])
        writer.writerows([x.order, format(x.moment, form), x.sku] for x in lines(days=days))
    drafted = _drafted([path], "--currency", "EUR")
    assert drafted["settings"].get("orders.date_format") == expected
    assert ("orders.date_format" in drafted["guessed"]) == guessed


@pytest.mark.parametrize(
    ("header", "cells", "expected", "guessed"),
    [
        ("Price", lambda x: [point(x.price)], ("unit_price", "."), False),
        ("Price", lambda x: [comma(x.price * x.quantity)], ("line_total", ","), False),
        ("Total", lambda x: [point(x.total)], (None, None), False),
        (
            "Amount|Order total",
            lambda x: [comma(x.price), comma(x.total)],
            ("unit_price", ","),
            False,
        ),
        (
            "Price|Line total",
            lambda x: [point(x.price), point(x.price * x.quantity)],
            ("unit_price", "."),
            False,
        ),
        # 1.249 may be either; the headers are English.
        ("Unit price", lambda x: [f"{x.price // 1 % 9 + 1:.0f}.249"], ("unit_price", "."), True),
        ("Enhetspris", lambda x: [f"{x.price // 1 % 9 + 1:.0f}.249"], ("unit_price", ","), True),
        ("Enhetspris", lambda x: ["1.249" if x.first else "99,50"], ("unit_price", ","), False),
    ],
)
def test_what_prices_are(
    header: str,
    cells: Callable[[Line], Sequence[Any]],
    expected: tuple[str | None, str | None],
    guessed: bool,
    tmp_path: Path,
) -> None:
    path = _orders(
        tmp_path,
        f"Order ID|SKU|Quantity|{header}",
        lambda x: (x.order, x.sku, x.quantity, *cells(x)),
    )
    drafted = _drafted([path])
    column = header.split("|")[0]
    named = {key.split(".")[-1] for key, each in drafted["settings"].items() if each == column}
    assert named == ({expected[0]} if expected[0] else set())
    assert drafted["settings"].get("orders.decimal") == expected[1]
    assert ("orders.decimal" in drafted["guessed"]) == guessed


def test_the_language_of_a_file_speaks_for_its_decimal_mark(tmp_path: Path) -> None:
    orders = _orders(tmp_path, "Order ID|Date|SKU|Qty", lambda x: (x.order, _day(x), x.sku, 1))
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("Artikelnummer;Bezeichnung;Preis\n1001;Becher;1.299\n1002;Kanne;1.399\n")
    drafted = _drafted([orders, catalogue])
    assert drafted["settings"]["catalogue.decimal"] == ","
    assert (
        drafted["guessed"]["catalogue.decimal"] == "'Preis': '1.299' can be read as 1.299 or 1,299"
    )


def test_a_column_of_two_marks_is_asked_about(tmp_path: Path) -> None:
    path = _orders(
        tmp_path,
        "Order ID|SKU|Unit price",
        lambda x: (x.order, x.sku, point(x.price) if x.order % 3 else comma(x.price)),
    )
    drafted = _drafted([path])
    assert drafted["settings"]["orders.decimal"] == "."
    assert "some numbers have a decimal point" in drafted["guessed"]["orders.decimal"]


def test_an_unclear_encoding_is_asked_about_and_read_as_answered(tmp_path: Path) -> None:
    (path,) = EXPORTS["norwegian till"].write(tmp_path)
    path.write_bytes(path.read_bytes().replace("Beløp".encode("cp850"), "Beløpet".encode("cp850")))
    shop, questions = _ask(
        [path], "cp865\nTill\n\n\n\n", "--set", "orders.columns.line_total=Beløpet (NOK)"
    )
    assert "Text encoding of b-sales.csv" in questions
    assert shop["orders"]["encoding"] == "cp865"
    assert (
        load_dataset(load_config(tmp_path / "shop.toml"), tmp_path, SilentProgress()).n_orders
        == 240
    )


def test_kilos_and_prices_may_have_different_marks(tmp_path: Path) -> None:
    path = _orders(
        tmp_path,
        "Bong|Vare|Antall|Enhetspris",
        lambda x: (x.order, x.name, f"{x.quantity}.250", comma(x.price)),
    )
    drafted = _drafted([path])
    assert drafted["settings"]["orders.decimal"] == {"unit_price": ",", "quantity": "."}
    assert drafted["guessed"]["orders.decimal"].endswith("can be read as 1.25 or 1,250")
    assert load_config(tmp_path / "shop.toml").orders.decimal_of("quantity") == "."


@pytest.mark.parametrize(
    ("header", "price", "currency", "is_guess"),
    [
        ("Unit price (GBP)", "9.50", "GBP", False),
        ("Unit price", "£9.50", "GBP", False),
        ("Unit price", "9.50 €", "EUR", False),
        ("Unit price", "$9.50", "USD", True),
        ("Enhetspris", "kr 9,50", "NOK", True),
        ("Stykpris", "kr 9,50", "DKK", True),
        ("Enhetspris", "9,50", "NOK", True),
    ],
)
def test_currencies(header: str, price: str, currency: str, is_guess: bool, tmp_path: Path) -> None:
    ids = "Købsdato|Varenummer" if header == "Stykpris" else "Date|SKU"
    path = _orders(
        tmp_path, f"Order ID|{ids}|{header}", lambda x: (x.order, x.moment.date(), x.sku, price)
    )
    drafted = _drafted([path])
    assert drafted["settings"]["shop.currency"] == currency
    assert ("shop.currency" in drafted["guessed"]) == is_guess


def _ask(paths: Sequence[Path], answers: str, *options: str) -> tuple[dict[str, Any], str]:
    """Answer the questions of `mersalg init`; return the shop file and the questions."""
    out = paths[0].parent / "shop.toml"
    command = ["init", *map(str, paths), "--out", str(out), *options]
    result = CliRunner().invoke(app, command, input=answers, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return tomllib.loads(out.read_text()), result.stderr


def test_questions_are_asked_and_answered(tmp_path: Path) -> None:
    path = _orders(
        tmp_path,
        "Order ID|Date|SKU|Product ID|Discount",
        lambda x: (
            x.order,
            f"{x.moment.day % 12 + 1}/{x.moment.month}/2023",
            x.sku,
            x.order % 7,
            5,
        ),
    )
    answers = ("Tea & mugs", "Product ID", "-", "nok", "Europe/Oslo", "nb", "%q", "%d/%m/%Y")
    shop, questions = _ask([path], "\n".join(answers) + "\n")
    assert [*shop["shop"].values()] == ["Tea & mugs", "NOK", "Europe/Oslo", "nb"]
    assert shop["orders"]["columns"]["item_id"] == "Product ID"
    assert shop["orders"]["columns"]["discount"] == ""
    assert shop["orders"]["date_format"] == "%d/%m/%Y"
    assert questions.count("Form of the dates") == 2  # %q is none of the choices
    assert "guessed" not in (tmp_path / "shop.toml").read_text().split("\n\n", 1)[1]


def test_an_empty_answer_takes_what_is_offered(tmp_path: Path) -> None:
    path = _orders(tmp_path, "Ordrenr|Varenr", lambda x: (x.order, x.sku))
    shop, _ = _ask([path], "\n" * 4)
    assert shop["shop"]["currency"] == "NOK"


def test_without_answers_nothing_is_written(tmp_path: Path) -> None:
    path = _orders(tmp_path, "Order ID|SKU", lambda x: (x.order, x.sku))
    with pytest.raises(ConfigError) as refusal:
        _ask([path], "")
    for flag in ("shop.name", "shop.currency", "shop.timezone", "shop.locale", "--yes"):
        assert flag in refusal.value.message
    assert not (tmp_path / "shop.toml").exists()


def test_what_has_no_likely_answer_is_not_guessed(tmp_path: Path) -> None:
    path = _orders(tmp_path, "Order ID|SKU|Date", lambda x: (x.order, x.sku, "week 7"))
    with pytest.raises(ConfigError, match=r"'week 7' is not understood.*orders\.date_format"):
        _drafted([path])
    assert not (tmp_path / "shop.toml").exists()


def test_a_shop_file_is_replaced_only_where_asked(tmp_path: Path) -> None:
    path = _orders(tmp_path, "Order ID|SKU", lambda x: (x.order, x.sku))
    shop_file = tmp_path / "shop.toml"
    shop_file.write_text("mine")
    with pytest.raises(ConfigError, match="there already"):
        _drafted([path])
    assert shop_file.read_text() == "mine"
    _drafted([path], "--force")
    assert load_config(shop_file).orders.path == "b-sales.csv"


def test_given_settings_are_kept(tmp_path: Path) -> None:
    path = _orders(tmp_path, "foo|bar|Date|Price", lambda x: (x.order, x.sku, _day(x), x.price))
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("id,name\n1001,Mug\n1004,Tea towel\n")
    drafted = _drafted(
        [path, catalogue],
        *("--currency", "SEK", "--name", "Tehuset", "--set", f"orders.path={path}"),
        *("--set", "orders.columns.order_id=foo", "--set", 'orders.columns.item_id=["bar"]'),
        *("--set", "experiment.holdout=0.2"),
        *("--set", 'offers.pins=[{ item = "1001", from = 2026-11-01 }]'),
    )
    assert drafted["guessed"].keys() == {"shop.timezone", "shop.locale"}
    shop = load_config(tmp_path / "shop.toml")
    assert (shop.shop.name, shop.shop.currency) == ("Tehuset", "SEK")
    assert shop.orders.columns.item_id == ("bar",)
    assert shop.experiment.holdout == 0.2
    assert [pin.offered_item for pin in shop.offers.pins] == ["1001"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("orders.nonsense=1", "orders.nonsense is not a setting"),
        ("currency=NOK", "give SECTION.KEY=VALUE"),
        ("shop.currency=KRX", "no currency of ISO 4217"),
        ("shop.timezone=Oslo", "unknown time zone"),
    ],
)
def test_given_settings_must_be_settings(option: str, message: str, tmp_path: Path) -> None:
    path = _orders(tmp_path, "Order ID|SKU|Date", lambda x: (x.order, x.sku, x.moment.date()))
    with pytest.raises(ConfigError, match=message):
        _drafted([path], "--set", option)
    assert not (tmp_path / "shop.toml").exists()


def test_files_that_are_neither_are_named(tmp_path: Path) -> None:
    path = _orders(tmp_path, "foo|bar", lambda x: (x.order, x.sku))
    with pytest.raises(
        ConfigError, match=r"first line.*neither that it holds orders nor a catalogue"
    ):
        _drafted([path])
    path.write_text("7000,2024-01-02,1001\n7001,2024-01-02,1002\n")
    with pytest.raises(ConfigError, match=r"first line, which must name the columns.*'7000'"):
        _drafted([path])
    path.write_text("Order ID,SKU,Qty,Qty\n1,a,1,2\n")
    with pytest.raises(DataError, match="this column occurs more than once"):
        _drafted([path])
    path.write_text("just\ntext\n")
    with pytest.raises(DataError, match="cannot be separated"):
        _drafted([path])
    path.write_text("Order ID,SKU\n")
    with pytest.raises(DataError, match="there are no rows"):
        _drafted([path])
    path.write_text("Kundenr,Navn,E-post\n1,Kari,kari@example.no\n")
    with pytest.raises(
        ConfigError, match=r"first line.*neither that it holds orders nor a catalogue"
    ):
        _drafted([path])
    sheet = path.rename(tmp_path / "orders.xlsx")
    with pytest.raises(DataError, match="spreadsheets are not read"):
        _drafted([sheet])
    with pytest.raises(ConfigError, match="name order and catalogue files, or a sample"):
        run("init")


def test_a_catalogue_of_other_goods_is_refused(tmp_path: Path) -> None:
    export = EXPORTS["american"]
    catalogue, orders = export.write(tmp_path)
    catalogue.write_text("SKU,Product Name,List Price\n9,Boat,3\n8,Oar,2\n")
    with pytest.raises(ConfigError, match=r"no item of .* leave the catalogue out"):
        _drafted([catalogue, orders])


def test_an_item_may_be_called_otherwise_in_the_catalogue(tmp_path: Path) -> None:
    orders = _orders(tmp_path, "order_id|product_id|qty", lambda x: (x.order, x.sku, x.quantity))
    catalogue = tmp_path / "items.csv"
    rows = "".join(f"{sku},{name.replace(',', '')},{price}\n" for sku, name, _, price in GOODS)
    catalogue.write_text(f"id,name,price\n{rows}")
    drafted = _drafted([orders, catalogue])["settings"]
    assert drafted["orders.path"] == orders.name
    assert drafted["orders.columns.item_id"] == "product_id"
    assert drafted["catalogue.columns.item_id"] == "id"


@pytest.mark.parametrize(
    "header",
    [
        "Auftragsreferenz|Auftragsdatum|Auftragszeilen/Produkt|Auftragszeilen/Menge",
        "Référence de la commande|Date de la commande|Lignes de la commande/Produit"
        "|Lignes de la commande/Quantité",
        "Ordrereferanse|Ordredato|Ordrelinjer/Produkt|Ordrelinjer/Antall",
        "Orderreferens|Orderdatum|Orderrader/Produkt|Orderrader/Antal",
        "Ordrereference|Ordredato|Ordrelinjer/Produkt|Ordrelinjer/Antal",
    ],
)
def test_orders_of_odoo_in_other_languages(header: str, tmp_path: Path) -> None:
    path = _orders(
        tmp_path,
        header,
        lambda x: (f"S{x.order}" if x.first else "", _day(x) if x.first else "", x.sku, x.quantity),
    )
    drafted = _drafted([path])["settings"]
    fields = ("order_id", "ordered_at", "item_id", "quantity")
    assert [drafted[f"orders.columns.{name}"] for name in fields] == header.split("|")
    shop = load_config(tmp_path / "shop.toml")
    assert load_dataset(shop, tmp_path, SilentProgress()).n_orders == 240


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("ID;Artikelnummer;Name;Veröffentlicht;Vorrätig?;Regulärer Preis", (1, 2, 5, 3, 4)),
        ("ID;UGS;Nom;Publié;En stock ?;Tarif régulier", (1, 2, 5, 3, 4)),
        ("ID;Varenummer (SKU);Navn;Udgivet;På lager?;Normalpris", (1, 2, 5, 3, 4)),
        ("ID;Artikelnummer;Namn;Publicerad;I lager?;Ordinarie pris", (1, 2, 5, 3, 4)),
        ("ID;Referenz;Name;Status;Preis (ohne MwSt.);Preis (inkl. MwSt.)", (1, 2, 5, 3, None)),
        ("ID;Referanse;Navn;Status;Pris (ekskl. mva);Pris (inkl. mva)", (1, 2, 5, 3, None)),
    ],
)
def test_catalogues_of_systems_in_other_languages(
    header: str, expected: tuple[int | None, ...], tmp_path: Path
) -> None:
    orders = _orders(tmp_path, "Order ID|SKU", lambda x: (x.order, x.sku))
    catalogue, names = tmp_path / "items.csv", header.split(";")
    rows = [f"{place};{sku};{name};1;1;{comma(price)}" for place, (sku, name, _, price) in _GOODS]
    catalogue.write_text("\n".join([header, *rows]) + "\n")
    drafted = _drafted([orders, catalogue])["settings"]
    fields = ("item_id", "name", "price", "active", "in_stock")
    found = [drafted.get(f"catalogue.columns.{name}") for name in fields]
    assert found == [None if place is None else names[place] for place in expected]


def test_an_export_may_call_a_field_otherwise(tmp_path: Path) -> None:
    cells = ("Order ID|Date|SKU|Qty ordered|Discount", lambda x: (x.order, _day(x), x.sku, 1, 5))
    drafted = _drafted([_orders(tmp_path, *cells)])["settings"]
    assert drafted["orders.columns.ordered_at"] == "Date"


def test_files_of_several_months_are_one_pattern(tmp_path: Path) -> None:
    text = "Order ID,Date,SKU\n{0}1,{1}/02/2024,a\n{0}2,{1}/02/2024,b\n"
    paths = [tmp_path / f"orders-2024-0{month}.csv" for month in (1, 2)]
    paths[0].write_text(text.format("x", "01"))
    paths[1].write_text(text.format("y", "25"))
    drafted = _drafted(paths)
    assert drafted["settings"]["orders.path"] == "orders-2024-0*.csv"
    # Only the second file says that the day is first.
    assert drafted["settings"]["orders.date_format"] == "%d/%m/%Y"
    assert "orders.date_format" not in drafted["guessed"]
    (tmp_path / "orders-2024-0-old.csv").write_text(text.format("z", "01"))
    with pytest.raises(ConfigError, match="no pattern names these files"):
        _drafted(paths, "--force")


def test_paths_are_relative_to_the_shop_file(tmp_path: Path) -> None:
    path = _orders(tmp_path, "Order ID|SKU", lambda x: (x.order, x.sku))
    out = tmp_path / "shops" / "tea.toml"
    run("init", path, "--out", out, "--yes")
    assert load_config(out).orders.path == "../b-sales.csv"
    assert load_dataset(load_config(out), out.parent, SilentProgress()).n_orders == 240


def test_parquet_files_are_read(tmp_path: Path) -> None:
    rows = [(x.order, x.moment, x.sku, x.quantity, x.price) for x in lines()]
    path = tmp_path / "orders.parquet"
    columns = ["OrderID", "orderDate", "Product code", "Qty", "UnitPrice"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    drafted = _drafted([path])
    found = [drafted["settings"][f"orders.columns.{name}"] for name in ("order_id", "ordered_at")]
    assert found == columns[:2]
    assert not {"orders.separator", "orders.date_format", "orders.decimal"} & {*drafted["settings"]}


def test_the_name_of_a_column_cannot_write_settings(tmp_path: Path) -> None:
    header = ["Order ID", "SKU", 'x"\n[offers]\ncross_sell = 9\n#', "Price ' # \\ é"]
    path = tmp_path / "orders.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, ["1", "a", "b", "2.50"], ["2", "a", "b", "2.50"]])
    drafted = _drafted([path])
    assert load_config(tmp_path / "shop.toml").offers.cross_sell == 3
    assert header[2] in drafted["unused"]["orders"]


@pytest.mark.parametrize(
    ("name", "key", "currency", "with_tax"),
    [
        ("Order #", "ordernr", None, None),
        ("orderNumber", "ordernr", None, None),
        ("Pris inkl. mva (NOK)", "pris", "NOK", True),
        ("Price (tax excl.)", "price", None, False),
        ("Prix unitaire HT", "prixunitaire", None, False),
        ("Total tax", "totaltax", None, None),
        ("Größe", "grosse", None, None),
        ("Preis (inkl. MwSt.)", "preis", None, True),
    ],
)
def test_headers(name: str, key: str, currency: str | None, with_tax: bool | None) -> None:
    assert Header.of(name) == Header(key, currency, with_tax)


def test_the_table_of_names_names_fields() -> None:
    fields = {
        "orders": {
            *OrderColumns.model_fields,
            "item_name",
            "time",
            "amount",
            "status",
            "cancelled_at",
        },
        "catalogue": {*CatalogueColumns.model_fields},
    }
    for section, known in fields.items():
        assert names()[section].keys() <= known
    for export in names()["exports"]:
        assert export["columns"].keys() <= fields[export["section"]], export["name"]
    assert {language for each in names()["orders"].values() for language in each} <= names()[
        "languages"
    ].keys()
