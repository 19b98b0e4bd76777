"""What units are counted with: by hand, where they share checkouts and orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.attribution import outcomes
from mersalg.engine.tracking.history import build_history
from mersalg.engine.tracking.rates import UNIT_COUNTS
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.engine.tracking.rollups.offer_count import OfferCounter
from mersalg.engine.tracking.rollups.offer_sums import totals_of
from tests.engine.tracking.test_attribution import (
    at,
    bought,
    decided,
    item,
    measured,
    seen,
)


def counted(facts: Iterable[dict[str, Any]]) -> Mapping[str, Mapping[str, int]]:
    """Return what is counted of cross-sell offers, by customer."""
    history = build_history(map(parse_fact, facts))
    counter = OfferCounter(history, history.decisions, "NOK", {})
    counter.add(outcomes(history, "viewed").values(), lambda _: 0)
    units = counter.units()
    table = counter.table({unit: number for number, unit in enumerate(units)})
    (columns,) = totals_of(table, table.offers["key"], 1).columns.values()
    names = [units[place].partition(":")[2] for place in columns["unit"]]
    found: dict[str, dict[str, int]] = {}
    for name in UNIT_COUNTS:
        own = zip(names, columns[f"cross_sell_{name}"].tolist(), strict=True)
        found[name] = {unit: n for unit, n in own if n}
    return found


def test_each_unit_has_its_offers_checkouts_and_orders() -> None:
    again = decided(3, "x", checkout_id="k2")
    refund = {"type": "refund", "event_id": "r", "occurred_at": at(9), "transaction_id": "t-2",
              "items": [{"item_id": "bun", "quantity": 1}]}  # fmt: skip
    bob = decided(5, "y", checkout_id="k3", customer_id="bob")
    facts = [
        *(decided(), seen("d-bun"), seen("d-bun", 1, "add_to_cart"), bought(item("bun")), refund),
        *(again, seen("x-bun", 4), bought(item("bun"), hour=4, checkout_id="k2")),
        *(bob, seen("y-bun", 6)),
    ]
    assert counted(facts) == {
        "offers_shown": {"ann": 2, "bob": 1},
        "offers_accepted": {"ann": 1},
        "offers_converted": {"ann": 2},
        "offers_kept": {"ann": 1},
        "checkouts_shown": {"ann": 2, "bob": 1},
        "checkouts_converted": {"ann": 2},
        "checkouts_kept": {"ann": 1},
        "orders_shown": {"ann": 2},
        "orders_converted": {"ann": 2},
        "orders_kept": {"ann": 1},
    }


def test_what_two_units_share_is_that_of_the_first_who_was_shown_an_offer() -> None:
    bob = decided(1, "x", checkout_id="k2", customer_id="bob")
    both = bought(
        item("bun", offer_id="x-bun"), item("bun", offer_id="d-bun"), hour=3, checkout_id=None
    )
    found = counted([bob, seen("x-bun", 2), both, decided(), seen("d-bun")])
    for name in ("offers", "checkouts"):
        assert found[f"{name}_converted"] == found[f"{name}_shown"] == {"ann": 1, "bob": 1}
    assert found["orders_converted"] == found["orders_shown"] == {"ann": 1}
    # In one checkout, seen by ann alone at first.
    found = counted([decided(), seen("d-bun"), {**bob, "checkout_id": "k"}, seen("x-bun", 2)])
    assert found["offers_shown"] == {"ann": 1, "bob": 1}
    assert found["checkouts_shown"] == {"ann": 1}


@pytest.mark.parametrize(
    ("facts", "fraction"),
    [
        # In another checkout, or none: only at or after the decision and before the period's end.
        ([bought(item("small"), hour=3, checkout_id="k2")], (0, 0)),
        ([bought(item("small"), hour=6, checkout_id="k2")], (0, 1)),
        ([bought(item("small"), hour=11, checkout_id=None)], (0, 1)),
        ([bought(item("small"), hour=23, checkout_id="k2")], (0, 1)),
        ([bought(item("small"), hour=24, checkout_id="k2")], (0, 0)),
        # In the checkout of the offer: whenever.
        ([bought(item("small"), hour=3)], (0, 1)),
        ([bought(item("small"), hour=30)], (0, 1)),
        ([bought(item("bun"), hour=30)], (1, 1)),
        # By somebody else.
        ([bought(item("small"), hour=11, checkout_id="k2", customer_id="bob")], (0, 0)),
        # The order of another customer names the offer: it is of the offer's checkout.
        (
            [bought(item("bun", offer_id="d-bun"), hour=30, checkout_id="k2", customer_id="bob")],
            (1, 1),
        ),
        ([], (0, 0)),
    ],
)
def test_who_is_a_buying_customer_shown_one(
    facts: list[dict[str, Any]], fraction: tuple[int, int]
) -> None:
    shown = [decided(6), seen("d-bun", 7)]
    k = measured([*shown, *facts], "cross_sell", until=date(2026, 1, 1), timezone="UTC")
    assert (k["customer"]["numerator"], k["customer"]["denominator"]) == fraction
    assert k["net_customer"]["denominator"] == fraction[1]


def test_a_purchase_credited_by_a_window_makes_its_unit_a_buying_one() -> None:
    facts = [decided(6), seen("d-bun", 7), bought(item("bun"), hour=30, checkout_id="k2")]
    query = {"until": date(2026, 1, 1), "timezone": "UTC"}
    for days, fraction in ((0, (0, 0)), (2, (1, 1))):
        k = measured(facts, "cross_sell", attribution_window_days=days, **query)
        assert (k["customer"]["numerator"], k["customer"]["denominator"]) == fraction


def test_each_day_asks_who_bought_until_its_end(tmp_path: Path) -> None:
    """Ann sees an offer on Thursday; she bought something else on Monday, and does on Friday."""
    store = open_store(str(tmp_path / "facts.db"), secret=b"k" * 32)
    store.migrate()
    facts = [
        bought(item("small"), hour=96, checkout_id="k0"),
        *(decided(168), seen("d-bun", 169)),
        bought(item("small"), hour=194, checkout_id="k2"),
        *(decided(216, "x", checkout_id="k3"), seen("x-bun", 217)),
    ]
    store.facts.append([parse_fact(fact) for fact in facts])
    for by, denominators in (
        ("day", {"2026-01-05": 0, "2026-01-08": 0, "2026-01-09": 0, "2026-01-10": 0}),
        ("week", {"2026-W02": 1}),
        ("month", {"2026-01": 1}),
    ):
        for from_facts in (False, True):
            query = ReportQuery(by=(by,), timezone="UTC")
            report: Any = build_report(store, query, from_facts=from_facts)
            found = {
                row["key"][by]: row["cross_sell"]["customer"]["denominator"]
                for row in report["groups"]
            }
            assert found == denominators
            assert report["total"]["cross_sell"]["customer"]["denominator"] == 1
    store.close()
