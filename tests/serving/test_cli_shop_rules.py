"""Pins and blocks from the shop file to the answer: `mersalg train`, then `mersalg suggest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.errors import ConfigError
from tests.support.commands import run
from tests.support.small_shop import write_small_shop

RULES = """
[[offers.pins]]
item = "juice"
when_cart_has = ["tea"]

[[offers.pins]]
item = "croisant"

[[offers.blocks]]
antecedent = ["coffee-small"]
consequent = "croissant"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ruled")
    shop = write_small_shop(folder, more=RULES)
    reported = json.loads(run("train", "--config", shop, "--models", folder / "models", "--json"))
    assert reported["warnings"] == [
        "offers.pins.1: no item 'croisant' in the catalogue; is 'croissant' meant?"
    ]
    return folder


def offered(folder: Path, item_id: str) -> list[str]:
    line: dict[str, Any] = {"checkout_id": "c", "lines": [{"item_id": item_id}]}
    (folder / "carts.jsonl").write_text(json.dumps(line))
    arguments = ["--carts", folder / "carts.jsonl", "--out", folder / "out.jsonl", "--no-holdout"]
    run("suggest", "--models", folder / "models", *arguments)
    answer = json.loads((folder / "out.jsonl").read_text())
    return [offer["item_id"] for offer in answer["offers"] if offer["kind"] == "cross_sell"]


def test_rules_reach_the_answer(trained: Path) -> None:
    assert offered(trained, "tea")[:2] == ["juice", "scone"]
    assert "croissant" not in offered(trained, "coffee-small")
    assert offered(trained, "coffee-large")[0] == "almond-croissant"


def test_people_are_warned_of_names_nobody_knows(trained: Path) -> None:
    reported = run("train", "--config", trained / "shop.toml", "--models", trained / "models")
    assert "warning" in reported
    assert "no item 'croisant'" in " ".join(reported.split())


def test_impossible_rules_stop_the_training(tmp_path: Path) -> None:
    shop = write_small_shop(tmp_path, more='[[offers.pins]]\nitem = "tea"\nplace = 2\n')
    with pytest.raises(ConfigError, match=r"offers\.pins\.0\.place"):
        run("train", "--config", shop, "--models", tmp_path / "models")
