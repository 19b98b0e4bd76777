"""Three rooms and what guests add to them: breakfast and parking by all, spa in the suite."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan


def _room(item_id: str, name: str, price: str, size: str, amenities: str) -> Item:
    return Item(item_id, name, price, "Rom", "rom", {"size_m2": size, "amenities": amenities})


PLAN = Plan(
    items=(
        _room("rom-standard", "Standardrom", "1290.00", "18", "wifi; skrivebord"),
        _room("rom-superior", "Superiorrom", "1690.00", "24", "wifi; skrivebord; minibar"),
        _room("rom-suite", "Suite", "2690.00", "42", "wifi; minibar; balkong"),
        Item("frokost", "Frokost", "195.00", "Tillegg"),
        Item("parkering", "Parkering", "250.00", "Tillegg"),
        Item("spa", "Spa", "590.00", "Tillegg"),
        Item("sen-utsjekk", "Sen utsjekk", "300.00", "Tillegg"),
        Item("konferanse", "Møterom", "1900.00", "Møte"),
        Item("lunsj", "Lunsj", "245.00", "Møte"),
    ),
    habits=(
        Habit("rom-standard", 40, {"frokost": 0.55, "parkering": 0.40}, (1, 1, 2, 3)),
        Habit("rom-superior", 8, {"frokost": 0.55, "parkering": 0.30}, (1, 2)),
        Habit("rom-suite", 20, {"frokost": 0.60, "spa": 0.45, "sen-utsjekk": 0.25}, (1, 2)),
        Habit("konferanse", 25, {"lunsj": 0.7}),
        Habit("spa", 7),
    ),
    at_random={"sen-utsjekk": 0.03},
    n_orders=1200,
    seed=12,
)
