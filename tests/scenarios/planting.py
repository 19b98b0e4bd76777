"""Shops with a known structure: who buys what with what is planted, then written as files.

The files follow the shop's own `shop.toml`: its file names, column names, separators and decimal
marks, so that each shop also tries another way of describing the same thing.
"""

from __future__ import annotations

import csv
import random
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Item:
    """One sellable unit; `attributes` are the columns compared in upsell."""

    item_id: str
    name: str
    price: str
    category: str
    family: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    compatible_with: tuple[str, ...] = ()
    in_stock: bool = True
    active: bool = True


@dataclass(frozen=True)
class Habit:
    """One reason to order: what for, how often (relative weight), and what goes with it."""

    item_id: str
    weight: float
    alongside: Mapping[str, float] = field(default_factory=dict)
    quantities: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Plan:
    """A planted shop. `at_random` items join any order by chance: noise without structure."""

    items: tuple[Item, ...]
    habits: tuple[Habit, ...]
    at_random: Mapping[str, float] = field(default_factory=dict)
    n_orders: int = 1000
    n_customers: int = 300
    seed: int = 1
    first_day: datetime = datetime(2025, 1, 6, 8)  # noqa: DTZ001 - files hold local times

    def item(self, item_id: str) -> Item:
        return next(item for item in self.items if item.item_id == item_id)

    def orders(self) -> list[dict[str, Any]]:
        """Order lines by canonical column name, in time order; the same for the same seed."""
        draw = random.Random(self.seed)
        weights = [habit.weight for habit in self.habits]
        moment = self.first_day
        lines: list[dict[str, Any]] = []
        for number in range(1, self.n_orders + 1):
            habit = draw.choices(self.habits, weights)[0]
            quantity = draw.choice(habit.quantities)
            basket = {habit.item_id: quantity}
            for item_id, share in (*habit.alongside.items(), *self.at_random.items()):
                if draw.random() < share:
                    basket.setdefault(item_id, 1)
            customer = draw.randrange(self.n_customers)
            lines += [
                {
                    "order_id": f"o{number}",
                    "customer_id": f"c{customer}",
                    "ordered_at": moment.isoformat(sep=" "),
                    "item_id": item_id,
                    "quantity": units,
                    "unit_price": self.item(item_id).price,
                }
                for item_id, units in basket.items()
            ]
            moment += timedelta(minutes=draw.randint(60, 600))
        return lines


def write_shop(plan: Plan, shop_file: Path, folder: Path) -> Path:
    """Copy `shop_file` into `folder`, write the files it names beside it, and return the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    shop: dict[str, Any] = tomllib.loads(shop_file.read_text(encoding="utf-8"))
    catalogue = [
        {
            "item_id": item.item_id,
            "name": item.name,
            "price": item.price,
            "category": item.category,
            "family": item.family,
            "compatible_with": ";".join(item.compatible_with),
            "in_stock": "yes" if item.in_stock else "no",
            "active": "true" if item.active else "false",
            **item.attributes,
        }
        for item in plan.items
    ]
    _write_table(shop["orders"], plan.orders(), folder)
    _write_table(shop["catalogue"], catalogue, folder)
    return Path(shutil.copy(shop_file, folder / "shop.toml"))


def _write_table(section: Mapping[str, Any], rows: list[dict[str, Any]], folder: Path) -> None:
    """Only columns the shop file names are written, under its names for them."""
    names = dict(section.get("columns", {})) | {
        name: name for name in section.get("attributes", ())
    }
    decimal = section.get("decimal", ".")
    with (folder / section["path"]).open(
        "w", encoding=section.get("encoding", "utf-8"), newline=""
    ) as file:
        writer = csv.writer(file, delimiter=section.get("separator", ","))
        writer.writerow(
            part
            for columns in names.values()
            for part in ([columns] if isinstance(columns, str) else columns)
        )
        for row in rows:
            cells: list[str] = []
            for name, columns in names.items():
                text = str(row.get(name, ""))
                if name in ("price", "unit_price"):
                    text = text.replace(".", decimal)
                cells += [text] if isinstance(columns, str) else _split(name, text)
            writer.writerow(cells)


def _split(name: str, text: str) -> list[str]:
    """One value over two columns: date and time, or a number that restarts at each of two tills."""
    if name == "ordered_at":
        return text.split(" ")
    number = int(text.removeprefix("o"))
    return [str((number + 1) // 2), str(number % 2)]
