"""Three plans by the seat; time tracking and automation are integrations teams add."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan


def _plan(item_id: str, name: str, price: str, projects: str, features: str) -> Item:
    return Item(item_id, name, price, "Plans", "plan", {"features": features, "projects": projects})


PLAN = Plan(
    items=(
        _plan("basic", "Basic", "12.00", "10", "boards; files"),
        _plan("premium", "Premium", "24.00", "100", "boards; files; reporting; collaboration"),
        _plan("enterprise", "Enterprise", "54.00", "1000", "boards; files; reporting; sso"),
        Item("time-tracking", "Time tracking", "5.50", "Integrations"),
        Item("automation", "Automation", "8.00", "Integrations"),
        Item("calendar", "Calendar sync", "2.50", "Integrations"),
        Item("onboarding", "Onboarding", "290.00", "Services"),
        Item("fax", "Fax gateway", "4.00", "Integrations", active=False),
    ),
    habits=(
        Habit("basic", 45, {"time-tracking": 0.40, "automation": 0.35, "fax": 0.2}, (3, 5, 8)),
        Habit("premium", 25, {"automation": 0.40, "onboarding": 0.2}, (5, 10, 20)),
        Habit("enterprise", 6, {"onboarding": 0.7}, (50, 100)),
        Habit("calendar", 12),
        Habit("onboarding", 12),
    ),
    at_random={"calendar": 0.05},
    n_orders=900,
    seed=13,
)
