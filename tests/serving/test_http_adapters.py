"""GA4, Segment and Shopify over HTTP: keys, signatures, and one purchase counted once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server

SECRET = "hush, a secret of the tests"
WHEN = "2026-03-02T10:01:00+01:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    publish_model(folder / "models", tiny_model(holdout=0.0))
    keys = "storefront:front-key server:server-key"
    with (
        running_server(
            folder,
            keys=keys,
            key="server-key",
            environment={"MERSALG_SHOPIFY_SECRET": SECRET},
        ) as server,
        server.client() as opened,
    ):
        yield opened


def _offered(client: httpx.Client, checkout: str) -> dict[str, str]:
    body = {"checkout_id": checkout, "session_id": checkout, "lines": [{"item_id": "phone-64"}]}
    answer = client.post("/v1/suggestions", json=body).raise_for_status().json()
    return {offer["item_id"]: offer["offer_id"] for offer in answer["offers"]}


def test_ga4_from_view_to_purchase(client: httpx.Client, folder: Path) -> None:
    (item, offer), *_ = _offered(client, "ga4-1").items()
    view = {"client_id": "1", "events": [
        {"name": "view_promotion", "params": {"promotion_id": offer, "checkout_id": "ga4-1"}},
        {"name": "scroll", "params": {}},
    ]}  # fmt: skip
    purchase = {"event": "purchase", "ecommerce": {
        "transaction_id": "ga4-t1", "currency": "NOK", "checkout_id": "ga4-1",
        "items": [{"item_id": item, "price": 199, "quantity": 1, "promotion_id": offer}],
    }}  # fmt: skip
    front = {"Authorization": "Bearer front-key"}
    assert client.post("/v1/adapters/ga4", json=view, headers=front).json()["recorded"] == 1
    refused = client.post("/v1/adapters/ga4", json=purchase, headers=front)
    assert refused.status_code == 422
    assert [each["code"] for each in refused.json()["rejected"]] == ["forbidden"]
    assert client.post("/v1/adapters/ga4", json=purchase).json()["recorded"] == 1
    reported = run("report", "--database", folder / "facts.db", "--by", "item", "--format", "json")
    rows = {row["key"]["item"]: row for row in json.loads(reported)["groups"]}
    assert rows[item]["cross_sell"]["offer"]["numerator"] == 1
    unknown = client.post("/v1/adapters/ga4", json=view, headers={"Authorization": "Bearer nobody"})
    assert unknown.status_code == 401


@pytest.mark.parametrize("name", ["Case", "case-1"])
def test_an_item_of_ga4_is_known_by_its_name(client: httpx.Client, folder: Path, name: str) -> None:
    checkout = f"name-{name}"
    assert "case-1" in _offered(client, checkout)
    params = {"transaction_id": checkout, "currency": "NOK", "checkout_id": checkout}
    lines = [{"item_name": name, "price": 199}, {"item_name": "nobody knows", "price": 5}]
    event = {"name": "purchase", "params": {**params, "items": lines}}
    assert client.post("/v1/adapters/ga4", json=event).json()["recorded"] == 1
    exported = run("events", "export", "--database", folder / "facts.db")
    (order,) = (
        fact
        for fact in map(json.loads, exported.splitlines())
        if fact.get("transaction_id") == checkout
    )
    assert [line["item_id"] for line in order["items"]] == ["case-1", "nobody knows"]


def test_segment_sent_twice_counts_once(client: httpx.Client) -> None:
    offer = next(iter(_offered(client, "seg-1").values()))
    message = {
        "type": "track",
        "event": "Promotion Clicked",
        "messageId": "m-1",
        "anonymousId": "seg-1",
        "timestamp": WHEN,
        "properties": {"promotion_id": offer},
    }
    answers = [client.post("/v1/adapters/segment", json=message).json() for _ in range(2)]
    assert [answer["recorded"] for answer in answers] == [1, 0]
    assert answers[1]["duplicates"] == 1
    wrong = client.post("/v1/adapters/segment", json={"event": "Order Completed", "type": "track"})
    assert wrong.status_code == 422
    assert "messageId" in wrong.json()["error"]["message"]


def _webhook(
    client: httpx.Client, body: bytes, signature: str | None = None, topic: str = "orders/paid"
) -> httpx.Response:
    signed = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    return client.post(
        "/v1/adapters/shopify",
        content=body,
        headers={
            "Content-Type": "application/json",
            "Authorization": "",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": signed if signature is None else signature,
        },
    )


def test_shopify_is_believed_by_its_signature_alone(client: httpx.Client, folder: Path) -> None:
    offers = _offered(client, "shop-1")
    item, offer = next(iter(offers.items()))
    order = {
        "id": 820982911946154508,
        "created_at": WHEN,
        "currency": "NOK",
        "note_attributes": [{"name": "mersalg_checkout_id", "value": "shop-1"}],
        "line_items": [
            {"sku": "phone-64", "quantity": 1, "price": "5990.00"},
            {
                "sku": item,
                "quantity": 1,
                "price": "199.00",
                "properties": [{"name": "_mersalg_offer_id", "value": offer}],
            },
        ],
    }
    body = json.dumps(order).encode()
    assert _webhook(client, body).json()["recorded"] == 1
    assert _webhook(client, body).json()["duplicates"] == 1
    for signature in ("", "x" * 44, base64.b64encode(b"0" * 32).decode()):
        assert _webhook(client, body, signature).status_code == 401
    assert _webhook(client, b"x" * 2_000_000, "x" * 44).status_code == 401


ORDER = {"id": 7001, "created_at": WHEN, "updated_at": WHEN, "currency": "NOK"}
LINE = {"sku": "phone-64", "quantity": 1, "price": "5990.00"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not JSON"),
        (b"x" * 2_000_000, "over 1048576 bytes"),
        (b"[]", "must be an object"),
        (b'{"id": 1}', "neither an order nor a refund"),
        (json.dumps({**ORDER, "line_items": [{**LINE, "price": "much"}]}).encode(), "no number"),
        (json.dumps({**ORDER, "line_items": [LINE], "currency": "kr"}).encode(), "ISO 4217"),
    ],
)
def test_no_refusal_ends_a_subscription(
    client: httpx.Client, folder: Path, body: bytes, message: str
) -> None:
    """Shopify deletes a webhook that is answered eight times in a row by anything but 200."""

    def n_refused() -> int:
        made = run("report", "--database", folder / "facts.db", "--format", "json")
        return json.loads(made)["quality"]["refused_webhooks"]

    before, answer = n_refused(), _webhook(client, body)
    assert answer.status_code == 200
    made = answer.json()
    assert (made["recorded"], made["duplicates"], len(made["rejected"])) == (0, 0, 1)
    assert message in made["rejected"][0]["message"]
    assert message in made["error"]["message"]
    assert n_refused() == before + 1


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 7001, "line_items": {}}}),
        ("orders/risk_assessment_changed", {"order_id": 7001, "provider_title": "x"}),
        ("orders/link_requested", {"order": {"id": 7001}}),
        ("fulfillments/create", {"id": 5, "order_id": 7001, "line_items": [LINE]}),
        ("order_transactions/create", {"id": 6, "order_id": 7001, "kind": "sale"}),
        ("shop/redact", {"shop_id": 1}),
        ("carts/update", {"id": "c", "line_items": [LINE]}),
        ("draft_orders/create", {"id": 3, "line_items": [LINE]}),
        ("customers/data_request", {"customer": {"id": 4}}),
        ("orders/create", {**ORDER, "line_items": [LINE], "test": True}),
    ],
)
def test_topics_that_are_no_sale_are_named(
    client: httpx.Client, topic: str, payload: dict[str, object]
) -> None:
    answer = _webhook(client, json.dumps(payload).encode(), topic=topic)
    assert answer.status_code == 200
    assert answer.json() == {"recorded": 0, "duplicates": 0, "rejected": [], "ignored": topic}


def test_a_deleted_order_is_cancelled_once(client: httpx.Client) -> None:
    order = {**ORDER, "id": 7002, "line_items": [LINE]}
    assert _webhook(client, json.dumps(order).encode()).json()["recorded"] == 1
    counts = []
    for _ in range(2):
        answer = _webhook(client, b'{"id": 7002}', topic="orders/delete").json()
        counts.append((answer["recorded"], answer["duplicates"], answer["rejected"]))
    assert counts == [(1, 0, []), (0, 1, [])]


def test_shopify_erases_a_customer(client: httpx.Client) -> None:
    order = {**ORDER, "id": 7003, "customer": {"id": 2071}, "line_items": [LINE]}
    assert _webhook(client, json.dumps(order).encode()).json()["recorded"] == 1
    redact = json.dumps({"shop_id": 1, "customer": {"id": 2071, "email": "k@example.com"}}).encode()
    assert _webhook(client, redact, "x" * 44, topic="customers/redact").status_code == 401
    answer = _webhook(client, redact, topic="customers/redact")
    assert answer.json() == {"customer_id": "2071", "facts": 1}
    # The order is sent again once the shop has edited it: it leads to nobody.
    later = {**order, "updated_at": "2026-03-02T11:00:00+01:00"}
    assert _webhook(client, json.dumps(later).encode()).json()["recorded"] == 1
    assert _webhook(client, redact, topic="customers/redact").json()["facts"] == 0
    nobody = _webhook(client, b'{"customer": {}}', topic="customers/redact")
    assert nobody.json()["rejected"][0]["message"] == "id is required"


def test_lines_that_sell_nothing_are_named_and_a_call_of_rejects_is_422(
    client: httpx.Client,
) -> None:
    items = [{"item_id": "phone-64", "price": "5990.00"}, {"price": "10.00"}]
    event = {"type": "purchase", "event_id": "tip", "occurred_at": WHEN, "transaction_id": "t-tip"}
    event |= {"currency": "NOK", "items": items}
    answer = client.post("/v1/events", json={"events": [event]})
    assert answer.json()["warnings"] == ["left out 1 line of orders that sell no item"]
    wrong = event | {"event_id": "wrong", "items": items[1:]}
    mixed = client.post("/v1/events", json={"events": [event, wrong]})
    assert mixed.status_code == 200
    assert "error" not in mixed.json()
    refused = client.post("/v1/events", json={"events": [wrong, wrong]})
    assert refused.status_code == 422
    assert {name: refused.json()[name] for name in ("recorded", "duplicates")} == {
        "recorded": 0,
        "duplicates": 0,
    }
    assert [each["index"] for each in refused.json()["rejected"]] == [0, 1]
    assert refused.json()["error"] == {
        "code": "rejected",
        "message": "event 0: items[0].item_id is required (and 1 more)",
        "details": refused.json()["rejected"],
    }
    assert client.post("/v1/events", json={"events": []}).status_code == 200


def test_no_webhooks_without_a_secret(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model())
    with running_server(tmp_path) as server, server.client() as client:
        assert _webhook(client, b"{}").status_code == 403


def test_files_of_other_systems(tmp_path: Path) -> None:
    lines = [
        {"name": "view_promotion", "params": {"promotion_id": "o1"}, "timestamp_micros": 10**15},
        {"name": "page_view", "params": {}},
        {"name": "purchase", "params": {}},
    ]
    file = tmp_path / "ga4.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    command = ("events", "import", file, "--from", "ga4", "--database", tmp_path / "facts.db")
    for recorded in (1, 0):
        result = attempt(*command, "--json")
        reported = json.loads(result.stdout)
        assert (reported["recorded"], reported["rejected"], reported["ignored"]) == (recorded, 1, 1)
    rejected = json.loads((tmp_path / "ga4.jsonl.rejected.jsonl").read_text())
    assert rejected["line"] == 3
    assert "transaction_id" in rejected["message"]
