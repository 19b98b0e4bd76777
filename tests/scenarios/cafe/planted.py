"""Coffee in three sizes and a special blend, pastry with coffee; a currency without decimals."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan


def _coffee(item_id: str, name: str, price: str, size: str, special: str = "no") -> Item:
    return Item(
        item_id, name, price, "Coffee", "coffee", {"size_ml": size, "special_blend": special}
    )


PLAN = Plan(
    items=(
        _coffee("coffee-s", "Coffee small", "400", "240"),
        _coffee("coffee-m", "Coffee medium", "480", "350"),
        _coffee("coffee-l", "Coffee large", "560", "470"),
        _coffee("coffee-special", "Coffee special blend", "700", "470", "yes"),
        Item("croissant", "Croissant", "320", "Bakery", "pastry"),
        Item("cinnamon-roll", "Cinnamon roll", "350", "Bakery", "pastry"),
        Item("sandwich", "Sandwich", "650", "Kitchen", "lunch"),
        Item("soup", "Soup", "600", "Kitchen", "lunch"),
        Item("juice", "Juice", "380", "Cold drinks", "cold"),
        Item("beans", "Coffee beans", "1600", "Shop", "beans"),
    ),
    habits=(
        Habit("coffee-s", 30, {"croissant": 0.35, "cinnamon-roll": 0.28}, (1, 1, 1, 2)),
        Habit("coffee-m", 25, {"croissant": 0.35, "cinnamon-roll": 0.22}),
        Habit("coffee-l", 12, {"croissant": 0.30, "cinnamon-roll": 0.30}),
        Habit("coffee-special", 6, {"cinnamon-roll": 0.40}),
        Habit("sandwich", 12, {"juice": 0.5}),
        Habit("soup", 8, {"juice": 0.3}),
        Habit("beans", 4),
        Habit("croissant", 3),
    ),
    n_orders=2000,
    seed=16,
)
