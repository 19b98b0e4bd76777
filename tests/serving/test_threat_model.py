"""What each kind of stranger cannot do, and that SECURITY.md names the test behind each line."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

ROOT = Path(__file__).parents[2]
KEYS = "storefront:front-key-k3y server:server-key-k3y report:report-key-k3y admin:admin-key-k3y"
WHEN = "2026-03-02T10:00:00+01:00"
MARKED = ("kari.marked.nordmann", "session.marked.7", "body.marked.secret")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("threats")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder, keys=KEYS, key="front-key-k3y") as server:
        yield server


@pytest.fixture
def front(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def suggestions(client: httpx.Client, **fields: object) -> dict[str, Any]:
    body = {"checkout_id": "k", "lines": [{"item_id": "phone-64"}], **fields}
    return client.post("/v1/suggestions", json=body).raise_for_status().json()


def test_a_storefront_key_reads_nothing_of_the_shop(front: httpx.Client) -> None:
    decision = suggestions(front)["decision_id"]
    for path in (
        *(f"/v1/decisions/{decision}", "/v1/reports/rates", "/v1/models", "/v1/audit"),
        *("/v1/customers/c_9", "/metrics"),
    ):
        assert front.get(path).status_code == 403, path
    assert front.delete("/v1/customers/c_9").status_code == 403
    for path in ("/v1/models", "/v1/models/rollback", "/v1/models/x/publish"):
        assert front.post(path, json={}).status_code == 403, path
    assert front.get("/dashboard").status_code == 303


PURCHASE = {
    "type": "purchase",
    "event_id": "forged",
    "occurred_at": WHEN,
    "transaction_id": "t",
    "currency": "NOK",
    "items": [{"item_id": "case-1", "quantity": 1, "price": "199.00"}],
}
GA4 = {"name": "purchase", "params": {"transaction_id": "t", "currency": "NOK", "items": []}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", {"events": [PURCHASE]}),
        ("/v1/events", {"events": [{**PURCHASE, "type": "refund"}]}),
        ("/v1/events", {"events": [{**PURCHASE, "type": "cancel"}]}),
        ("/v1/adapters/ga4", {"client_id": "1", "events": [GA4]}),
        ("/v1/adapters/ga4", {"events": [{**GA4, "name": "refund"}]}),
        (
            "/v1/adapters/segment",
            {
                "type": "track",
                "event": "Order Completed",
                "messageId": "m",
                "timestamp": WHEN,
                "properties": {
                    "order_id": "t",
                    "currency": "NOK",
                    "products": [{"product_id": "case-1", "price": 199, "quantity": 1}],
                },
            },
        ),
    ],
)
def test_a_storefront_key_forges_no_purchase(
    front: httpx.Client, path: str, body: dict[str, object]
) -> None:
    answer = front.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["recorded"] == 0
    assert {each["code"] for each in answer.json()["rejected"]} <= {"forbidden", "invalid"}


@pytest.mark.parametrize("kind", ["Purchase", "purchase ", "purchasе", "PURCHASE", ["purchase"]])
def test_no_other_spelling_gets_a_purchase_through(front: httpx.Client, kind: object) -> None:
    answer = front.post("/v1/events", json={"events": [{**PURCHASE, "type": kind}]}).json()
    assert answer["recorded"] == 0
    assert [each["code"] for each in answer["rejected"]] == ["invalid"]


def test_a_decision_cannot_be_sent_over_http(server: Server) -> None:
    with server.client(key="server-key-k3y") as shop:
        fact = {"type": "decision", "event_id": "d", "decision_id": "d", "occurred_at": WHEN}
        answer = shop.post("/v1/events", json={"events": [fact]}).json()
    assert [each["code"] for each in answer["rejected"]] == ["forbidden"]


def test_ids_of_offers_and_decisions_cannot_be_guessed(front: httpx.Client) -> None:
    ids = [
        each
        for _ in range(50)
        for answer in (suggestions(front),)
        for each in (answer["decision_id"], *(offer["offer_id"] for offer in answer["offers"]))
    ]
    assert len(set(ids)) == len(ids)
    # Behind the moment stand 128 bits in base 64, no place of which stands still.
    tails = [each.partition("_")[2][-22:] for each in ids]
    assert all(len(each.partition("_")[2]) >= 29 for each in ids)
    assert len(set(tails)) == len(tails)
    assert all(len({tail[place] for tail in tails}) > 8 for place in range(20))


def test_logs_tell_no_secret_and_name_nobody(tmp_path: Path) -> None:
    customer, session, body = MARKED
    publish_model(tmp_path / "models")
    with running_server(
        tmp_path, keys=KEYS, environment={"MERSALG_SECRET": "the-secret-of-ids-marked"}
    ) as server:
        with server.client(key="server-key-k3y") as shop:
            who = {"customer_id": customer, "session_id": session}
            suggestions(shop, **who, placement=body)
            shop.post("/v1/suggestions", json={"checkout_id": {body: 1}, **who})
            shop.post("/v1/suggestions", content=f'{{"{body}'.encode())
            events = [{**PURCHASE, **who}, {**PURCHASE, **who, "currency": body}, body]
            shop.post("/v1/events", json={"events": events})
            shop.post("/v1/events", json={"events": [{**PURCHASE, **who, "transaction_id": "u"}]})
        with server.client(key="admin-key-k3y") as admin:
            admin.get(f"/v1/customers/{customer}")
            admin.delete(f"/v1/customers/{customer}")
            admin.post(f"/v1/models/{body}/publish")
        with server.client(key="a-wrong-key-marked") as stranger:
            stranger.post("/v1/suggestions", json=who)
            stranger.post("/dashboard/login", data={"key": "a-wrong-key-marked"})
        server.stop()
        said = server.said
    assert "mersalg" in said
    for text in (customer, session, "k3y", "the-secret-of-ids", "wrong-key"):
        assert text not in said, text
    assert body not in said.replace("publish by", "")


def _tests() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.relative_to(ROOT)
        found |= {
            f"{relative}::{node.name}"
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return found


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/reference/exports.md"])
def test_every_line_of_a_table_of_promises_names_tests_that_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) > 20
    known, unproven = _tests(), []
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, f"no test is named: {row}"
        unproven += [each for each in named if each not in known]
    assert unproven == []
    assert json.dumps(text).isprintable()
