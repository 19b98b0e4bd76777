"""Ladders of real shops: found without being told, and offers that are true upgrades only."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mersalg.engine.upsell.tiers import LEARNED
from mersalg.training.upsell.names import words_of
from tests.support.file_shop import FileShop
from tests.support.shared_data import shared_data
from tests.support.shops import COFFEE_IBM, ONLINE_RETAIL, PIZZAPLACE

pytestmark = pytest.mark.realdata

NAMES_OF_RETAIL = """
[catalogue]
path = "online_retail.parquet"
columns = { item_id = "StockCode", name = "Description" }
"""
UNTOLD_COFFEE = (
    COFFEE_IBM.replace('family = "product_type"\n', "")
    .replace('attributes = ["unit_of_measure"]\n', "")
    .replace("min_count = 20", "min_count = 40")
)
DRINKS = (
    ("22", "23", "24"),
    ("25", "26", "27"),
    ("28", "29", "30"),
    ("31", "32", "33"),
    ("34", "35", "36"),
    ("42", "43"),
    ("44", "45"),
    ("56", "57"),
    ("58", "59"),
    ("60", "61"),
)
"""Coffees of the chain in three sizes, teas and chocolates in two, the smallest first."""
TELCO = """
[shop]
name = "Telco"
currency = "USD"
timezone = "America/New_York"

[orders]
path = "owned.csv"
columns = { order_id = "customer", item_id = "item" }

[catalogue]
path = "services.csv"
attributes = ["features"]

