"""Ladders and families in the terminal, and the prices that keep items off them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mersalg.serving.cli.main import run as entry_point
from tests.support.commands import run
from tests.support.file_shop import FileShop
from tests.support.shop_files import SHOP, line, write_csv

CATALOGUE = """
[catalogue]
path = "items.csv"

[catalogue.columns]
item_id = "id"
name = "name"
category = "kind"
price = "price"
pack_size = "size"

[training]
min_count = 5
"""
ITEMS = [
    # id, name, kind, price, size
    ("kaffe-s", "Kaffe liten", "Drikke", "30", "0,2 l"),
    ("kaffe-m", "Kaffe middels", "Drikke", "40", "0,3 l"),
    ("kaffe-l", "Kaffe stor", "Drikke", "50", "0,5 l"),
    ("te-s", "Te liten", "Drikke", "25", ""),
    ("te-l", "Te stor", "Drikke", "35000", ""),
    ("bolle", "Bolle", "Mat", "20", ""),
    ("bolle-xl", "Bolle (XL)", "Mat", "30", ""),
    ("bolle-l", "Bolle (L)", "Mat", "900", ""),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> FileShop:
    """Coffee in three sizes; the catalogue is wrong about a tea, and about a bun nobody buys."""
    folder = tmp_path_factory.mktemp("kaffebar")
    names = ("id", "name", "kind", "price", "size")
    items = [dict(zip(names, row, strict=True)) for row in ITEMS]
    write_csv(folder / "items.csv", items, names)
    paid = {item["id"]: item["price"] for item in items} | {"te-l": "35"}
    rows: list[dict[str, Any]] = []
    # Ten customers: four climb from small to large, one falls back, five stay with the small one.
    histories = [["kaffe-s", "kaffe-l"]] * 4 + [["kaffe-l", "kaffe-s"]] + [["kaffe-s"] * 2] * 5
    histories += [["kaffe-m"], ["te-s", "te-l"], ["bolle", "bolle-xl"]] * 6
    for customer, history in enumerate(histories):
        for visit, item in enumerate(history):
            rows.append(
                line(
                    f"o{customer}-{visit}",
                    item,
                    f"2025-03-{1 + visit * 7 + customer % 7:02d} 12:00:00",
                    f"k{customer}",
                    price=paid[item],
                )
            )
    write_csv(folder / "orders.csv", rows)
    return FileShop(SHOP + CATALOGUE, folder)


def shown(shop: FileShop, *options: str) -> Any:
    return json.loads(run("models", "show", "--models", shop.models, *options, "--json"))


def test_a_ladder_for_machines(shop: FileShop) -> None:
    reported = shown(shop, "--ladder", "kaffe-s")
    assert (reported["item_id"], reported["currency"]) == ("kaffe-s", "NOK")
    assert (reported["family"], reported["method"]) == ("kaffe", "learned")
    assert reported["shared_words"] == ["kaffe"]
    rungs = {rung["item_id"]: rung for rung in reported["ladder"]}
    assert [*rungs] == ["kaffe-s", "kaffe-m", "kaffe-l"]
    assert [rung["tier"] for rung in rungs.values()] == [0, 1, 2]
    assert [rung["price"] for rung in rungs.values()] == ["30.00", "40.00", "50.00"]
    assert [rung["unit_price"] for rung in rungs.values()] == pytest.approx([150, 400 / 3, 100])
    assert {rung["unit"] for rung in rungs.values()} == {"l"}
    large = rungs["kaffe-l"]
    assert large["gains"] == [{"attribute": "pack_size", "from": "0,2 l", "to": "0,5 l"}]
    assert large["step"] == "size"
    # Nine were followed from the small one: four bought the large next, and one came back.
    assert (large["moves_to"], large["moves_back"]) == (4, 1)
    assert large["moves_to_share"] == pytest.approx(4 / 9)
    assert reported["moves"] == {"purchases_followed": 9, "up": 4, "same": 5, "down": 0}


def test_a_ladder_for_people(shop: FileShop) -> None:
    drawn = run("models", "show", "--models", shop.models, "--ladder", "kaffe-s")
    rows = [row for row in drawn.splitlines() if "Kaffe" in row]
    # The dearest rung stands above.
    assert [row.split()[row.split().index("Kaffe") + 1] for row in rows] == [
        *("stor", "middels", "liten")
    ]
    assert drawn.index("kaffe-l") < drawn.index("kaffe-m") < drawn.index("kaffe-s")
    assert "●" in rows[2]
    assert "100.00/l" in drawn
    assert "a bigger pack, for less a unit" in drawn
    assert "4 (44%) / 1" in rows[0]
    assert "5 again" in rows[2]
    assert "+ pack size 0,2 l → 0,5 l" in drawn
    assert "of 9 next purchases 44.4% went up, 55.6% stayed, 0.0% went down" in drawn
    assert max(map(len, drawn.splitlines()[2:-2])) <= 80


def test_a_family_by_name_and_by_item(shop: FileShop) -> None:
    reported = shown(shop, "--family", "Kaffe")
    assert reported == shown(shop, "--family", "kaffe-l")
    assert [member["item_id"] for member in reported["members"]] == [
        "kaffe-s",
        "kaffe-m",
        "kaffe-l",
    ]
    assert reported["pairs_met"] == 0
    drawn = run("models", "show", "--models", shop.models, "--family", "kaffe")
    assert "learned from names and baskets" in drawn
    assert "names 100% alike" in drawn
    assert "Kaffe middels" in drawn


@pytest.mark.parametrize(
    ("option", "wanted", "near"),
    [
        ("--ladder", "kafe-s", "'kaffe-s' (Kaffe liten)"),
        ("--ladder", "middels", "'kaffe-m' (Kaffe middels)"),
        ("--family", "kafe", "'kaffe'"),
        ("--family", "zzz", None),
        ("--ladder", "te-l", None),
    ],
)
def test_what_is_not_known_ends_with_two_and_close_matches(
    shop: FileShop,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    wanted: str,
    near: str | None,
) -> None:
    command = ["mersalg", "models", "show", "--models", str(shop.models), option, wanted]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        entry_point()
    assert stopped.value.code == 2
    reported = " ".join(capsys.readouterr().err.split())
    assert repr(wanted) in reported
    assert ("did you mean" in reported) == (near is not None)
    if near is not None:
        assert near in reported.split("did you mean")[1]


def test_training_names_the_prices_that_keep_items_off(shop: FileShop, tmp_path: Path) -> None:
    prices = shop.summary["quality"]["prices"]
    assert prices["contradicted"] == [
        {"item_id": "te-l", "price_minor": 3_500_000, "orders_paid_minor": 3_500}
    ]
    assert [found["item_id"] for found in prices["far_off"]] == ["bolle-l"]
    drawn = run("train", "--config", shop.shop_file, "--models", tmp_path, "--no-publish")
    reported = " ".join(drawn.split())
    assert "1 priced against their own orders, 1 far off their family's prices" in reported
    assert "item 'te-l' is priced 35000.00 NOK, orders paid 35.00" in reported
    assert "item 'bolle-l' is priced 900.00 NOK, its family's median is 30.00" in reported
