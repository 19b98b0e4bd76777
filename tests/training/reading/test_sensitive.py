"""Categories that are suggested for `[offers] sensitive`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import load_dataset
from mersalg.training.reading.survey import sensitive_categories
from mersalg.training.reading.validation import shop_warnings
from tests.support.commands import run
from tests.support.shop_files import config, line, write_csv


@pytest.mark.parametrize(
    ("category", "suggested"),
    [
        ("Food > Wine > Red wine", "Wine"),
        ("WINE & SPIRITS", "WINE & SPIRITS"),
        ("Mat og drikke > Øl", "Øl"),
        ("Rødvin", "Rødvin"),
        ("Kiosk > Snus og tobakk", "Snus og tobakk"),
        ("Reseptfrie legemidler", "Reseptfrie legemidler"),
        ("Health > Pain relief > Gels", "Pain relief"),
        ("Intimpleie", "Intimpleie"),
        ("Personal care > Feminine hygiene", "Feminine hygiene"),
        ("Condoms", "Condoms"),
    ],
)
def test_by_english_and_norwegian_names(category: str, suggested: str) -> None:
    assert list(sensitive_categories([category])) == [suggested]


@pytest.mark.parametrize(
    "category",
    [
        *(
            "Wine glasses",
            "Vinglass",
            "Wine coolers",
            "Red wine vinegar",
            "Ginger ale",
            "Root beer",
        ),
        *("Alcohol-free beer", "Non-alcoholic wine", "Alkoholfritt øl", "Medicine balls", "Winery"),
        *("Chain lubricants", "Bindemiddel", "Originals", "Øltønner og tilbehør", "Lager", ""),
    ],
)
def test_names_that_only_sound_like_it_are_not(category: str) -> None:
    assert sensitive_categories([category]) == {}


def test_each_name_once_with_its_topic() -> None:
    found = sensitive_categories(["Drinks > Wine > Red", "Gifts > wine", "Snus", "Bread"])
    assert found == {"Snus": "tobacco", "Wine": "alcohol"}


def test_training_suggests_them_until_the_shop_has_chosen(tmp_path: Path) -> None:
    write_csv(tmp_path / "orders.csv", [line("1", "riesling"), line("2", "bread")])
    (tmp_path / "items.csv").write_text(
        "item_id,name,category,attr_07,storage_gb\nriesling,Riesling,Vin,1,2\nbread,Brød,Mat,2,3\n"
    )
    catalogue = '[catalogue]\npath = "items.csv"\nattributes = ["attr_07", "storage_gb"]\n'

    def warnings(extra: str) -> list[str]:
        shop = config(catalogue + extra)
        dataset = load_dataset(shop, tmp_path, SilentProgress())
        return shop_warnings(dataset.catalogue, shop, dataset.quality)

    (suggestion,) = [text for text in warnings("") if "sensitive" in text]
    assert suggestion == (
        'categories of alcohol are offered beside any cart; set [offers] sensitive = ["Vin"],'
        " or = [] to keep it so"
    )
    for chosen in ('["Vin"]', "[]"):
        said = warnings(f"[offers]\nsensitive = {chosen}\n")
        assert not any("sensitive" in text for text in said)
    (unnamed,) = [text for text in warnings("") if "attribute_labels" in text]
    assert unnamed.startswith("offers say nothing of 'attr_07', whose names")
    labelled = 'attribute_labels = { attr_07 = { en = "grip" } }\n'
    assert not any("attribute_labels" in text for text in warnings(labelled))


def test_init_writes_them_behind_a_comment_mark(tmp_path: Path) -> None:
    orders, items, out = tmp_path / "orders.csv", tmp_path / "items.csv", tmp_path / "shop.toml"
    orders.write_text(
        "order_id,item_id,price\n" + "".join(f"{n},i{n % 3},9.50\n" for n in range(9))
    )
    items.write_text(
        "item_id,name,category,price\ni0,Riesling,Wine,9.50\ni1,Loaf,Bread,9.50\ni2,Gin 42,Gin,9\n"
    )
    said = json.loads(run("init", orders, items, "--out", out, "--yes", "--json"))
    assert said["suggested"] == {"offers.sensitive": ["Gin", "Wine"]}
    text = out.read_text()
    assert '\n[offers]\n# sensitive = ["Gin", "Wine"]  # alcohol: only beside carts' in text
    assert "sensitive" not in tomllib.loads(text).get("offers", {})
    assert 'suggested: offers.sensitive = ["Gin", "Wine"]' in run(
        "init", orders, items, "--out", out, "--yes", "--force"
    )
    given = run(
        *("init", orders, items, "--out", out, "--yes", "--force", "--json"),
        *("--set", 'offers.sensitive=["Gin"]'),
    )
    assert json.loads(given)["suggested"] == {}
