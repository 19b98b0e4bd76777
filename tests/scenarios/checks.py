"""What must hold of every answer and report, whatever the shop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.scenarios.trained_shop import TrainedShop


def offers_of(answer: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Item id -> offer of one kind, by position."""
    return {offer["item_id"]: offer for offer in answer["offers"] if offer["kind"] == kind}


def check_answer(shop: TrainedShop, cart: Mapping[str, int], answer: Mapping[str, Any]) -> None:
    """Nothing that must never be offered; every count, price and text true of the files."""
    assert answer["arm"] == "treatment"
    item_ids = [offer["item_id"] for offer in answer["offers"]]
    assert len(set(item_ids)) == len(item_ids), "the same item is offered twice"
    assert len({offer["offer_id"] for offer in answer["offers"]}) == len(item_ids)
    families_in_cart = {shop.plan.item(item_id).family for item_id in cart} - {""}
    for kind in ("cross_sell", "upsell"):
        positions = [offer["position"] for offer in answer["offers"] if offer["kind"] == kind]
        assert positions == list(range(1, len(positions) + 1))
    for offer in answer["offers"]:
        item = shop.plan.item(offer["item_id"])
        assert item.item_id not in cart
        assert item.in_stock
        assert item.active
        if item.compatible_with:
            assert set(item.compatible_with) & cart.keys(), f"{item.item_id} fits nothing in {cart}"
        assert offer["name"] == item.name
        assert offer["currency"] == shop.currency
        assert Decimal(offer["unit_price"]) == Decimal(item.price)
        assert offer["unit_price"] == item.price, "another number of decimals"
        assert 0 <= offer["score"] <= 1
        assert offer["text"]
        if offer["kind"] == "cross_sell":
            if item.family in families_in_cart:
                _check_bought_together(shop, cart, item.item_id)
            _check_evidence(shop, cart, offer)
        else:
            _check_replacement(shop, cart, offer)


def _check_evidence(shop: TrainedShop, cart: Mapping[str, int], offer: Mapping[str, Any]) -> None:
    """Counts by brute force over the order file; lift and its lower bound by their formulas."""
    evidence = offer["evidence"]
    antecedent = evidence["antecedent_item_ids"]
    assert set(antecedent) <= cart.keys()
    item_id, n_orders = offer["item_id"], len(shop.baskets)
    n_joint, n_antecedent = shop.count(*antecedent, item_id), shop.count(*antecedent)
    assert (evidence["n_joint"], evidence["n_antecedent"]) == (n_joint, n_antecedent)
    assert math.isclose(evidence["confidence"], n_joint / n_antecedent, abs_tol=5e-4)
    if not antecedent:
        return
    n_consequent = shop.count(item_id)
    lift = (n_joint / n_antecedent) / (n_consequent / n_orders)
    variance = 1 / n_joint - 1 / n_antecedent - 1 / n_consequent + (2 * lift - 1) / n_orders
    lower = lift * math.exp(-1.959963984540054 * math.sqrt(variance))
    assert math.isclose(evidence["lift"], lift, rel_tol=1e-3)
    assert math.isclose(evidence["lift_lower"], lower, rel_tol=2e-3)
    assert lower > 1, "a rule without evidence of attraction was offered"


def _check_bought_together(shop: TrainedShop, cart: Mapping[str, int], item_id: str) -> None:
    """Of a family in the cart only what is bought with it more often than by chance."""
    family, n_orders = shop.plan.item(item_id).family, len(shop.baskets)
    for other in (name for name in cart if shop.plan.item(name).family == family):
        by_chance = shop.count(item_id) * shop.count(other) / n_orders
        assert shop.count(item_id, other) > by_chance, f"{item_id} replaces {other}"


def _check_replacement(
    shop: TrainedShop, cart: Mapping[str, int], offer: Mapping[str, Any]
) -> None:
    """A dearer item of the same family, replacing all units of a line of the cart."""
    replaces = offer["replaces"]
    base, better = shop.plan.item(replaces["item_id"]), shop.plan.item(offer["item_id"])
    assert replaces["quantity"] == cart[base.item_id]
    assert base.family == better.family
    difference = Decimal(better.price) - Decimal(base.price)
    assert difference > 0
    assert Decimal(replaces["price_difference"]) == difference
    assert 1.05 <= Decimal(better.price) / Decimal(base.price) <= 2.5


def changes(offer: Mapping[str, Any], which: str) -> dict[str, tuple[str, str]]:
    """Attribute -> (from, to) of an upsell offer's `gains` or `losses`."""
    return {entry["attribute"]: (entry["from"], entry["to"]) for entry in offer[which]}


def check_rates(report: Mapping[str, Any], kind: str, expected: Mapping[str, str]) -> None:
    """Each named rate against its fraction worked out by hand; `revenue` and the like as text."""
    measured = report["total"][kind]
    found: dict[str, str] = {}
    for name, value in expected.items():
        entry = measured[name]
        if isinstance(entry, Mapping):
            found[name] = f"{entry['numerator']}/{entry['denominator']}"
            _check_value(entry)
        else:
            found[name] = str(entry)
        assert value  # every expectation is written out
    assert found == dict(expected), f"{kind}: {report['quality']}"


def _check_value(entry: Mapping[str, Any]) -> None:
    if entry["denominator"] == 0:
        assert entry["value"] is None
        assert entry["status"] == "no_data"
        return
    assert entry["numerator"] <= entry["denominator"]
    assert math.isclose(entry["value"], entry["numerator"] / entry["denominator"], abs_tol=1e-6)
    assert entry["lower"] - 1e-9 <= entry["value"] <= entry["upper"] + 1e-9


def check_incremental(
    report: Mapping[str, Any], kind: str, *, treatment: str, control: str
) -> None:
    """Both arms' fractions of eligible checkouts, by hand; of so few no effect is given."""
    entry = report["total"][kind]["incremental"]
    arms = {
        arm: f"{entry[arm]['numerator']}/{entry[arm]['denominator']}"
        for arm in ("treatment", "control")
    }
    assert arms == {"treatment": treatment, "control": control}, f"{kind}: {entry['reason']}"
    assert (entry["status"], entry["value"], entry["lower"]) == ("no_data", None, None)
    assert "too few for an interval" in entry["reason"]
