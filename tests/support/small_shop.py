"""A small cafe written as files: who buys what with what is planted, the rest is chance."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

ITEMS = {
    "coffee-small": ("Small coffee", "coffee", "35.00"),
    "coffee-large": ("Large coffee", "coffee", "45.00"),
    "croissant": ("Croissant", "pastry", "30.00"),
    "almond-croissant": ("Almond croissant", "pastry", "42.00"),
    "tea": ("Tea", "tea", "30.00"),
    "scone": ("Scone", "scone", "28.00"),
    "juice": ("Juice", "juice", "40.00"),
    "water": ("Water", "water", "25.00"),
}
MAIN = ("coffee-small", "coffee-large", "tea", "juice", "water")
ALONGSIDE = {
    "coffee-small": ("croissant", 0.5),
    "coffee-large": ("almond-croissant", 0.4),
    "tea": ("scone", 0.6),
}

_SHOP = """
[shop]
name = "Kafé Prøve"
currency = "{currency}"
timezone = "Europe/Oslo"

[orders]
path = "orders.csv"

[orders.columns]
order_id = "order_id"
customer_id = "customer_id"
ordered_at = "ordered_at"
item_id = "item_id"
quantity = "quantity"
unit_price = "unit_price"

[catalogue]
path = "catalogue.csv"
columns = {{ item_id = "item_id", name = "name", family = "family", price = "price" }}
{more}
"""


def write_small_shop(
    folder: Path,
    *,
    n_orders: int = 800,
    currency: str = "NOK",
    planted: bool = True,
    n_pairs: int = 0,
    seed: int = 1,
    more: str = "",
) -> Path:
    """Orders, catalogue and shop file below `folder`; returns the shop file.

    Not `planted`: every order is one item, so there is nothing to learn for cross-sell. `n_pairs`
    adds as many plates, each bought with its own cup in six of ten orders. `more` is further TOML.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalogue, mains, alongside = dict(ITEMS), list(MAIN), dict(ALONGSIDE)
    for pair in range(n_pairs):
        catalogue[f"plate-{pair}"] = (f"Plate {pair}", f"plate {pair}", "90.00")
        catalogue[f"cup-{pair}"] = (f"Cup {pair}", f"cup {pair}", "60.00")
        mains.append(f"plate-{pair}")
        alongside[f"plate-{pair}"] = (f"cup-{pair}", 0.6)
    draw = random.Random(seed)
    start = datetime(2026, 1, 5, 7, tzinfo=UTC)
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["order_id", "customer_id", "ordered_at", "item_id", "quantity", "unit_price"]
        )
        for number in range(n_orders):
            main = draw.choice(mains)
            items = {main}
            if planted:
                other, share = alongside.get(main, ("water", 0.0))
                if draw.random() < share:
                    items.add(other)
                if draw.random() < 0.1:
                    items.add(draw.choice(list(ITEMS)))
            moment = (start + timedelta(minutes=47 * number)).isoformat()
            customer = f"c{draw.randrange(n_orders // 4)}"
            writer.writerows(
                [f"o{number:05}", customer, moment, item, 1, catalogue[item][2]]
                for item in sorted(items)
            )
    with (folder / "catalogue.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "name", "family", "price"])
        writer.writerows(
            [item_id, name, family, price] for item_id, (name, family, price) in catalogue.items()
        )
    shop_file = folder / "shop.toml"
    shop_file.write_text(_SHOP.format(currency=currency, more=more), encoding="utf-8")
    return shop_file
