"""Trying an integration: a preview shows the treatment arm and leaves no trace; unknown items."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.metrics import metric
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server

KEYS = "storefront:page-key-k3y server:server-key-k3y admin:admin-key-k3y"
CART = [{"item_id": "phone-64"}, {"item_id": "nobody-knows"}, {"item_id": "7"}]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Serve a shop in which every unit is in the control arm."""
    folder = tmp_path_factory.mktemp("previewing")
    publish_model(folder / "models", tiny_model(holdout=1.0))
    with (
        running_server(folder, keys=KEYS, key="admin-key-k3y") as server,
        server.client() as client,
    ):
        yield client


def _ask(shop: httpx.Client, key: str, **fields: object) -> httpx.Response:
    body = {"checkout_id": "ch-1", "session_id": "s-1", "lines": CART, **fields}
    return shop.post("/v1/suggestions", json=body, headers={"Authorization": f"Bearer {key}"})


def test_a_preview_is_of_the_treatment_arm_and_is_not_recorded(shop: httpx.Client) -> None:
    before = metric(shop, "mersalg_unknown_items_total")
    answer = _ask(shop, "server-key-k3y", preview=True).raise_for_status().json()
    assert (answer["arm"], answer["tracking"]) == ("treatment", "off")
    assert [offer["kind"] for offer in answer["offers"]] == ["cross_sell"] * 3 + ["upsell"]
    found = shop.get(f"/v1/decisions/{answer['decision_id']}")
    assert found.status_code == 404
    assert metric(shop, "mersalg_unknown_items_total") == before
    assert metric(shop, "mersalg_decisions_total", tracking="off") == 0
    # The arm of the session is drawn as if nothing had been shown.
    real = _ask(shop, "server-key-k3y").raise_for_status().json()
    assert (real["arm"], real["tracking"], real["offers"]) == ("control", "recorded", [])
    found = shop.get(f"/v1/decisions/{real['decision_id']}")
    assert found.status_code == 200


def test_a_preview_needs_a_server_key(shop: httpx.Client) -> None:
    refused = _ask(shop, "page-key-k3y", preview=True)
    assert refused.status_code == 403
    assert "server" in refused.json()["error"]["message"]
    assert _ask(shop, "page-key-k3y", preview=False).status_code == 200


def test_unknown_items_of_the_cart_are_named_and_counted(shop: httpx.Client) -> None:
    before = metric(shop, "mersalg_unknown_items_total")
    lines = [*CART, {"item_id": "nobody-knows", "quantity": 2}]
    answer = _ask(shop, "page-key-k3y", lines=lines).raise_for_status().json()
    assert answer["unknown_item_ids"] == ["nobody-knows", "7"]
    assert metric(shop, "mersalg_unknown_items_total") == before + 2
    known = _ask(shop, "page-key-k3y", lines=[{"item_id": "phone-64"}]).raise_for_status().json()
    assert "unknown_item_ids" not in known
