"""Pins, blocks and caps in the shop file: what is understood, kept, and refused."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from decimal import Decimal

import orjson
import pytest

from mersalg.engine.config import OffersSection, ShopConfig, parse_config
from mersalg.engine.errors import ConfigError
from mersalg.engine.manifest import settings_to_json
from tests.support.models import tiny_model

SHOP = """
[shop]
name = "Kafé"
currency = "NOK"
timezone = "Europe/Oslo"

[orders]
path = "orders.csv"

[offers]
max_per_category = 2
min_margin = 0.2
min_margin_amount = 15.50
max_price_to_cart_ratio = 0.5
"""

RULES = """
[[offers.pins]]
item = "case-1"
when_cart_has = ["phone-64"]
position = 2
from = 2026-11-01
until = 2026-12-01T12:00:00

[[offers.pins]]
category = ["Dairy", "Milk"]

[[offers.blocks]]
category = "Tobacco"

[[offers.blocks]]
antecedent = ["bread"]
consequent = "coffee"
until = 2027-01-01T00:00:00+01:00
"""


def _parse(rules: str) -> ShopConfig:
    return parse_config(tomllib.loads(SHOP + rules))


def test_a_shop_file_says_all_of_it() -> None:
    offers = _parse(RULES).offers
    case, milk = offers.pins
    assert (case.item, case.when_cart_has, case.position) == ("case-1", ("phone-64",), 2)
    assert (case.from_, case.until) == (date(2026, 11, 1), datetime(2026, 12, 1, 12))  # noqa: DTZ001
    assert type(case.from_) is date
    assert (milk.category, milk.position, milk.from_) == (("Dairy", "Milk"), 1, None)
    tobacco, coffee = offers.blocks
    assert tobacco.category == ("Tobacco",)
    assert (coffee.offered_item, coffee.needed_items) == ("coffee", ("bread",))
    assert (offers.max_per_category, offers.min_margin) == (2, 0.2)
    assert offers.min_margin_amount == Decimal("15.5")
    assert offers.max_price_to_cart_ratio == 0.5


def test_nothing_is_asked_by_default() -> None:
    offers = OffersSection()
    assert (offers.pins, offers.blocks) == ((), ())
    assert offers.max_per_category is offers.min_margin is offers.min_margin_amount is None
    assert (offers.max_price_to_cart_ratio, offers.sensitive) == (3, ())


def test_a_manifest_keeps_all_of_it() -> None:
    offers = _parse(RULES).offers
    reported = orjson.loads(orjson.dumps(settings_to_json(tiny_model(offers=offers).settings)))
    assert OffersSection.model_validate(reported["offers"]) == offers
    assert reported["offers"]["pins"][0]["from"] == "2026-11-01"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("[[offers.pins]]\nposition = 1", "one of item, category"),
        ('[[offers.pins]]\nitem = "a"\ncategory = "b"', "one of item, category"),
        ('[[offers.pins]]\nitem = "a"\nposition = 0', "offers.pins.0.position"),
        ('[[offers.pins]]\nitem = "a"\nform = 2026-01-01', "offers.pins.0.form"),
        ('[[offers.pins]]\nitem = "a"\nfrom = 7', "offers.pins.0.from"),
        ('[[offers.pins]]\nitem = "a"\nwhen_cart_has = ["a"]', "cannot be offered beside it"),
        ('[[offers.blocks]]\nconsequent = "a"', "belong together"),
        ('[[offers.blocks]]\nitem = "a"\nantecedent = ["b"]', "belong together"),
        (
            '[[offers.blocks]]\nconsequent = "a"\nantecedent = ["b"]\nwhen_cart_has = ["c"]',
            "by its antecedent",
        ),
        ('[[offers.blocks]]\nitem = "a"\nposition = 1', "offers.blocks.0.position"),
        (
            '[[offers.blocks]]\nitem = "a"\nfrom = 2026-02-01\nuntil = 2026-02-01',
            "offers.blocks.0: until must come after from",
        ),
        (
            # An hour apart on the clock, but the offset turns them round.
            '[[offers.pins]]\nitem = "a"\nfrom = 2026-07-01T12:00:00\n'
            "until = 2026-07-01T13:00:00+04:00",
            "offers.pins.0: until must come after from",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(rule: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _parse(rule)
    assert said in refused.value.message


@pytest.mark.parametrize(
    "setting",
    [
        "max_per_category = 0",
        "min_margin = 1.0",
        "min_margin_amount = -1",
        "max_price_to_cart_ratio = 0",
    ],
)
def test_impossible_caps_are_refused(setting: str) -> None:
    name = setting.split()[0]
    shop = "\n".join(line for line in SHOP.splitlines() if not line.startswith(f"{name} "))
    with pytest.raises(ConfigError, match=f"offers.{name}"):
        parse_config(tomllib.loads(f"{shop}\n{setting}\n"))