[catalogue.columns]
item_id = "item"
name = "name"
category = "kind"
price = "price"
"""
FEW_RULES = """
[training]
min_count = 40
"""
BAND = (1.05, 2.5)


def at(text: str, folder: Path) -> str:
    return text.replace('path = "', f'path = "{folder}/')


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def check_band(shop: FileShop, base: str, offers: Sequence[Mapping[str, Any]]) -> None:
    for offer in offers:
        assert BAND[0] - 1e-9 <= shop.ratio(base, offer) <= BAND[1] + 1e-9, (base, offer["name"])
        assert offer["replaces"]["item_id"] == base


# --- a coffee chain: no families told, sizes in names and beside them


@pytest.fixture(scope="module")
def coffee(tmp_path_factory: pytest.TempPathFactory) -> FileShop:
    text = UNTOLD_COFFEE.replace(
        'name = "product"', 'name = "product"\npack_size = "unit_of_measure"'
    )
    assert "family" not in text
    return FileShop(at(text, shared_data("coffee_ibm")), tmp_path_factory.mktemp("coffee"))


@pytest.mark.parametrize("sizes", DRINKS)
def test_a_drinks_ladder_holds_exactly_its_sizes(coffee: FileShop, sizes: tuple[str, ...]) -> None:
    for item_id in sizes:
        assert coffee.ladder(item_id) == {size: tier for tier, size in enumerate(sizes)}


def test_a_small_drink_becomes_a_larger_one_and_nothing_else(coffee: FileShop) -> None:
    bases = [(size, sizes[place + 1 :]) for sizes in DRINKS for place, size in enumerate(sizes)]
    for (base, larger), offers in zip(
        bases, coffee.upgrades(*(base for base, _ in bases)), strict=True
    ):
        assert {offer["item_id"] for offer in offers} == set(larger)
        check_band(coffee, base, offers)
        # More of it, for less an ounce.
        assert {offer["step"] for offer in offers} <= {"size"}
        assert all("oz" in gain["to"] for offer in offers for gain in offer["gains"])


# --- pizzas in up to five sizes


@pytest.fixture(scope="module")
def pizzas(tmp_path_factory: pytest.TempPathFactory) -> FileShop:
    text = at(PIZZAPLACE + FEW_RULES, shared_data("pizzaplace_great_tables"))
    return FileShop(text, tmp_path_factory.mktemp("pizzas"))


def test_sizes_of_each_pizza_are_its_ladder(pizzas: FileShop) -> None:
    ids = [pizzas.model.catalogue.items[item] for item in range(len(pizzas.model.catalogue))]
    sizes_of: dict[str, list[str]] = {}
    for item_id in sorted(ids, key=lambda item_id: "S M L XL XXL".split().index(size_of(item_id))):
        sizes_of.setdefault(pizza_of(item_id), []).append(item_id)
    assert [size_of(item_id) for item_id in sizes_of["the_greek"]] == "S M L XL XXL".split()
    several = {pizza: sizes for pizza, sizes in sizes_of.items() if len(sizes) > 1}
    assert len(several) == 29
    for sizes in several.values():
        assert pizzas.ladder(sizes[0]) == {size: tier for tier, size in enumerate(sizes)}


def test_a_pizza_becomes_a_larger_one_of_the_same(pizzas: FileShop) -> None:
    catalogue = pizzas.model.catalogue
    bases = [catalogue.items[item] for item in range(len(catalogue))]
    n_offers = 0
    for base, offers in zip(bases, pizzas.upgrades(*bases), strict=True):
        check_band(pizzas, base, offers)
        larger = {
            other for other in pizzas.ladder(base) if pizzas.price(other) > pizzas.price(base)
        }
        assert {offer["item_id"] for offer in offers} <= larger
        assert {pizza_of(offer["item_id"]) for offer in offers} <= {pizza_of(base)}
        n_offers += bool(offers)
    assert n_offers >= 55


def pizza_of(item_id: str) -> str:
    return item_id.split("|")[0]


def size_of(item_id: str) -> str:
    return item_id.split("|")[1]


# --- a gift wholesaler: families by descriptions alone


@pytest.fixture(scope="module")
def gifts(tmp_path_factory: pytest.TempPathFactory) -> FileShop:
    text = at(ONLINE_RETAIL + NAMES_OF_RETAIL + FEW_RULES, shared_data("online_retail"))
    return FileShop(text, tmp_path_factory.mktemp("gifts"))


GIFTS = (
    ("TRAVEL SEWING KIT", "VINTAGE DOILY TRAVEL SEWING KIT"),
    ("LUNCH BAG RED RETROSPOT", "JUMBO BAG RED RETROSPOT"),
    ("SWEETHEART CAKESTAND 3 TIER", "REGENCY CAKESTAND 3 TIER"),
    ("WOODEN ADVENT CALENDAR RED", "WOODEN BOX ADVENT CALENDAR"),
    ("KNITTED UNION FLAG HOT WATER BOTTLE", "UNION JACK HOT WATER BOTTLE"),
    ("HANGING HEART JAR T-LIGHT HOLDER", "WHITE HANGING HEART T-LIGHT HOLDER"),
)
APART = (
    ("RED RETROSPOT WRAP", "DOORMAT RED RETROSPOT"),
    ("ASSORTED COLOUR T-LIGHT HOLDER", "ASSORTED COLOUR BIRD ORNAMENT"),
    ("WRAP DOLLY GIRL", "JUMBO BAG DOLLY GIRL DESIGN"),
    ("I LOVE LONDON MUG", "DOORMAT I LOVE LONDON"),
)


def item_called(shop: FileShop, name: str) -> str | None:
    """The most ordered item of that name."""
    catalogue, orders = shop.model.catalogue, shop.model.affinity.n_orders_of_item
    called = [item for item in range(len(catalogue)) if catalogue.names[item].strip() == name]
    return catalogue.items[max(called, key=lambda item: orders[item])] if called else None


def test_gifts_of_one_kind_are_a_family(gifts: FileShop) -> None:
    for left, right in GIFTS:
        one, other = item_called(gifts, left), item_called(gifts, right)
        assert one, left
        assert other, right
        assert other in gifts.ladder(one), (left, right)


def test_gifts_of_one_design_are_none(gifts: FileShop) -> None:
    found = 0
    for left, right in APART:
        one, other = item_called(gifts, left), item_called(gifts, right)
        if one is not None and other is not None:
            assert other not in gifts.ladder(one), (left, right)
            found += 1
    assert found >= 3


def test_learned_families_hold_what_they_promise(gifts: FileShop) -> None:
    ladders, catalogue = gifts.model.ladders, gifts.model.catalogue
    families = ladders.families
    assert families is not None
    assert ladders.n_ladders > 200
    assert (families.method == LEARNED).all()
    assert (families.similarity > 0.35).all()
    n_expected = families.n_expected
    # Where meetings can be counted on, they are rarer than by chance: but for sizes of one name.
    counted = [
        one
        for one in range(ladders.n_ladders)
        if n_expected[one] >= 5 and families.similarity[one] < 1
    ]
    assert len(counted) >= 10
    lifts = [families.adjusted_lift(one) for one in counted]
    assert np.mean([lift is not None and lift < 1 for lift in lifts]) > 0.95
    for one in range(ladders.n_ladders):
        members = ladders.members[one]
        prices = catalogue.price_minor[members]
        assert prices.min() > 0
        middle = float(np.median(prices))
        assert middle / 10 <= prices.min()
        assert prices.max() <= middle * 10
        assert np.all(np.diff(ladders.tier[members]) >= 0)
        assert np.all(np.diff(prices) >= 0)
        ids = [catalogue.items[item].casefold() for item in members.tolist()]
        assert len(set(ids)) == len(ids)


def test_upgrades_of_gifts_are_in_the_band_and_share_a_word(gifts: FileShop) -> None:
    catalogue = gifts.model.catalogue
    members = gifts.model.ladders.members.values.tolist()
    bases = [catalogue.items[item] for item in members]
    n_offers = 0
    for base, offers in zip(bases, gifts.upgrades(*bases), strict=True):
        check_band(gifts, base, offers)
        name = catalogue.names[catalogue.items.index_of(base) or 0]
        for offer in offers:
            assert set(pieces(name)) & set(pieces(offer["name"])), (name, offer["name"])
            assert name.casefold() != offer["name"].casefold()
        n_offers += bool(offers)
    assert n_offers > 100


def pieces(name: str) -> list[str]:
    """Beginnings of the words that say something."""
    return [word[:4] for word in words_of(" ".join(name.casefold().replace("/", " ").split()))]


# --- a telephone company: what each customer owns, plans priced as its bills have it

ADD_ONS = (
    *("OnlineSecurity", "OnlineBackup", "DeviceProtection"),
    *("TechSupport", "StreamingTV", "StreamingMovies"),
)


def plan_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """Features of a customer's plan."""
    lines = ("phone", "several lines") if row["MultipleLines"] == "Yes" else ("phone",)
    internet = {"DSL": ("internet",), "Fiber optic": ("internet", "fiber"), "No": ()}
    return (*(lines if row["PhoneService"] == "Yes" else ()), *internet[row["InternetService"]])


