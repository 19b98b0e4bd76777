"""A shop trained by `mersalg train` from the text of its shop file, asked by `mersalg suggest`.

Without its back-test, which is most of the time and no part of the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.training import pipeline
from tests.support.commands import run


class FileShop:
    """Its paths are as they stand in the text, or relative to `folder`."""

    def __init__(self, text: str, folder: Path) -> None:
        self.folder, self.models = folder, folder / "models"
        self.shop_file = folder / "shop.toml"
        self.shop_file.write_text(text, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "back_test", lambda *given, **named: None)
            self.summary: dict[str, Any] = json.loads(self.train("--json", "--force"))
        self.model: Model = Registry(self.models).load()

    def train(self, *options: str) -> str:
        """What `mersalg train` prints."""
        return run("train", "--config", self.shop_file, "--models", self.models, *options)

    def suggest(self, carts: Sequence[Sequence[str]]) -> list[list[dict[str, Any]]]:
        """Offers for each cart of single items, nobody held out."""
        requests, answers = self.folder / "carts.jsonl", self.folder / "suggestions.jsonl"
        requests.write_text(
            "".join(
                json.dumps(
                    {
                        "checkout_id": f"cart-{place}",
                        "session_id": f"session-{place}",
                        "lines": [{"item_id": item_id, "quantity": 1} for item_id in cart],
                        "limits": {"cross_sell": 10, "upsell": 5},
                    }
                )
                + "\n"
                for place, cart in enumerate(carts)
            ),
            encoding="utf-8",
        )
        run(
            *("suggest", "--models", self.models, "--carts", requests),
            *("--out", answers, "--no-holdout"),
        )
        lines = answers.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["offers"] for line in lines]

    def upgrades(self, *item_ids: str) -> list[list[dict[str, Any]]]:
        """Upsell offers for each item alone in a cart."""
        answers = self.suggest([[item_id] for item_id in item_ids])
        return [[offer for offer in offers if offer["kind"] == "upsell"] for offers in answers]

    def ladder(self, item_id: str) -> dict[str, int]:
        """Item id -> tier of everything on the item's ladder; empty where it stands on none."""
        catalogue, ladders = self.model.catalogue, self.model.ladders
        item = catalogue.items.index_of(item_id)
        assert item is not None
        ladder = int(ladders.family[item])
        if ladder < 0:
            return {}
        members = ladders.members[ladder].tolist()
        return {catalogue.items[member]: int(ladders.tier[member]) for member in members}

    def price(self, item_id: str) -> int:
        """Minor units."""
        item = self.model.catalogue.items.index_of(item_id)
        assert item is not None
        return int(self.model.catalogue.price_minor[item])

    def ratio(self, base: str, offer: Mapping[str, Any]) -> float:
        return self.price(offer["item_id"]) / self.price(base)
