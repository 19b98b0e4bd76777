"""What was acknowledged is kept, exactly once: through crashes, outages, restarts and swaps."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import httpx
import pytest

from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.engine.registry import Registry
from tests.support.kept_facts import is_empty, kept_facts
from tests.support.metrics import metric
from tests.support.models import tiny_model
from tests.support.postgres import PostgresServer
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]


class Load:
    """Shoppers in threads of their own; notes every answer, and every failure."""

    def __init__(self, server: Server, n_threads: int = 4) -> None:
        self.answers: list[dict[str, str]] = []
        self.failures: list[str] = []
        self._server = server
        self._enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._shop, args=(number,)) for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def _shop(self, number: int) -> None:
        with self._server.client() as client:
            for visit in range(100_000):
                if self._enough.is_set():
                    return
                cart = {"checkout_id": f"{number}-{visit}", "session_id": f"{number}-{visit}"}
                try:
                    response = client.post("/v1/suggestions", json={**cart, "lines": LINES})
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    return
                if response.status_code == 200:
                    self.answers.append(response.json())
                else:
                    self.failures.append(response.text)

    def stop(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def wait_for(self, n_answers: int) -> None:
        eventually(lambda: len(self.answers) >= n_answers)


def test_a_service_asked_to_stop_finishes_first(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path) as server:
        load = Load(server)
        load.wait_for(50)
        assert server.stop() == 0
        load.stop()
    kept = kept_facts(f"sqlite:///{tmp_path / 'facts.db'}")
    assert all(answer["tracking"] == "recorded" for answer in load.answers)
    assert all(kept[answer["decision_id"]] == 1 for answer in load.answers)
    assert "Traceback" not in server.said


def test_a_new_model_is_taken_without_a_failed_request(tmp_path: Path) -> None:
    first = publish_model(tmp_path / "models")
    with running_server(tmp_path) as server:
        load = Load(server, n_threads=2)
        load.wait_for(20)
        second = publish_model(tmp_path / "models", tiny_model(holdout=0.2))
        eventually(lambda: load.answers[-1]["model_version"] == second)
        load.stop()
        assert load.failures == []
        assert {answer["model_version"] for answer in load.answers} == {first, second}


def test_a_broken_version_leaves_the_old_one_serving(tmp_path: Path) -> None:
    models = tmp_path / "models"
    first = publish_model(models)
    with running_server(tmp_path, key=None) as server, server.client() as client:
        second = Registry(models).write(tiny_model(), {})
        file = next((models / second).glob("*.npy"))
        (models / "current.json").write_text(
            (models / "current.json").read_text().replace(first, second)
        )
        file.unlink()
        eventually(lambda: client.get("/readyz").json().get("model_problem") is not None)
        assert client.get("/readyz").json()["status"] == "degraded"
        answer = client.post("/v1/suggestions", json={"checkout_id": "x", "lines": LINES}).json()
        assert answer["model_version"] == first
        assert "mersalg_model_load_failures_total 1.0" in client.get("/metrics").text


def test_without_a_model_it_answers_and_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client() as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["error"]["code"] == "no_model"
        answer = client.post("/v1/suggestions", json={"checkout_id": "x", "lines": LINES}).json()
        assert (answer["offers"], answer["model_version"]) == ([], None)
        assert answer["tracking"] == "recorded"
        version = publish_model(tmp_path / "models")
        eventually(lambda: client.get("/readyz").status_code == 200)
        answer = client.post("/v1/suggestions", json={"checkout_id": "y", "lines": LINES}).json()
        assert answer["model_version"] == version


def test_logging_in_never_changes_the_arm_whichever_worker_answers(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.5))

    def arm(customer: str | None, session: str | None) -> str:
        return assign_arm(unit_of(customer, session), salt="tiny", holdout=0.5)

    session = next(f"s-{n}" for n in range(99) if arm(None, f"s-{n}") == "control")
    customer = next(f"c-{n}" for n in range(99) if arm(f"c-{n}", None) == "treatment")
    with running_server(tmp_path, workers=2) as server:

        def ask(**ids: str) -> str:
            with server.client() as client:  # a new connection, for either worker
                cart = {"checkout_id": "x", "lines": LINES, **ids}
                return str(client.post("/v1/suggestions", json=cart).json()["arm"])

        assert ask(session_id=session) == "control"
        for _ in range(6):
            assert ask(session_id=session, customer_id=customer) == "control"
        assert ask(session_id="another", customer_id=customer) == "treatment"
        with server.client() as client:
            eventually(
                lambda: (
                    'mersalg_decisions_total{tracking="recorded"} 8.0'
                    in client.get("/metrics").text
                )
            )


@pytest.mark.postgres
def test_an_outage_of_the_database_defers_and_is_made_up_for(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.new_database()
    secret = {"MERSALG_SECRET": "0123456789abcdef0123456789abcdef"}
    publish_model(tmp_path / "models")
    acknowledged: list[str] = []

    def ask(client: httpx.Client, number: int) -> str:
        cart = {"checkout_id": f"ch-{number}", "session_id": f"s-{number}", "lines": LINES}
        answer = client.post("/v1/suggestions", json=cart).json()
        acknowledged.append(answer["decision_id"])
        return str(answer["tracking"])

    event = {
        "type": "view_promotion",
        "event_id": "outage",
        "occurred_at": "2026-03-02T10:00:05+01:00",
        "offer_id": "of_1",
    }
    with (
        running_server(tmp_path, database=url, environment=secret) as server,
        server.client() as client,
    ):
        assert ask(client, 0) == "recorded"
        own_postgres_server.stop()
        assert [ask(client, number) for number in range(1, 6)] == ["deferred"] * 5
        eventually(lambda: client.get("/readyz").json()["database"] == "away")
        asked_before = metric(client, "mersalg_degraded_total", reason="database_away")
        assert ask(client, 6) == "deferred"
        # A known outage is not waited for: nothing was asked of the database, nothing was late.
        asked = metric(client, "mersalg_degraded_total", reason="database_away")
        assert asked == asked_before + 1
        assert metric(client, "mersalg_degraded_total", reason="deadline") == 0
        refused = client.post("/v1/events", json={"events": [event]})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "storage_unavailable"
        assert refused.headers["retry-after"]
        assert client.get("/readyz").status_code == 200  # buyers can still be served

        own_postgres_server.start()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        eventually(lambda: is_empty(tmp_path / "spool"))
        numbers = count(7)
        eventually(lambda: ask(client, next(numbers)) == "recorded")
        answer = client.post("/v1/events", json={"events": [event]}).json()
        assert (answer["recorded"], answer["duplicates"]) == (1, 0)
        # What was asked before the database was trusted again may have gone to the spool too.
        eventually(lambda: is_empty(tmp_path / "spool"))
        with server.client() as reader:
            for decision_id in acknowledged:
                assert reader.get(f"/v1/decisions/{decision_id}").status_code == 200


@pytest.mark.postgres
def test_it_starts_while_the_database_is_away(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.new_database()
    own_postgres_server.stop()
    publish_model(tmp_path / "models")
    secret = {"MERSALG_SECRET": "0123456789abcdef0123456789abcdef"}
    with (
        running_server(tmp_path, database=url, environment=secret) as server,
        server.client() as client,
    ):
        cart = {"checkout_id": "x", "lines": LINES}
        answer = client.post("/v1/suggestions", json=cart).json()
        assert answer["tracking"] == "deferred"
        assert answer["offers"]
        own_postgres_server.start()
        path = f"/v1/decisions/{answer['decision_id']}"
        eventually(lambda: client.get(path).status_code == 200)