@pytest.fixture(scope="module")
def telco(tmp_path_factory: pytest.TempPathFactory) -> FileShop:
    folder = tmp_path_factory.mktemp("telco")
    rows = rows_of(shared_data("telco") / "Telco-Customer-Churn.csv")
    bills: dict[tuple[str, ...], list[float]] = {}
    owned: list[dict[str, str]] = []
    for row in rows:
        plan, added = plan_of(row), [name for name in ADD_ONS if row[name] == "Yes"]
        if not added:
            bills.setdefault(plan, []).append(float(row["MonthlyCharges"]))
        owned += [
            {"customer": row["customerID"], "item": item} for item in ("+".join(plan), *added)
        ]
    prices = {plan: float(np.median(found)) for plan, found in bills.items()}
    extra = {
        name: [
            float(row["MonthlyCharges"]) - prices[plan_of(row)]
            for row in rows
            if [each for each in ADD_ONS if row[each] == "Yes"] == [name]
        ]
        for name in ADD_ONS
    }
    services = [
        {
            "item": "+".join(plan),
            "name": f"Plan: {', '.join(plan)}",
            "kind": "Plans",
            "price": f"{price:.2f}",
            "features": "; ".join(plan),
        }
        for plan, price in prices.items()
    ]
    services += [
        {
            "item": name,
            "name": name,
            "kind": "Add-ons",
            "price": f"{np.median(extra[name]):.2f}",
            "features": "",
        }
        for name in ADD_ONS
    ]
    write_rows(folder / "owned.csv", owned)
    write_rows(folder / "services.csv", services)
    return FileShop(TELCO, folder)


def test_plans_climb_by_what_they_hold(telco: FileShop) -> None:
    plans = telco.ladder("phone")
    assert {*plans} == {"phone", "internet", "phone+internet", "phone+internet+fiber"}
    plans |= telco.ladder("phone+several lines")
    assert len(plans) == 7
    ranked = sorted(telco.ladder("phone"), key=telco.price)
    assert [plans[plan] for plan in ranked] == [0, 1, 2, 3]
    for base, offers in zip(plans, telco.upgrades(*plans), strict=True):
        check_band(telco, base, offers)
        for offer in offers:
            had, has = {*base.split("+")}, {*offer["item_id"].split("+")}
            # A telephone and a line into the internet are two things: nothing is gained.
            assert bool(offer["gains"]) == bool(has - had and has & had), (base, offer["item_id"])
            assert bool(offer["losses"]) == bool(had - has and has & had)
            assert len(offer["losses"]) <= len(offer["gains"])
        if offers:
            best = {*offers[0]["item_id"].split("+")}
            assert {*base.split("+")} < best
            assert [gain["attribute"] for gain in offers[0]["gains"]] == ["features"]
            assert offers[0]["gains"][0]["to"] == offers[0]["item_id"].replace("+", "; ")
    middle = {offer["item_id"] for offer in telco.upgrades("phone+internet")[0]}
    assert middle == {"phone+internet+fiber"}


def test_add_ons_are_sold_beside_plans_and_not_instead(telco: FileShop) -> None:
    plans = [*telco.ladder("phone")]
    beside = [offer for offers in telco.suggest([[plan] for plan in plans]) for offer in offers]
    crossed = {offer["item_id"] for offer in beside if offer["kind"] == "cross_sell"}
    assert crossed
    assert crossed <= {*ADD_ONS}
    for offers in telco.upgrades(*ADD_ONS):
        assert offers == []


# --- a catalogue whose prices were scrambled


