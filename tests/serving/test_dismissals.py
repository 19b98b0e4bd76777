"""What was just declined is not offered again, whichever worker is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("dismissing")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder, workers=2) as server, server.client() as client:
        yield client


def _offers(shop: httpx.Client, checkout: str, **fields: object) -> dict[str, str]:
    body = {
        "checkout_id": checkout,
        "lines": [{"item_id": "phone-64"}],
        "limits": {"cross_sell": 20, "upsell": 20},
        **fields,
    }
    answer = shop.post("/v1/suggestions", json=body).raise_for_status().json()
    assert answer["tracking"] == "recorded"
    return {offer["item_id"]: offer["offer_id"] for offer in answer["offers"]}


def _dismiss(shop: httpx.Client, offer_id: str, *, days_ago: float = 0, **names: str) -> None:
    event = {
        "type": "dismiss_promotion",
        "event_id": f"dismissed-{offer_id}",
        "occurred_at": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(),
        "offer_id": offer_id,
        **names,
    }
    answer = shop.post("/v1/events", json={"events": [event]}).raise_for_status().json()
    assert answer["recorded"] == 1, answer
    time.sleep(0.15)  # another worker may take a tenth of a second to notice the first dismissal


def test_a_dismissed_upgrade_is_not_offered_again(shop: httpx.Client) -> None:
    before = _offers(shop, "k1")
    assert {"phone-256", "phone-pro", "case-1"} <= before.keys()
    _dismiss(shop, before["phone-256"])
    for _ in range(6):  # several connections, so both workers answer
        with httpx.Client(base_url=shop.base_url, trust_env=False) as fresh:
            again = _offers(fresh, "k1")
            assert "phone-256" not in again
            assert {"phone-pro", "case-1"} <= again.keys()
    assert "phone-256" in _offers(shop, "k2")


def test_the_next_best_takes_its_place(shop: httpx.Client) -> None:
    limits = {"cross_sell": 0, "upsell": 1}
    first = _offers(shop, "k3", session_id="s3", limits=limits)
    assert list(first) == ["phone-256"]
    _dismiss(shop, first["phone-256"])
    # Another checkout of the same session.
    assert list(_offers(shop, "k4", session_id="s3", limits=limits)) == ["phone-pro"]


def test_a_customer_is_known_again(shop: httpx.Client) -> None:
    first = _offers(shop, "k5", customer_id="kari")
    _dismiss(shop, first["case-1"], customer_id="kari")
    assert "case-1" not in _offers(shop, "k6", customer_id="kari", session_id="new")
    assert "case-1" in _offers(shop, "k7", customer_id="ola")


def test_a_dismissal_of_last_month_is_forgotten(shop: httpx.Client) -> None:
    first = _offers(shop, "k8", customer_id="nils")
    _dismiss(shop, first["case-1"], days_ago=30)
    assert "case-1" in _offers(shop, "k8", customer_id="nils")


def test_the_decision_tells_why(shop: httpx.Client) -> None:
    first = _offers(shop, "k9")
    _dismiss(shop, first["phone-pro"])
    body = {"checkout_id": "k9", "lines": [{"item_id": "phone-64"}]}
    answer = shop.post("/v1/suggestions", json=body).json()
    reported = shop.get(f"/v1/decisions/{answer['decision_id']}").raise_for_status().json()
    assert reported["declined_item_ids"] == ["phone-pro"]
    assert reported["explanation"]["status"] == "complete"
    reasons = {each["item_id"]: each["reason"] for each in reported["explanation"]["rejected"]}
    assert reasons["phone-pro"] == "already_declined"
    upsell = reported["offers"][-1]
    assert (upsell["kind"], upsell["step"], upsell["total_difference"]) == (
        *("upsell", "tier"),
        "1000.00",
    )
