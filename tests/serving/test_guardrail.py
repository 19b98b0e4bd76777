"""A paused service answers every checkout and offers nothing, until somebody resumes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from typer.testing import CliRunner

from mersalg.engine import clock
from mersalg.engine.facts import Decision
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.guardrail import pause, resume, state_of
from mersalg.serving.cli.main import app
from tests.engine.tracking.test_guardrail import checkouts
from tests.serving.test_live_shop import KEYS
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]
FAST = {"MERSALG_GUARDRAIL_SECONDS": "0.3", "MERSALG_GUARDRAIL_POLL_SECONDS": "0.2"}


def offers_of(server: Server, checkout: str) -> list[Any]:
    """Of a session in the treatment arm."""
    with server.client() as client:
        for number in range(50):
            cart = {"checkout_id": f"{checkout}-{number}", "session_id": f"{checkout}-{number}"}
            response = client.post("/v1/suggestions", json={**cart, "lines": LINES})
            assert response.status_code == 200
            answer = response.json()
            if answer["arm"] == "treatment":
                return list(answer["offers"])
    raise AssertionError("fifty sessions, none of them in treatment")


def pauses(server: Server) -> tuple[int, int]:
    """How many workers said that offers are paused, and that they are made again."""
    return server.said.count("offers are paused"), server.said.count("offers are made again")


def readiness(server: Server) -> Any:
    with server.client() as client:
        return client.get("/readyz").json()


def mersalg(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_planted_harm_pauses_every_worker_and_resuming_offers_again(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    database = str(tmp_path / "facts.db")
    with running_server(tmp_path, workers=2, environment=FAST) as server:
        assert offers_of(server, "before")
        store = open_store(database)
        state = eventually(lambda: state_of(store))
        assert state is not None
        store.facts.append(checkouts(state.since + 1, 3_000, treated=0.5, untreated=0.8))
        eventually(lambda: pauses(server) == (2, 0))  # by either worker
        reported = readiness(server)
        assert "less often" in reported["paused"]
        assert reported["status"] == "degraded"
        assert offers_of(server, "paused") == []
        with server.client() as client:
            assert "mersalg_paused 1.0" in client.get("/metrics").text
            assert "Offers are paused" in client.get("/dashboard").text
        recorded = [
            fact
            for fact in store.facts.read(FactScope())
            if str(fact.checkout_id).startswith("paused")
        ]
        assert recorded, "decisions are kept while nothing is offered"
        seen = mersalg("guardrail", "status", "--database", database)
        assert seen["paused"] == reported["paused"]
        assert seen["completion"]["cross_sell"]["upper"] < 0
        resume(store, state.since + 4_000 * 60_000_000)  # after all that was planted
        eventually(lambda: pauses(server) == (2, 2))
        assert readiness(server)["paused"] is None
        assert offers_of(server, "after")
        store.close()


def test_somebody_pauses_and_resumes(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    database = str(tmp_path / "facts.db")
    with running_server(tmp_path, environment=FAST) as server:
        assert readiness(server)["paused"] is None
        reported = mersalg("guardrail", "pause", "--why", "stocktaking", "--database", database)
        assert reported["paused"] == "stocktaking"
        eventually(lambda: pauses(server) == (1, 0))
        assert offers_of(server, "paused") == []
        assert mersalg("guardrail", "resume", "--database", database)["paused"] is None
        eventually(lambda: pauses(server) == (1, 1))
        assert offers_of(server, "after")


def test_an_administrator_resumes_from_the_dashboard(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    database = str(tmp_path / "facts.db")
    store = open_store(database)
    store.migrate()
    pause(store, "stocktaking", clock.now())
    store.close()
    with (
        running_server(tmp_path, workers=2, environment=FAST, keys=KEYS) as server,
        server.client() as reporter,
        server.client() as admin,
    ):
        eventually(lambda: pauses(server) == (2, 0))
        for client, key in ((reporter, "report-key-k3y"), (admin, "admin-key-k3y")):
            client.post("/dashboard/login", data={"key": key})
        page = reporter.get("/dashboard/models?lang=en").text
        assert "stocktaking" in page
        assert "/dashboard/resume" not in page
        page = admin.get("/dashboard/models?lang=en").text
        assert "Publish the version before" in page
        assert admin.post("/dashboard/resume").status_code == 403
        token = re.search(r'resume"><input type="hidden" name="token" value="(\w+)"', page)
        assert token is not None
        form = {"token": token[1], "back": "/dashboard/models?lang=en"}
        answer = admin.post("/dashboard/resume", data=form, follow_redirects=True)
        assert "Offers are made again." in answer.text
        eventually(lambda: pauses(server) == (2, 2))
        store = open_store(database)
        newest = store.audit.latest(1)[0]
        state = state_of(store)
        store.close()
        assert (newest.action, newest.outcome) == ("resume offers", "done")
        assert newest.who.startswith("key:")
        assert state is not None
        assert state.paused is None


def test_harm_that_nobody_vouches_for_asks_a_person_and_pauses_nothing(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    database = str(tmp_path / "facts.db")
    with running_server(tmp_path, environment=FAST) as server:
        store = open_store(database)
        state = eventually(lambda: state_of(store))
        assert state is not None
        planted = checkouts(state.since + 1, 3_000, treated=0.5, untreated=0.8)
        store.facts.append(
            [
                replace(fact, scope="storefront") if isinstance(fact, Decision) else fact
                for fact in planted
            ]
        )
        eventually(lambda: "offers are not paused, but look at them" in server.said)
        with server.client() as client:
            assert "mersalg_guardrail_asks 1.0" in client.get("/metrics").text
            assert "The guardrail asks a person" in client.get("/dashboard").text
        assert readiness(server)["paused"] is None
        assert offers_of(server, "after")
        seen = mersalg("guardrail", "status", "--database", database)
        assert (seen["paused"], "less often" in seen["asked"]) == (None, True)
        assert mersalg("guardrail", "resume", "--database", database)["asked"] is None
        store.close()
