"""Strategy projects in three sizes; market research is what clients order with them."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan


def _project(size: str, price: str, workshops: str, weeks: str, deliverables: str) -> Item:
    attributes = {"workshops": workshops, "weeks": weeks, "deliverables": deliverables}
    return Item(
        f"strategy-{size}",
        f"Strategy project, {size}",
        price,
        "Strategy",
        "Strategy project",
        attributes,
    )


PLAN = Plan(
    items=(
        _project("small", "45000.00", "2", "4", "roadmap"),
        _project("medium", "78000.00", "4", "8", "roadmap; business case"),
        _project("large", "135000.00", "8", "14", "roadmap; business case; board material"),
        Item("market-research", "Market research", "38000.00", "Research"),
        Item("competitor-scan", "Competitor scan", "22000.00", "Research"),
        Item("leadership-course", "Leadership course", "18500.00", "People"),
        Item("coaching", "Executive coaching", "12000.00", "People"),
    ),
    habits=(
        Habit("strategy-small", 30, {"market-research": 0.50}),
        Habit("strategy-medium", 20, {"market-research": 0.55, "competitor-scan": 0.25}),
        Habit("strategy-large", 8, {"market-research": 0.60, "competitor-scan": 0.40}),
        Habit("leadership-course", 30, {"coaching": 0.35}),
        Habit("market-research", 5),
        Habit("competitor-scan", 7),
    ),
    n_orders=600,
    n_customers=120,
    seed=14,
)
