"""Real shops from their shop files alone: what is known about the data must come out."""

from __future__ import annotations

import pandas as pd
import pytest

from mersalg.engine import clock
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import Dataset, load_dataset
from tests.support.shared_data import shared_data
from tests.support.shops import breadbasket_config, coffee_ibm_config, online_retail_config

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def retail() -> Dataset:
    return load_dataset(*online_retail_config(), SilentProgress())


def test_breadbasket() -> None:
    dataset = load_dataset(*breadbasket_config(), SilentProgress())
    assert (dataset.n_orders, len(dataset.catalogue)) == (9_465, 94)
    quality = dataset.quality.orders
    assert (quality.rows_read, quality.rows_kept) == (21_293, 20_507)
    assert {reason: found.rows for reason, found in quality.left_out.items()} == {
        "ignored_item": 786
    }
    # 09:58:11 of a Sunday on which the clocks had just gone back to GMT.
    assert clock.to_iso(int(dataset.ordered_at[0])) == "2016-10-30T09:58:11+00:00"
    assert (dataset.catalogue.price_minor == -1).all()
    index = dataset.catalogue.items.index_of
    toast, coffee = index("Toast"), index("Coffee")
    joint = sum(
        {toast, coffee} <= set(dataset.baskets[order].tolist()) for order in range(dataset.n_orders)
    )
    counts = dataset.baskets.item_counts()
    assert (joint, counts[toast], counts[coffee]) == (224, 318, 4528)


def test_coffee_ibm() -> None:
    dataset = load_dataset(*coffee_ibm_config(), SilentProgress())
    assert dataset.n_orders == 39_271
    assert len(dataset.catalogue) == 88
    assert len(dataset.lines) == dataset.quality.orders.rows_read == 49_894
    assert len(dataset.store_ids) == 3
    assert dataset.quality.orders.left_out == {}
    catalogue = dataset.catalogue
    item = catalogue.items.index_of("24")
    assert item is not None
    assert catalogue.names[item] == "Our Old Time Diner Blend Lg"
    assert (catalogue.price_minor[item], catalogue.cost_minor[item]) == (300, 60)
    assert catalogue.family_names[int(catalogue.family[item])] == "Drip coffee"
    assert catalogue.category_names[int(catalogue.category[item])] == "Beverages > Coffee"
    assert catalogue.attributes["unit_of_measure"][item] == "24 oz"
    assert (catalogue.price_minor > catalogue.cost_minor).all()


def test_online_retail_orders_and_quality(retail: Dataset) -> None:
    raw = pd.read_parquet(shared_data("online_retail") / "online_retail.parquet")
    config, _ = online_retail_config()
    goods = raw[~raw["StockCode"].isin(config.orders.ignore_items)]
    unique = goods.drop_duplicates()
    returned = (unique["Quantity"] < 0) | unique["InvoiceNo"].str.startswith("C")
    bought = unique[~returned]
    quality = retail.quality
    assert quality.orders.rows_read == len(raw) == 541_909
    assert {reason: found.rows for reason, found in quality.orders.left_out.items()} == {
        "ignored_item": len(raw) - len(goods),
        "duplicate_line": len(goods) - len(unique),
    }
    assert quality.orders.notes["guest_line"].rows == int(unique["CustomerID"].isna().sum())
    returns = quality.returns
    assert returns.lines == int(returned.sum())
    assert returns.matched_units + returns.unmatched_units == -unique["Quantity"][returned].sum()
    assert len(retail.lines) == len(bought) - returns.lines_removed
    assert retail.n_orders == bought["InvoiceNo"].nunique() - returns.orders_removed
    assert retail.lines["quantity"].sum() == bought["Quantity"].sum() - returns.matched_units
    assert len(retail.catalogue) == bought["StockCode"].nunique()


def test_online_retail_without_ignoring_anything() -> None:
    config, folder = online_retail_config()
    orders = config.orders.model_copy(update={"ignore_items": ()})
    dataset = load_dataset(config.model_copy(update={"orders": orders}), folder, SilentProgress())
    quality = dataset.quality
    raw = pd.read_parquet(folder / "online_retail.parquet").drop_duplicates()
    cancelled = raw["InvoiceNo"].str.startswith("C")
    write_offs = (raw["Quantity"] < 0) & ~cancelled
    # Two write-offs of bad debt pay back 11,062.06, which was the price of the one sale of it.
    assert quality.returns.lines == int(cancelled.sum() + write_offs.sum()) + 2
    assert quality.orders.notes["refund_row"].rows == 2
    sold = raw[~cancelled & ~write_offs & (raw["UnitPrice"] >= 0.005)]
    usual = sold.groupby("StockCode")["UnitPrice"].transform("median")
    absurd = sold[sold["UnitPrice"] > 1000 * usual]
    # "Manual" is no item but a till key: it was pressed for 0.85 and for thousands.
    assert set(absurd["StockCode"]) == {"M"}
    assert {reason: found.rows for reason, found in quality.orders.left_out.items()} == {
        "duplicate_line": 5_268,
        "absurd_price": len(absurd),
    }


def test_a_cancelled_order_is_gone(retail: Dataset) -> None:
    """C581484 took back the 80,995 paper birdies of 581483 twelve minutes later."""
    assert "581483" not in set(retail.order_ids)
    assert not any(order.startswith("C") for order in retail.order_ids)


def test_invoices_keep_their_exact_ids_and_customers_no_decimals(retail: Dataset) -> None:
    assert "536365" in set(retail.order_ids)
    assert "17850" in set(retail.customer_ids)
    assert "85123A" in retail.catalogue.items
    first = retail.order_ids[0]
    assert first == "536365"
    assert retail.customer_ids[int(retail.customer[0])] == "17850"
    assert len(retail.baskets[0]) == 7