def scramble(rows: Sequence[dict[str, str]], column: str) -> tuple[list[dict[str, str]], set[str]]:
    """A third of the prices, shuffled among themselves and a thousand times too high or low."""
    draw = np.random.default_rng(11)
    chosen = draw.choice(len(rows), len(rows) // 3, replace=False)
    prices = [money(rows[place][column]) for place in draw.permutation(chosen).tolist()]
    scrambled = [dict(row) for row in rows]
    for place, price in zip(chosen.tolist(), prices, strict=True):
        scrambled[place][column] = f"{price * 10.0 ** draw.choice([-3, 3]):.4f}"
    return scrambled, {rows[place]["product_id"] for place in chosen.tolist()}


def money(text: str) -> float:
    return float(text.replace("$", "").replace(",", ""))


PRICES = "current_retail_price"


@pytest.fixture(scope="module")
def scrambled(tmp_path_factory: pytest.TempPathFactory) -> tuple[FileShop, set[str]]:
    folder, data = tmp_path_factory.mktemp("scrambled"), shared_data("coffee_ibm")
    rows, wrong = scramble(rows_of(data / "product.csv"), PRICES)
    write_rows(folder / "product.csv", rows)
    text = at(UNTOLD_COFFEE, data).replace(f"{data}/product.csv", "product.csv")
    return FileShop(text, folder), wrong


@pytest.fixture(scope="module")
def paid() -> dict[str, float]:
    """What orders paid for each item, the median."""
    found: dict[str, list[float]] = {}
    for row in rows_of(shared_data("coffee_ibm") / "201904_sales_reciepts.csv"):
        found.setdefault(row["product_id"], []).append(money(row["unit_price"]))
    return {item_id: float(np.median(prices)) for item_id, prices in found.items()}


def test_scrambled_prices_are_reported_and_stand_on_no_ladder(
    scrambled: tuple[FileShop, set[str]], paid: Mapping[str, float]
) -> None:
    shop, wrong = scrambled
    contradicted = {
        item_id
        for item_id, price in paid.items()
        if not 0.1 <= shop.price(item_id) / 100 / price <= 10
    }
    assert len(contradicted) > 20
    assert contradicted <= wrong
    assert shop.summary["counts"]["tiers_contradicted"] == len(contradicted)
    examples = shop.summary["quality"]["prices"]["contradicted"]
    assert examples
    assert {example["item_id"] for example in examples} <= contradicted
    for example in examples:
        assert example["price_minor"] == shop.price(example["item_id"])
        assert example["orders_paid_minor"] == round(100 * paid[example["item_id"]])
    for item_id in wrong & {*paid}:
        assert shop.ladder(item_id) == {} or item_id not in contradicted


def test_no_absurd_upgrade_of_scrambled_prices(
    scrambled: tuple[FileShop, set[str]], paid: Mapping[str, float]
) -> None:
    shop, wrong = scrambled
    catalogue = shop.model.catalogue
    bases = [catalogue.items[item] for item in range(len(catalogue))]
    answers = shop.upgrades(*bases)
    assert sum(map(len, answers)) > 5
    for base, offers in zip(bases, answers, strict=True):
        check_band(shop, base, offers)
        for offer in offers:
            better = offer["item_id"]
            for item_id in (base, better):
                assert 0.1 <= shop.price(item_id) / 100 / paid.get(item_id, math.inf) <= 10, offer
            assert paid[better] > paid[base], (base, better)
    assert any(offers for base, offers in zip(bases, answers, strict=True) if base not in wrong)


def test_prices_far_off_their_family_are_left_out_without_order_prices(tmp_path: Path) -> None:
    data = shared_data("coffee_ibm")
    rows = rows_of(data / "product.csv")
    outliers = {"24": "3000", "26": "0.01", "33": "9000"}
    for row in rows:
        row[PRICES] = outliers.get(row["product_id"], row[PRICES])
    write_rows(tmp_path / "product.csv", rows)
    text = at(UNTOLD_COFFEE, data).replace(f"{data}/product.csv", "product.csv")
    shop = FileShop(text.replace('unit_price = "unit_price"\n', 'unit_price = ""\n'), tmp_path)
    assert shop.summary["counts"]["tiers_far_off"] == len(outliers)
    examples = shop.summary["quality"]["prices"]["far_off"]
    assert {example["item_id"] for example in examples} == {*outliers}
    assert [shop.ladder(item_id) for item_id in outliers] == [{}, {}, {}]
    catalogue = shop.model.catalogue
    bases = [catalogue.items[item] for item in range(len(catalogue))]
    offered = [*itertools.chain.from_iterable(shop.upgrades(*bases))]
    assert offered
    assert not {offer["item_id"] for offer in offered} & {*outliers}
    assert not Counter(offer["replaces"]["item_id"] for offer in offered).keys() & {*outliers}
