"""Small shops as files, for tests of what happens to each row."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mersalg.engine.config import ShopConfig, parse_config
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import Dataset, load_dataset

SHOP = """
[shop]
name = "Prøvebutikken"
currency = "NOK"
timezone = "Europe/Oslo"

[orders]
path = "orders.csv"
decimal = "."
cancellation_prefix = "C"
ignore_items = ["frakt"]

[orders.columns]
order_id = "order"
item_id = "item"
ordered_at = "time"
customer_id = "customer"
quantity = "quantity"
unit_price = "price"
discount = "discount"
store_id = "store"
currency = "currency"
"""

ORDER_COLUMNS = (
    *("order", "item", "time", "customer", "quantity", "price", "discount", "store", "currency"),
)


def config(extra: str = "", **orders: Any) -> ShopConfig:
    """The shop above; `extra` is more TOML, `orders` replaces keys of its section."""
    data: dict[str, Any] = tomllib.loads(SHOP + extra)
    data["orders"] |= orders
    return parse_config({**data, "orders": {k: v for k, v in data["orders"].items() if v != ""}})


def line(
    order: str,
    item: str,
    time: str = "2025-03-01 12:00:00",
    customer: str = "",
    quantity: object = 1,
    price: object = "10.00",
    discount: object = "",
    store: str = "Oslo",
    currency: str = "NOK",
) -> dict[str, Any]:
    """One row of the order file."""
    cells = (order, item, time, customer, quantity, price, discount, store, currency)
    return dict(zip(ORDER_COLUMNS, cells, strict=True))


def write_csv(
    path: Path,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str] = ORDER_COLUMNS,
    encoding: str = "utf-8",
    **options: Any,
) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(folder: Path, shop: ShopConfig, rows: Sequence[dict[str, Any]] | None = None) -> Dataset:
    """The data set of `shop`, with `rows` written as its order file first."""
    if rows is not None:
        write_csv(folder / "orders.csv", rows)
    return load_dataset(shop, folder, SilentProgress())


def baskets_by_id(dataset: Dataset) -> dict[str, set[str]]:
    """Order id -> item ids."""
    return {
        order_id: {dataset.catalogue.items[item] for item in dataset.baskets[order]}
        for order, order_id in enumerate(dataset.order_ids)
    }
