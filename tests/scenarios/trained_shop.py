"""One planted shop, driven through the command line as its owner would."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.scenarios.history import History
from tests.scenarios.planting import Plan, write_shop
from tests.support.commands import run
from tests.support.made_once import train_once


class TrainedShop:
    """Files, models and database of one shop, below `folder`."""

    def __init__(self, plan: Plan, shop_file: Path, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.shop_file = write_shop(plan, shop_file, folder)
        self.settings: dict[str, Any] = tomllib.loads(shop_file.read_text(encoding="utf-8"))
        self.currency: str = self.settings["shop"]["currency"]
        self.models = folder / "models"
        self.summary: dict[str, Any] = train_once(self.shop_file, self.models, [folder])
        self.baskets = self._read_baskets()

    def _read_baskets(self) -> list[frozenset[str]]:
        """Items of each order, by the standard library alone."""
        section = self.settings["orders"]
        columns = section["columns"]
        key = columns["order_id"]
        keys = [key] if isinstance(key, str) else key
        baskets: dict[tuple[str, ...], set[str]] = {}
        with (self.folder / section["path"]).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter=section.get("separator", ",")):
                order = tuple(row[column] for column in keys)
                baskets.setdefault(order, set()).add(row[columns["item_id"]])
        return [frozenset(items) for items in baskets.values()]

    def count(self, *item_ids: str) -> int:
        """Orders that hold all of `item_ids`."""
        return sum(1 for basket in self.baskets if basket.issuperset(item_ids))

    def suggest(self, carts: Sequence[Mapping[str, int]], **fields: object) -> list[dict[str, Any]]:
        """One answer a cart (item id -> quantity), nobody held out."""
        requests, answers = self.folder / "carts.jsonl", self.folder / "suggestions.jsonl"
        requests.write_text(
            "".join(
                json.dumps(
                    {
                        "checkout_id": f"cart-{number}",
                        "session_id": f"session-{number}",
                        "lines": [
                            {
                                "item_id": item_id,
                                "quantity": quantity,
                                "unit_price": self.plan.item(item_id).price,
                            }
                            for item_id, quantity in cart.items()
                        ],
                        **fields,
                    }
                )
                + "\n"
                for number, cart in enumerate(carts)
            ),
            encoding="utf-8",
        )
        run(
            *("suggest", "--models", self.models, "--carts", requests),
            *("--out", answers, "--no-holdout"),
        )
        return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]

    def history(self, start: str) -> History:
        prices = {item.item_id: item.price for item in self.plan.items}
        return History(prices, self.currency, start)

    def report(self, facts: Iterable[Mapping[str, Any]], *options: object) -> dict[str, Any]:
        """Import `facts` into a fresh database and report all of its days."""
        file, database = self.folder / "facts.jsonl", self.folder / "facts.db"
        database.unlink(missing_ok=True)
        file.write_text(
            "".join(json.dumps(fact, ensure_ascii=False) + "\n" for fact in facts),
            encoding="utf-8",
        )
        url = f"sqlite:///{database}"
        run("events", "import", file, "--database", url)
        text = run(
            *("report", "--database", url, "--from", "2026-03-01", "--to", "2026-04-01"),
            *("--format", "json", "--config", self.shop_file, *options),
        )
        return json.loads(text)
