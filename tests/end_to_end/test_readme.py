"""The README cannot rot: its shop file is parsed, its commands are run, its links are followed."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mersalg.engine.config import load_config, parse_config
from tests.support.commands import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

_CATALOGUE = """item_id,name,category,family,price
latte-small,Latte liten,Drikke,Latte,49.00
latte-large,Latte stor,Drikke,Latte,59.00
croissant,Croissant,Bakst,Croissant,39.00
juice,Appelsinjuice,Drikke,Juice,45.00
"""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def _orders() -> str:
    """600 orders; two in three coffees come with a croissant, juice comes alone or by chance."""
    draw = random.Random(11)
    rows = ["order_id,customer_id,ordered_at,item_id,quantity,unit_price"]
    for order in range(600):
        coffee = draw.choice(["latte-small", "latte-small", "latte-large"])
        items = [coffee] if draw.random() < 0.7 else ["juice"]
        if items != ["juice"] and draw.random() < 0.67:
            items.append("croissant")
        prices = {"latte-small": 49, "latte-large": 59, "croissant": 39, "juice": 45}
        day = 1 + order // 22
        when = f"2026-01-{day:02d}T{8 + order % 9:02d}:15:00"
        rows += [f"o{order},c{order % 90},{when},{item},1,{prices[item]}.00" for item in items]
    return "\n".join(rows) + "\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.toml").write_text(_blocks("toml")[0])
    (tmp_path / "orders.csv").write_text(_orders())
    (tmp_path / "catalogue.csv").write_text(_CATALOGUE)
    return tmp_path


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tour_runs_as_written(shop: Path) -> None:
    tour = [block for block in _blocks("console") if "mersalg" in block]
    assert len(tour) >= 2
    for block in tour:
        if "--sample" not in block:
            for line in block.strip().splitlines():
                _run(line, shop)
    answer = json.loads((shop / "suggestions.jsonl").read_text())
    offers = {offer["kind"]: offer for offer in answer["offers"]}
    assert offers["cross_sell"]["item_id"] == "croissant"
    assert offers["upsell"]["item_id"] == "latte-large"
    assert offers["upsell"]["replaces"]["price_difference"] == "10.00"


def test_the_sample_shop_answers_as_the_readme_says(tmp_path: Path) -> None:
    (tour,) = (block for block in _blocks("console") if "--sample" in block)
    for line in tour.strip().splitlines():
        _run(line, tmp_path)
    lines = (tmp_path / "suggestions.jsonl").read_text().splitlines()
    offered = [{offer["item_id"] for offer in json.loads(line)["offers"]} for line in lines]
    expected = ("lock-cable", "helmet-plus", "tube-28")
    for items, item in zip(offered, expected, strict=True):
        assert item in items


def test_the_shop_file_can_be_drafted_from_the_files(shop: Path) -> None:
    given = parse_config(tomllib.loads(_blocks("toml")[0]))
    assert "`mersalg init orders.csv catalogue.csv`" in README
    options = f"--currency {given.shop.currency} --timezone {given.shop.timezone} --locale nb"
    _run(f"mersalg init orders.csv catalogue.csv {options} --yes --out drafted.toml", shop)
    drafted = load_config(shop / "drafted.toml")
    assert drafted.orders.columns == given.orders.columns
    assert given.catalogue is not None
    assert drafted.catalogue is not None
    assert drafted.catalogue.columns == given.catalogue.columns


def test_the_shop_rules_are_understood() -> None:
    shop, rules = _blocks("toml")[:2]
    offers = parse_config(tomllib.loads(shop + rules)).offers
    assert [pin.offered_item for pin in offers.pins] == ["croissant"]
    assert len(offers.blocks) == 2
    assert offers.max_price_to_cart_ratio == 0.5


def test_the_shops_own_words_are_understood() -> None:
    shop = _blocks("toml")[0]
    (words,) = (block for block in _blocks("toml") if "attribute_levels" in block)
    catalogue = parse_config({**tomllib.loads(shop), **tomllib.loads(words)}).catalogue
    assert catalogue is not None
    assert catalogue.reading.attribute_levels == {"cut": ("fair", "good", "ideal")}
    assert catalogue.columns.bundle_of == "contains"


def test_the_shops_own_upgrades_are_understood() -> None:
    shop = _blocks("toml")[0]
    (upgrades,) = (block for block in _blocks("toml") if "offers.upgrades" in block)
    offers = parse_config({**tomllib.loads(shop), **tomllib.loads(upgrades)}).offers
    assert [(each.from_, each.to) for each in offers.upgrades] == [("basic", "pro")]


def test_both_commands_are_targets_of_the_makefile() -> None:
    named = [line for block in _blocks("console") for line in block.splitlines() if "make" in line]
    makefile = (ROOT / "Makefile").read_text()
    assert named == ["make demo", "make test"]
    for line in named:
        assert f"\n{line.split()[1]}:" in makefile


def test_every_command_named_exists() -> None:
    named = set(re.findall(r"[`\n]mersalg ([a-z]+(?: (?:import|export|list))?)", README))
    assert {"train", "suggest", "serve", "report", "events import", "models list"} <= named
    for command in named:
        assert "Usage" in run(*command.split(), "--help")


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#][^)]*)\)", README)
    assert [
        target
        for target in targets
        if not target.startswith("http") and not (ROOT / target).exists()
    ] == []
    anchors = re.findall(r"\]\(#([^)]*)\)", README)
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", README, flags=re.MULTILINE)
    }
    assert set(anchors) <= headings
