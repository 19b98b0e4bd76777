"""What administrators did is noted, whichever door they came through."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mersalg.engine import clock
from mersalg.engine.errors import ModelNotFound
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import Store, open_store
from mersalg.serving.keys import digest_of
from mersalg.serving.spool import Spool, deliver, pack_audit
from tests.support.commands import run
from tests.support.kept_facts import is_empty
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

KEYS = "storefront:front-key server:server-key report:report-key admin:admin-key"


@pytest.fixture
def store(fresh_database: str) -> Iterator[Store]:
    store = open_store(fresh_database, secret=b"a secret of the tests, long enough")
    store.migrate()
    yield store
    store.close()


def test_entries_come_back_newest_first_on_one_line(store: Store) -> None:
    for number in range(5):
        store.audit.add(AuditEntry(number, "key:a", "publish", f"v{number}\n\x1b[31m", "done"))
    latest = store.audit.latest(3)
    assert [entry.occurred_at for entry in latest] == [4, 3, 2]
    assert latest[0].target == "v4??[31m"
    store.audit.add(AuditEntry(9, "w" * 10_000, "x", None, "done"))
    assert len(store.audit.latest(1)[0].who) == 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("audited")
    publish_model(folder / "models")
    with running_server(folder, keys=KEYS, key="admin-key") as server:
        yield server


def entries(client: httpx.Client) -> list[dict[str, object]]:
    answer = client.get("/v1/audit", params={"limit": 1000})
    assert answer.status_code == 200
    return answer.json()["entries"]


def test_actions_over_http_are_noted_with_key_target_and_outcome(server: Server) -> None:
    admin_id = f"key:{digest_of('admin-key').hex()[:12]}"
    with server.client() as client:
        version = client.get("/v1/models").json()["published"]
        begun = clock.now()
        client.post(f"/v1/models/{version}/publish").raise_for_status()
        assert client.post("/v1/models/no-such-version/publish").status_code == 404
        assert client.post("/v1/models/rollback").status_code == 404
        client.get("/v1/customers/kari.nordmann").raise_for_status()
        client.delete("/v1/customers/kari.nordmann").raise_for_status()
        found = entries(client)[:5][::-1]
    reported = [(entry["who"], entry["action"], entry["outcome"]) for entry in found]
    assert reported == [
        (admin_id, "publish", "done"),
        (admin_id, "publish", "failed: model_not_found"),
        (admin_id, "roll back", "failed: model_not_found"),
        (admin_id, "export customer", "done"),
        (admin_id, "erase customer", "done"),
    ]
    assert [entry["target"] for entry in found[:2]] == [version, "no-such-version"]
    assert str(found[4]["target"]).startswith("p1.")
    assert found[3]["target"] == found[4]["target"]
    assert all(parse_instant(str(entry["occurred_at"])) >= begun for entry in found)
    assert "kari" not in server.said


def test_guesses_of_keys_are_noted(server: Server) -> None:
    with server.client(key="a guess") as stranger:
        for _ in range(10):
            assert stranger.get("/v1/audit").status_code == 401

    def noted() -> bool:
        with server.client() as client:
            found = {entry["action"]: entry for entry in entries(client)}.get("guess keys", {})
        return (found.get("who"), found.get("outcome")) == ("address:127.0.0.1", "10 unknown")

    eventually(noted)
    assert "10 unknown keys came from 127.0.0.1" in server.said


def test_only_administrators_read_it(server: Server) -> None:
    for key, status in (("front-key", 403), ("server-key", 403), ("report-key", 403)):
        with server.client(key=key) as client:
            assert client.get("/v1/audit").status_code == status


def test_actions_from_the_command_line_are_noted(tmp_path: Path) -> None:
    database = tmp_path / "facts.db"
    store = open_store(str(database))
    store.migrate()
    store.close()
    run("guardrail", "pause", "--database", database, "--why", "a test")
    run("guardrail", "resume", "--database", database)
    run("customers", "erase", "kari", "--database", database)
    run("customers", "export", "kari", "--database", database)
    run("retention", "--database", database)
    reported = json.loads(run("audit", "--database", database, "--json"))["entries"]
    assert [entry["action"] for entry in reported][::-1] == [
        *("pause offers", "resume offers", "erase customer", "export customer", "drop facts")
    ]
    assert all(str(entry["who"]).startswith("user:") for entry in reported)
    assert "kari" not in run("audit", "--database", database)


def test_versions_and_keys_changed_from_the_command_line_are_noted(tmp_path: Path) -> None:
    database, models, keys = (tmp_path / name for name in ("facts.db", "models", "keys"))
    store = open_store(str(database))
    store.migrate()
    store.close()
    first, second = publish_model(models), publish_model(models)
    reported = ("--database", database)
    run("models", "publish", first, "--models", models, *reported)
    with pytest.raises(ModelNotFound):
        run("models", "publish", "no-such-version", "--models", models, *reported)
    run("models", "rollback", "--models", models, *reported)
    made = json.loads(run("keys", "create", "report", "--file", keys, *reported, "--json"))
    run("keys", "revoke", made["id"], "--file", keys, *reported)
    run("keys", "create", "report", "--file", keys)
    noted = json.loads(run("audit", "--database", database, "--json"))["entries"][::-1]
    key = f"report {made['id']}"
    assert [(each["action"], each["target"], each["outcome"]) for each in noted] == [
        ("publish", first, "done"),
        ("publish", "no-such-version", "failed: model_not_found"),
        ("roll back", second, "done"),
        ("create key", key, "done"),
        ("revoke key", key, "done"),
    ]
    assert made["key"] not in json.dumps(noted)


def test_what_cannot_be_noted_is_done_all_the_same(tmp_path: Path) -> None:
    keys, nowhere = tmp_path / "keys", tmp_path / "nowhere.db"
    run("keys", "create", "report", "--file", keys, "--database", nowhere)
    assert "report" in run("keys", "list", "--file", keys)
    assert not nowhere.exists()


def test_late_entries_are_added_once(store: Store) -> None:
    first = AuditEntry(1, "key:a", "publish", "v1", "done")
    rolled = AuditEntry(1, "key:a", "roll back", None, "done")
    store.audit.add(first)
    store.audit.add_late([first, rolled])
    store.audit.add_late([rolled, replace(first, occurred_at=2)])
    assert sorted(entry.occurred_at for entry in store.audit.latest(9)) == [1, 1, 2]


def test_what_is_done_while_the_database_is_locked_is_noted_afterwards(tmp_path: Path) -> None:
    version = publish_model(tmp_path / "models")
    hasty = f"sqlite:///{tmp_path / 'facts.db'}?timeout=0.2"
    with running_server(tmp_path, database=hasty) as server, server.client() as client:
        with sqlite3.connect(tmp_path / "facts.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            client.post(f"/v1/models/{version}/publish").raise_for_status()
            assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".spool"]
            other.execute("ROLLBACK")
        other.close()
        eventually(lambda: is_empty(tmp_path / "spool"))
        reported = [
            (entry["action"], entry["target"], entry["outcome"]) for entry in entries(client)
        ]
        assert reported == [("publish", version, "done")]


@pytest.mark.parametrize("record", [b'{"audit":{"who":1}}', b'{"audit":[]}', b'{"audit":'])
def test_records_that_are_no_entries_are_set_aside(
    store: Store, tmp_path: Path, record: bytes
) -> None:
    spool = Spool(tmp_path / "spool", 1_000_000)
    entry = AuditEntry(1, "key:a", "publish", None, "done")
    spool.append([record, pack_audit(entry)])
    spool.replay(lambda records: deliver(records, spool, store))
    assert store.audit.latest(9) == [entry]
    assert [path.read_bytes() for path in (tmp_path / "spool").iterdir()] == [record]
