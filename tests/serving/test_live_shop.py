"""Stock, prices, new items and rules that change between trainings, over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mersalg.engine.facts import CartLine
from mersalg.engine.live_catalogue import LiveCatalogue, with_catalogue
from mersalg.engine.live_items import LiveItem
from mersalg.engine.slate import Recommenders, build_slate
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

KEYS = "storefront:front-key-k3y server:server-key-k3y report:report-key-k3y admin:admin-key-k3y"


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder, database = tmp_path_factory.mktemp("live"), None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres_server").new_database()
    publish_model(folder / "models", tiny_model(holdout=0.0, combining_families=["case"]))
    with running_server(folder, database=database, keys=KEYS, key="server-key-k3y") as server:
        yield server


@pytest.fixture
def server(service: Server) -> Iterator[Server]:
    yield service
    with service.client() as client:
        for item_id in ("case-1", "new/case", "new-phone", "unheard-of"):
            client.delete(f"/v1/items/{item_id}").raise_for_status()


def offers(client: httpx.Client, item_id: str = "phone-64") -> dict[str, dict[str, Any]]:
    body = {"checkout_id": "c", "lines": [{"item_id": item_id, "quantity": 1}]}
    body["limits"] = {"cross_sell": 10, "upsell": 5}
    answer = client.post("/v1/suggestions", json=body).raise_for_status().json()
    return {offer["item_id"]: offer for offer in answer["offers"]}


def test_stock_and_price_are_offered_as_stated_at_once_and_after_a_restart(
    tmp_path: Path, fresh_database: str
) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    database = fresh_database if "://" in fresh_database else f"sqlite:///{fresh_database}"
    with running_server(tmp_path, database=database) as server, server.client() as client:
        assert "case-1" in offers(client)
        for body in ({"in_stock": False}, {"in_stock": False, "price": "10.00"}):
            answer = client.put("/v1/items/case-1", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["item_id"] == "case-1"
            assert "case-1" not in offers(client)
        picture = "https://shop.example/glass.jpg"
        stated = {"price": 77.5, "name": "Glass", "image_url": picture}
        client.put("/v1/items/glass-1", json=stated).raise_for_status()
        client.put("/v1/items/phone-256", json={"price": "7500.00"}).raise_for_status()
        found = offers(client)
        assert (found["glass-1"]["unit_price"], found["glass-1"]["name"]) == ("77.50", "Glass")
        assert found["glass-1"]["image_url"] == picture
        assert found["glass-1"]["display"]["price"] == "77.50 NOK"
        assert client.get("/v1/items/glass-1").json()["image_url"] == picture
        assert found["phone-256"]["replaces"]["price_difference"] == "1510.00"
    with running_server(tmp_path, database=database) as server, server.client() as client:
        assert "case-1" not in offers(client)
        assert client.delete("/v1/items/case-1").status_code == 200
        assert offers(client)["case-1"]["unit_price"] == "199.00"
        assert client.delete("/v1/items/glass-1").status_code == 200
        assert offers(client)["glass-1"]["name"] == "Screen protector"


def test_of_each_field_the_newest_counts_whatever_comes_last(server: Server) -> None:
    with server.client() as client:
        newest = {"price": "10.00", "updated_at": at(-10)}
        answer = client.put("/v1/items/charger", json=newest).json()
        assert datetime.fromisoformat(answer["updated_at"]) == datetime.fromisoformat(at_of(newest))
        older = {"price": "20.00", "name": "Older, but the first name", "updated_at": at(-20)}
        assert client.put("/v1/items/charger", json=older).json() == answer
        offer = offers(client)["charger"]
        assert (offer["unit_price"], offer["name"]) == ("10.00", "Older, but the first name")
        batch = [
            {"item_id": "charger", **newest},
            {"item_id": "charger", **older},
            {"item_id": "case-1", "price": "12.00"},
            {"item_id": "case-1", "prise": "12.00"},
            {"price": "12.00"},
            {"item_id": "case-1", "price": "12.00", "updated_at": at(200_000)},
        ]
        answer = client.post("/v1/items", json={"items": batch})
        assert answer.status_code == 200
        found = answer.json()
        assert (found["recorded"], found["duplicates"]) == (1, 2)
        rejected = [(each["index"], each["code"]) for each in found["rejected"]]
        assert rejected == [(3, "invalid"), (4, "invalid"), (5, "out_of_bounds")]
        assert "prise" in found["rejected"][0]["message"]
        client.delete("/v1/items/charger").raise_for_status()
        client.put("/v1/items/charger", json=newest).raise_for_status()
        assert offers(client)["charger"]["unit_price"] == "249.00"


def at_of(body: dict[str, Any]) -> str:
    return str(body["updated_at"])


def test_a_new_item_goes_by_its_family_and_comes_after_those_on_sale(server: Server) -> None:
    with server.client() as client:
        new = {"name": "New case", "price": "149.00", "family": "case"}
        client.put("/v1/items/new/case", json=new).raise_for_status()
        found = list(offers(client))
        assert found.index("new/case") == found.index("case-1") + 1
        assert offers(client)["new/case"]["text"] == "Picked by Phone shop"
        client.put("/v1/items/case-1", json={"active": False}).raise_for_status()
        found = offers(client)
        assert next(iter(found)) == "new/case"
        assert "case-1" not in found
        # In a cart it fires the rules of its family, and keeps its family away.
        client.put("/v1/items/new-phone", json={"family": "phone"}).raise_for_status()
        assert "new/case" in offers(client, "new-phone")
        assert "phone-64" not in offers(client, "new-phone")
        client.delete("/v1/items/new/case").raise_for_status()
        assert "new/case" not in offers(client)


def test_of_a_family_that_replaces_each_other_the_one_on_sale_is_offered() -> None:
    model = tiny_model(holdout=0.0)
    live = LiveCatalogue(model.catalogue)

    def offered(**stated: object) -> set[str]:
        fields: dict[str, object] = {"family": "case", "price": "149.00"}
        for item_id, known in (("new", fields), ("case-1", stated)):
            live.take({item_id: LiveItem({name: (value, 1) for name, value in known.items()})})
        changed = Recommenders.prepare(with_catalogue(model, live.catalogue()))
        slate = build_slate(changed, [CartLine("phone-64", 1, None, 0)], cross_sell=9, upsell=0)
        return {changed.catalogue.items[each.item] for each in slate.cross_sell}

    assert offered() & {"case-1", "new"} == {"case-1"}
    assert offered(in_stock=False) & {"case-1", "new"} == {"new"}


def test_an_item_says_where_it_can_be_offered_and_why_not(server: Server) -> None:
    with server.client(key="report-key-k3y") as reader, server.client() as client:
        case = reader.get("/v1/items/case-1").raise_for_status().json()
        assert case["offered"] == {"cross_sell": True, "upsell": False}
        assert (case["price"], case["in_stock"], case["in_model"]) == ("199.00", True, True)
        assert case["category"] == ["Accessories"]
        assert reader.get("/v1/items/phone-256").json()["offered"]["upsell"]
        assert reader.get("/v1/items/phone-64").json()["reasons"]
        client.put("/v1/items/case-1", json={"in_stock": False}).raise_for_status()
        case = reader.get("/v1/items/case-1").json()
        assert (case["in_stock"], case["active"]) == (False, True)
        assert case["reasons"] == ["out_of_stock"]
        assert case["offered"] == {"cross_sell": False, "upsell": False}
        assert reader.get("/v1/items/unheard-of").status_code == 404
        stated = {"price": "1.00", "family": "case", "attributes": {"colour": "red"}, "cost": 0.5}
        client.put("/v1/items/unheard-of", json=stated).raise_for_status()
        new = reader.get("/v1/items/unheard-of").json()
        assert (new["in_model"], new["cost"], new["attributes"]) == (
            False,
            "0.50",
            {"colour": "red"},
        )
        assert new["offered"] == {"cross_sell": True, "upsell": False}
        assert new["reasons"] == ["no_cheaper_version"]
        client.delete("/v1/items/unheard-of").raise_for_status()
        assert reader.get("/v1/items/unheard-of").status_code == 404


def test_a_new_item_is_offered_as_an_upgrade_with_what_it_gains(server: Server) -> None:
    stated = {
        "name": "Phone 512 GB",
        "price": "9990.00",
        "family": "phone",
        "attributes": {"storage_gb": "512"},
    }
    with server.client() as client, server.client(key="report-key-k3y") as reader:
        client.put("/v1/items/new-phone", json=stated).raise_for_status()
        offer = offers(client)["new-phone"]
        assert (offer["kind"], offer["unit_price"]) == ("upsell", "9990.00")
        assert offer["replaces"]["price_difference"] == "4000.00"
        assert offer["gains"] == [{"attribute": "storage_gb", "from": "64", "to": "512"}]
        assert offer["text"] == "8x the storage for 4000 NOK more"
        upsold = [item for item, each in offers(client).items() if each["kind"] == "upsell"]
        assert upsold[-1] == "new-phone"
        assert len(upsold) > 1
        assert reader.get("/v1/items/new-phone").json()["offered"]["upsell"]
        changed = {"attributes": {"storage_gb": "32"}}
        client.put("/v1/items/new-phone", json=changed).raise_for_status()
        assert "new-phone" not in offers(client)
        assert "no_known_gain" in reader.get("/v1/items/new-phone").json()["reasons"]


@pytest.mark.parametrize(
    "body", [{}, {"prices": "1"}, {"price": "-1"}, {"in_stock": "no"}, {"name": "\x1b]0;"}, []]
)
def test_what_is_no_item_changes_nothing(server: Server, body: object) -> None:
    with server.client() as client:
        answer = client.put("/v1/items/case-1", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid"
        assert offers(client)["case-1"]["unit_price"] == "199.00"


@pytest.mark.parametrize("key", ["front-key-k3y", "report-key-k3y", "admin-key-k3y"])
def test_only_a_server_key_changes_items(server: Server, key: str) -> None:
    with server.client(key=key) as client:
        changes = {"items": [{"item_id": "case-1", "in_stock": False}]}
        assert client.put("/v1/items/case-1", json={"in_stock": False}).status_code == 403
        assert client.post("/v1/items", json=changes).status_code == 403
        assert client.delete("/v1/items/case-1").status_code == 403
        expected = 403 if key == "front-key-k3y" else 200
        assert client.get("/v1/items/case-1").status_code == expected
    with server.client() as client:
        assert "case-1" in offers(client)


def test_no_worker_offers_what_was_sold_out_a_second_before(
    tmp_path: Path, fresh_database: str
) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    database = fresh_database if "://" in fresh_database else f"sqlite:///{fresh_database}"
    wrong: list[str] = []
    answers: list[int] = []
    is_over, gone = threading.Event(), set[str]()

    def ask(url: str) -> None:
        while not is_over.is_set():
            # A connection of its own, so that every worker is asked.
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                for _ in range(5):
                    before = {*gone}
                    found = {*offers(client)}
                    answers.append(len(found))
                    wrong.extend(found & before & gone)

    with running_server(tmp_path, database=database, workers=4) as server:
        askers = [threading.Thread(target=ask, args=(server.url,)) for _ in range(4)]
        for each in askers:
            each.start()
        try:
            with server.client() as client:
                for turn in range(6):
                    item = ("case-1", "glass-1")[turn % 2]
                    client.put(f"/v1/items/{item}", json={"in_stock": False}).raise_for_status()
                    time.sleep(1)
                    gone.add(item)
                    time.sleep(0.5)
                    gone.remove(item)
                    client.put(f"/v1/items/{item}", json={"in_stock": True}).raise_for_status()
        finally:
            is_over.set()
            for each in askers:
                each.join()
        assert len(answers) > 50
        assert not wrong
        with server.client() as client:
            eventually(lambda: {"case-1", "glass-1"} <= set(offers(client)))
