"""Which instants events may state: a page's clock is often wrong, and strangers have its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine import clock
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from tests.support.commands import run
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

KEYS = "storefront:front-key-k3y server:server-key-k3y report:report-key-k3y"
SECRET = b"a secret of the tests, long enough"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("instants")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder, keys=KEYS, environment={"MERSALG_SECRET": SECRET.decode()}) as own:
        yield own


def ago(**duration: float) -> str:
    return (datetime.now(UTC) - timedelta(**duration)).isoformat()


def view(event_id: str, occurred_at: str) -> dict[str, Any]:
    return {
        "type": "view_promotion",
        "event_id": event_id,
        "occurred_at": occurred_at,
        "offer_id": "off_of_nobody",
    }


def sent(server: Server, key: str, *events: dict[str, Any]) -> dict[str, Any]:
    with server.client(key=key) as client:
        return client.post("/v1/events", json={"events": events}).json()


def database_of(server: Server) -> str:
    return f"sqlite:///{server.log.parent / 'facts.db'}"


def stored(server: Server) -> dict[str, Any]:
    store = open_store(database_of(server), secret=SECRET)
    found = {fact.event_id.rpartition("/")[2]: fact for fact in store.facts.read(FactScope())}
    store.close()
    return found


def impossible() -> list[str]:
    return [
        *(ago(days=2, minutes=1), ago(hours=-1), ago(days=20_000)),
        *("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "1970-01-01T00:00:00+00:00"),
    ]


def test_what_a_page_dates_beyond_the_bounds_gets_its_time_of_arrival(server: Server) -> None:
    possible = [view("p0", ago(days=1, hours=23)), view("p1", ago(minutes=-4))]
    wrong = [view(f"w{number}", instant) for number, instant in enumerate(impossible())]
    before = clock.now()
    answer = sent(server, "front-key-k3y", *possible, *wrong)
    assert (answer["recorded"], answer["rejected"]) == (8, [])
    facts, after = stored(server), clock.now()
    for event in possible:
        fact = facts[event["event_id"]]
        assert (parse_instant(event["occurred_at"]), None) == (
            fact.occurred_at,
            fact.stated_at,
        )
    for event in wrong:
        fact = facts[event["event_id"]]
        assert before <= fact.occurred_at <= after
        assert fact.stated_at == parse_instant(event["occurred_at"])
    again = sent(server, "front-key-k3y", *wrong)
    assert (again["recorded"], again["duplicates"], again["rejected"]) == (0, 6, [])
    other = sent(server, "front-key-k3y", view("w0", ago(days=9)))
    assert [each["code"] for each in other["rejected"]] == ["conflict"]
    with server.client(key="report-key-k3y") as reader:
        quality = reader.get("/v1/reports/rates").json()["quality"]
    assert quality["dated_on_arrival"] == 6


def test_a_server_is_refused_what_it_dates_beyond_the_bounds(server: Server) -> None:
    possible = [view("s0", ago(days=3 * 365)), view("s1", ago(hours=-23))]
    wrong = [view(f"r{number}", ago(days=days)) for number, days in enumerate((1_100, -1.1))]
    answer = sent(server, "server-key-k3y", *possible, *wrong)
    assert answer["recorded"] == 2
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [
        (2, "out_of_bounds"),
        (3, "out_of_bounds"),
    ]
    assert "events import" in answer["rejected"][0]["message"]


def test_nobody_states_over_http_that_an_instant_was_changed(server: Server) -> None:
    event = {**view("h0", ago(hours=1)), "stated_at": ago(days=900)}
    assert sent(server, "front-key-k3y", event)["recorded"] == 1
    assert stored(server)["h0"].stated_at is None


def test_export_and_import_keep_what_was_stated_and_imports_any_instant(
    tmp_path: Path, server: Server
) -> None:
    sent(server, "front-key-k3y", view("e0", ago(days=100)))
    ancient = view("a0", "1903-01-01T00:00:00+00:00")
    exported, other = tmp_path / "facts.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    run("events", "export", "--out", exported, "--database", database_of(server))
    with exported.open("a") as lines:
        lines.write(f"{json.dumps(ancient)}\n")
    run("events", "import", exported, "--database", other)
    store: Store = open_store(other)
    found = {fact.event_id.rpartition("/")[2]: fact for fact in store.facts.read(FactScope())}
    store.close()
    own = stored(server)["e0"]
    assert found["e0"] == own
    assert own.stated_at is not None
    assert found["a0"].occurred_at == parse_instant("1903-01-01T00:00:00+00:00")
