"""Social media management by the month, with SEO and content beside it, in two packages."""

from __future__ import annotations

from tests.scenarios.planting import Habit, Item, Plan


def _package(item_id: str, name: str, price: str, posts: str, contents: str) -> Item:
    attributes = {"contents": contents, "posts_per_month": posts}
    return Item(item_id, name, price, "Sosiale medier", "some-pakke", attributes)


PLAN = Plan(
    items=(
        _package("some-basis", "Sosiale medier Basis", "8900.00", "8", "planlegging; publisering"),
        _package(
            "some-pluss",
            "Sosiale medier Pluss",
            "14900.00",
            "16",
            "planlegging; publisering; analyse; segmentering; dedikert oppfølging",
        ),
        Item("seo", "SEO", "6900.00", "Synlighet"),
        Item("innhold", "Innholdsproduksjon", "5900.00", "Innhold"),
        Item("annonser", "Annonsering", "4500.00", "Synlighet"),
        Item("nettside", "Nettside", "39000.00", "Nett"),
        Item("logo", "Logo", "12000.00", "Design"),
    ),
    habits=(
        Habit("some-basis", 35, {"seo": 0.40, "innhold": 0.45}, (3, 6, 12)),
        Habit("some-pluss", 18, {"seo": 0.35, "innhold": 0.50}, (6, 12)),
        Habit("nettside", 25, {"logo": 0.4}),
        Habit("annonser", 17, {}, (1, 3)),
        Habit("logo", 5),
    ),
    n_orders=700,
    n_customers=150,
    seed=15,
)
