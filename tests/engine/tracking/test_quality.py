"""What of the facts is in doubt: each cause by an example, and a report that says so."""

from __future__ import annotations

from typing import Any

import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.tracking.report import ReportQuery, report_of
from mersalg.serving.presentation.glossary import QUALITY
from mersalg.serving.presentation.report import ReportText
from tests.engine.tracking.test_attribution import bought, decided, item, seen

VISIT = [decided(), seen("d-bun"), bought(item("bun"))]
MONTHS_LATER = seen("d-bun") | {"event_id": "v", "occurred_at": "2026-04-01T00:00:00+00:00"}
"""All that was decided before has had its time."""


def report(*facts: dict[str, Any], **query: Any) -> Any:
    query = {"prices_include_tax": False, **query}
    return report_of(map(parse_fact, facts), ReportQuery(**query))


def notes(made: Any) -> str:
    return "; ".join(ReportText(made, None, "en").notes)


DOUBTS: dict[str, list[dict[str, Any]]] = {
    "without_decision": [bought(item("bun"), hour=4, checkout_id="k9")],
    "reused_transactions": [
        bought(item("bun"), hour=3, transaction_id="t-2", customer_id="bob", checkout_id="k")
    ],
    "early": [decided(9, "x", checkout_id="k3"), bought(item("small"), hour=8, checkout_id="k3")],
    "reused_checkouts": [decided(24 * 30 + 1, "x")],
    "unvouched": [decided(24 * 20, "x", checkout_id="k4", scope="storefront")],
}


@pytest.mark.parametrize("cause", DOUBTS)
def test_facts_in_doubt_are_counted_and_named(cause: str) -> None:
    made = report(*VISIT, MONTHS_LATER)
    # What was sent long after the order is late, and of one unit the groups are of any size.
    calm = {
        name: made["quality"][name]
        for name in QUALITY
        if name not in ("orders", "checkouts", "late")
    }
    assert set(calm.values()) == {0}
    made = report(*VISIT, MONTHS_LATER, *DOUBTS[cause])
    assert made["quality"][cause] == 1
    assert ReportText(made, None, "en").glossary.terms[cause].definition[:-1] in notes(made)
    assert "no problems found" not in notes(made)


def test_campaigns_of_the_shop_are_no_offers_that_are_missing() -> None:
    """Pages report all their promotions; offers of ours whose decision is missing are in doubt."""
    sent = [
        seen("SUMMER"),
        seen("SUMMER", kind="select_promotion"),
        seen("off_lost"),
        bought(item("bun", offer_id="SUMMER"), item("small", promotion_id="WINTER")),
        bought(item("bun", offer_id="off_lost"), item("small", offer_id="SUMMER"), hour=3),
    ]
    for facts in (sent, sent[::-1]):
        quality = report(decided(), *facts)["quality"]
        assert (quality["unmatched"], quality["other_promotions"]) == (2, 4)
    made = report(*VISIT, seen("SUMMER"))
    assert (made["quality"]["unmatched"], made["quality"]["other_promotions"]) == (0, 1)
    assert "campaigns" not in notes(made)
    # A decision that is imported with ids of its own makes them offers.
    known = report(decided(name="SUMMER"), seen("SUMMER-bun"))
    assert (known["quality"]["unmatched"], known["quality"]["other_promotions"]) == (0, 0)


def test_a_transaction_id_of_two_days_is_that_of_two_orders() -> None:
    """A till that starts the numbers of its receipts again every morning."""
    till = {"transaction_id": "0001", "customer_id": None}
    days = [bought(item("bun"), hour=9 + 25 * day, **till) for day in range(3)]
    again = bought(item("bun"), hour=10, **till)
    quality = report(*days, again)["quality"]
    assert (quality["duplicates"], quality["reused_transactions"]) == (3, 2)


def test_a_checkout_of_two_customers_is_two_checkouts() -> None:
    other = bought(item("small"), hour=4, customer_id="bob")
    assert report(*VISIT, other)["quality"]["reused_checkouts"] == 1
    unnamed = bought(item("small"), hour=4, customer_id=None)
    assert report(*VISIT, unnamed)["quality"]["reused_checkouts"] == 0


def test_decisions_are_immature_until_purchases_can_no_longer_be_credited() -> None:
    """Decisions of 1, 2 and 3 January; the newest fact is of 31 January or 1 February."""
    days = [decided(24 * day, f"d{day}", checkout_id=f"k{day}") for day in range(3)]
    for newest, n_open in (("2026-01-31", 3), ("2026-02-01", 2)):
        order = bought(item("bun"), occurred_at=f"{newest}T12:00:00+00:00")
        made = report(*days, order, by=("day",))
        assert made["quality"]["immature"] == n_open
        rows = {row["key"]["day"]: row["immature"] for row in made["groups"]}
        assert sum(rows.values()) == n_open
        assert rows["2026-01-03"] == 1
    of_window = report(*days, bought(item("bun"), hour=24 * 4), checkout_days=1,
                       attribution_window_days=2)  # fmt: skip
    assert of_window["quality"]["immature"] == 1
    groups = report(*days, by=("item",))["groups"]
    assert all("immature" not in row for row in groups)
