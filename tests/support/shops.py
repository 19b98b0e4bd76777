"""Real shops of the shared data sets as shop files: (configuration, folder of its data)."""

from __future__ import annotations

import tomllib
from pathlib import Path

from engine.config import ShopConfig, parse_config
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


def breadbasket_config() -> tuple[ShopConfig, Path]:
    """A bakery: 9,465 orders, 94 items, neither prices nor customers."""
    return _shop(BREADBASKET, "breadbasket")


def coffee_ibm_config() -> tuple[ShopConfig, Path]:
    """A coffee chain: 39,271 orders, 88 products with sizes, prices and costs."""
    return _shop(COFFEE_IBM, "coffee_ibm")


def online_retail_config() -> tuple[ShopConfig, Path]:
    """A gift wholesaler: dirty data, cancellations, guests."""
    return _shop(ONLINE_RETAIL, "online_retail")


def _shop(text: str, name: str) -> tuple[ShopConfig, Path]:
    folder = shared_data(name)
    return parse_config(tomllib.loads(text), source=name), folder
