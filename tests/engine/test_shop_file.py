"""The shop file as editors write it, and what is said of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mersalg.engine.config import OffersSection, load_config, parse_config
from mersalg.engine.errors import ConfigError
from mersalg.engine.upsell.tiers import useless_upgrades
from tests.support.models import tiny_model

SHOP = """\
[shop]
name = "Blåbær"
currency = "NOK"

[orders]
path = "orders.csv"
columns = { order_id = "order", ordered_at = "time", item_id = "item", quantity = "quantity" }
"""


def _load(folder: Path, text: str, encoding: str = "utf-8") -> str:
    path = folder / "shop.toml"
    path.write_text(text, encoding)
    return load_config(path).shop.name


def test_a_mark_at_the_beginning_is_no_part_of_it(tmp_path: Path) -> None:
    assert _load(tmp_path, SHOP) == _load(tmp_path, SHOP, "utf-8-sig") == "Blåbær"


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        (SHOP, "latin-1", r"is not UTF-8 text \(line 2\); save it as UTF-8"),
        (SHOP + "[[", "utf-8", "is not valid TOML: "),
        (SHOP.replace("NOK", "NKO"), "utf-8", "no currency of ISO 4217 is called NKO"),
        (SHOP.replace("NOK", "nok"), "utf-8", "currency"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, text: str, encoding: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _load(tmp_path, text, encoding)


def test_upgrades_that_are_none_are_reported() -> None:
    catalogue = tiny_model().catalogue
    pairs = [
        {"from": "phone-64", "to": "phone-256"},
        {"from": "phone-256", "to": "phone-64"},
        {"from": "phone-64", "to": "phone-x"},
    ]
    assert useless_upgrades(catalogue, OffersSection.model_validate({"upgrades": pairs})) == [
        "offers.upgrades.1: 'phone-64' is not dearer than 'phone-256' at the catalogue's prices,"
        " so it is no upgrade; are they exchanged?",
        "offers.upgrades.2: no item 'phone-x' in the catalogue",
    ]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"offers": {"crosssell": 2}},
            "offers.crosssell is not a setting; did you mean cross_sell?",
        ),
        (
            {"offers": {"pins": [{"item": "a", "untl": "2026-01-01"}]}},
            "offers.pins.0.untl is not a setting; did you mean until?",
        ),
        ({"order": {}}, "order is not a setting; did you mean orders?"),
        ({"tracking": {"colour": "red"}}, "tracking.colour is not a setting"),
    ],
)
def test_an_unknown_setting_says_which_was_meant(section: dict[str, object], said: str) -> None:
    shop = {"shop": {"name": "S", "currency": "NOK"}, "orders": {"path": "orders.csv"}, **section}
    with pytest.raises(ConfigError) as caught:
        parse_config(shop)
    assert said in caught.value.details["problems"]  # type: ignore[operator]
