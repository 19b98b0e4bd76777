"""Phones of three models; cases and glass fit one model each; some headphones fit some models."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan

FJORD5 = ("fjord5-64", "fjord5-128")
FJORD6 = ("fjord6-128", "fjord6-256")
TIND = ("tind-256", "tind-512")


def _phone(item_id: str, name: str, price: str, storage: int, model: str) -> Item:
    camera, processor, battery = {
        "fjord5": ("12", "610", "30"),
        "fjord6": ("48", "880", "26"),
        "tind": ("108", "1210", "26"),
    }[model]
    attributes = {
        "storage_gb": str(storage),
        "camera_mp": camera,
        "cpu_score": processor,
        "battery_hours": battery,
    }
    return Item(item_id, name, price, "Telefoner", "Mobiltelefon", attributes)


def _for_model(kind: str, name: str, price: str, models: tuple[str, ...]) -> Item:
    return Item(kind, name, price, "Tilbehør", kind.split("-")[0], compatible_with=models)


PLAN = Plan(
    items=(
        _phone("fjord5-64", "Fjord 5 64 GB", "4990.00", 64, "fjord5"),
        _phone("fjord5-128", "Fjord 5 128 GB", "5190.00", 128, "fjord5"),
        _phone("fjord6-128", "Fjord 6 128 GB", "7490.00", 128, "fjord6"),
        _phone("fjord6-256", "Fjord 6 256 GB", "7790.00", 256, "fjord6"),
        _phone("tind-256", "Tind X 256 GB", "11990.00", 256, "tind"),
        _phone("tind-512", "Tind X 512 GB", "12490.00", 512, "tind"),
        _for_model("deksel-fjord5", "Deksel Fjord 5", "249.00", FJORD5),
        _for_model("deksel-fjord6", "Deksel Fjord 6", "299.00", FJORD6),
        _for_model("deksel-tind", "Deksel Tind X", "349.00", TIND),
        _for_model("skjermglass-fjord5", "Skjermglass Fjord 5", "149.00", FJORD5),
        _for_model("skjermglass-fjord6", "Skjermglass Fjord 6", "179.00", FJORD6),
        _for_model("skjermglass-tind", "Skjermglass Tind X", "199.00", TIND),
        Item("propper-bt", "Ørepropper BT", "599.00", "Lyd", "Ørepropper"),
        _for_model("hodetelefoner-hd", "Hodetelefoner HD", "1990.00", FJORD6 + TIND),
        Item("lader-20w", "Lader 20 W", "249.00", "Tilbehør", "Lader"),
        Item("holder-bil", "Bilholder", "199.00", "Tilbehør", "Holder", in_stock=False),
        Item("lader-5w", "Lader 5 W", "99.00", "Tilbehør", "Lader", active=False),
    ),
    habits=(
        Habit(
            "fjord5-64",
            30,
            {
                "deksel-fjord5": 0.50,
                "skjermglass-fjord5": 0.35,
                "propper-bt": 0.15,
                "holder-bil": 0.3,
                "lader-5w": 0.3,
            },
        ),
        Habit("fjord5-128", 8, {"deksel-fjord5": 0.50, "skjermglass-fjord5": 0.35}),
        Habit(
            "fjord6-128",
            22,
            {
                "deksel-fjord6": 0.45,
                "skjermglass-fjord6": 0.40,
                "hodetelefoner-hd": 0.30,
                "lader-20w": 0.25,
            },
        ),
        Habit("fjord6-256", 6, {"deksel-fjord6": 0.45, "hodetelefoner-hd": 0.35}),
        Habit("tind-256", 9, {"deksel-tind": 0.5, "skjermglass-tind": 0.4, "propper-bt": 0.3}),
        Habit("tind-512", 3, {"deksel-tind": 0.5, "skjermglass-tind": 0.4}),
        # Accessories bought later, alone: the old model's case is the shop's best seller.
        Habit("deksel-fjord5", 14),
        Habit("propper-bt", 5),
        Habit("lader-20w", 5),
    ),
    n_orders=1600,
    seed=11,
)
