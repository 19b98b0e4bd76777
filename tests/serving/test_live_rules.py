"""Pins, blocks, caps and margins that change without a training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.test_live_shop import KEYS, offers
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

_SHOP = """
[shop]
name = "Phone shop"
currency = "NOK"
[orders]
path = "orders.csv"
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    (folder / "shop.toml").write_text(f"{_SHOP}[offers]\nblocks = [{{ item = 'glass-1' }}]\n")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
        (folder / "database").write_text(url)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    named = folder / "database"
    with running_server(
        folder,
        database=named.read_text() if named.exists() else None,
        workers=2,
        keys=KEYS,
        key="admin-key-k3y",
        environment={"MERSALG_CONFIG": str(folder / "shop.toml")},
    ) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def offered(server: Server) -> list[str]:
    with server.client(key="server-key-k3y") as client:  # of any worker
        return list(offers(client))


def everywhere(server: Server, expected: Any) -> None:
    eventually(lambda: all(expected(offered(server)) for _ in range(8)))


def test_a_pin_and_a_block_hold_on_every_worker_and_end(
    server: Server, admin: httpx.Client
) -> None:
    pin = {"action": "pin", "item": "sim-pin", "when_cart_has": ["phone-64"], "position": 1}
    answer = admin.put("/v1/rules/autumn", json=pin).raise_for_status().json()
    assert (answer["rule_id"], answer["warnings"]) == ("autumn", [])
    everywhere(server, lambda found: found[0] == "sim-pin")
    block = {"action": "block", "item": "sim-pin"}
    admin.put("/v1/rules/recall/1", json=block).raise_for_status()
    everywhere(server, lambda found: "sim-pin" not in found)
    rules = admin.get("/v1/rules").json()["rules"]
    assert [(rule["rule_id"], rule["action"], rule["source"]) for rule in rules] == [
        ("autumn", "pin", "api"),
        ("recall/1", "block", "api"),
        ("shop_file/blocks/0", "block", "shop_file"),
    ]
    for rule_id in ("recall/1", "autumn"):
        admin.delete(f"/v1/rules/{rule_id}").raise_for_status()
        assert admin.delete(f"/v1/rules/{rule_id}").status_code == 404
    everywhere(server, lambda found: "sim-pin" not in found and "case-1" in found)
    entries = admin.get("/v1/audit").json()["entries"]
    done = [(each["action"], each["target"], each["outcome"]) for each in entries]
    assert ("set rule", "autumn", "done") in done
    assert ("end rule", "recall/1", "done") in done
    assert all(each["who"].startswith("key:") for each in entries)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"item": "case-1"}, "action"),
        ({"action": "push", "item": "case-1"}, "action"),
        ({"action": "pin"}, "one of item"),
        ({"action": "pin", "item": "case-1", "colour": "red"}, "colour"),
        ({"action": "block", "item": "a", "position": 2}, "position"),
        ({"action": "block", "item": "a", "Until": "2030-01-01"}, "did you mean until?"),
        ({"action": "block", "item": "a", "form": "2030-01-01"}, "did you mean from?"),
        ({"action": "pin", "item": "a", "from": "2026-02-01", "until": "2026-01-01"}, "until"),
        ([], "action"),
    ],
)
def test_what_is_no_rule_is_refused(admin: httpx.Client, body: object, where: str) -> None:
    answer = admin.put("/v1/rules/r", json=body)
    assert answer.status_code == 422
    assert where in answer.text


def test_unknown_items_are_named_and_rules_of_the_shop_file_stay(admin: httpx.Client) -> None:
    answer = admin.put("/v1/rules/r", json={"action": "block", "item": "case-11"}).json()
    assert "case-1" in answer["warnings"][0]
    admin.delete("/v1/rules/r").raise_for_status()
    for call in (admin.delete, lambda path: admin.put(path, json={})):
        answer = call("/v1/rules/shop_file/blocks/0")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "of_shop_file")


@pytest.mark.parametrize("key", ["front-key-k3y", "report-key-k3y", "server-key-k3y"])
def test_only_an_admin_key_sees_and_sets_rules(server: Server, key: str) -> None:
    with server.client(key=key) as client:
        assert client.get("/v1/rules").status_code == 403
        body = {"action": "block", "item": "case-1"}
        assert client.put("/v1/rules/r", json=body).status_code == 403
        assert client.delete("/v1/rules/r").status_code == 403
    assert "case-1" in offered(server)


def test_a_changed_shop_file_is_followed_and_a_broken_one_is_not(
    server: Server, folder: Path
) -> None:
    everywhere(server, lambda found: "glass-1" not in found)
    path = folder / "shop.toml"
    path.write_text(f"{_SHOP}[offers]\nmax_price_to_cart_ratio = 0.035\n")
    everywhere(server, lambda found: "glass-1" in found and "charger" not in found)
    path.write_text("[offers\n")
    eventually(lambda: "the offers stay as they are" in server.said)
    assert "charger" not in offered(server)
    path.write_text(_SHOP)
    everywhere(server, lambda found: "charger" in found)
