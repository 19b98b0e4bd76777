"""A shop whose customers have favourites, and whose items go together in pairs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

_SHOP = """
[shop]
name = "Habits"
currency = "NOK"

[experiment]
salt = "habits"

[orders]
path = "orders.csv"

[orders.columns]
order_id = "order_id"
ordered_at = "ordered_at"
customer_id = "customer_id"
item_id = "item_id"
quantity = "quantity"
unit_price = "unit_price"
"""


def write_habit_shop(folder: Path, n_customers: int = 60, n_orders: int = 6_000) -> Path:
    """Write orders and shop file below `folder` and return the shop file.

    Each customer has three favourites of 150 items and buys one often; 150 + i goes with i.
    """
    draw = np.random.default_rng(3)
    favourites = draw.integers(0, 150, (n_customers, 3))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    lines = ["order_id,ordered_at,customer_id,item_id,quantity,unit_price"]
    for order in range(n_orders):
        customer = int(draw.integers(n_customers))
        items = {int(draw.integers(150)), int(draw.integers(150))}
        if draw.random() < 0.7:
            items.add(int(draw.choice(favourites[customer])))
        items |= {150 + item for item in items if draw.random() < 0.5}
        at = (first + timedelta(minutes=40 * order)).isoformat()
        lines += [f"o{order},{at},c{customer},i{item},1,10.00" for item in sorted(items)]
    (folder / "orders.csv").write_text("\n".join(lines))
    shop_file = folder / "shop.toml"
    shop_file.write_text(_SHOP)
    return shop_file
