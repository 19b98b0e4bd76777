"""`/healthz`, `/readyz` and the end: what an orchestrator is told, and what happens then."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.serving.test_metrics import CART, Client, ask
from tests.support.kept_facts import is_empty, kept_facts
from tests.support.metrics import metric
from tests.support.models import tiny_model
from tests.support.processes import children_of
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually, eventually_async


class WeighedHere:
    """A job that only the thread which made it can weigh."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __len__(self) -> int:
        if threading.get_ident() != self._thread:
            raise ValueError("no weight in this thread")
        return 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_health_means_that_facts_can_be_written(tmp_path: Path) -> None:
    async def calls(client: Client, app: FastAPI) -> None:
        assert (await client.get("/healthz")).status_code == 200
        # What the thread cannot weigh ends it, as an error nobody thought of would.
        app.state.service.intake._to_database.submit(WeighedHere())
        await eventually_async(lambda: not app.state.service.intake.is_alive)
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "writer_dead")

    ask(tmp_path, calls)


def test_who_is_not_ready_is_not_ill(tmp_path: Path) -> None:
    async def calls(client: Client, app: FastAPI) -> None:
        del app
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model")
        assert (await client.get("/healthz")).status_code == 200

    ask(tmp_path, calls)


def test_strangers_see_no_paths(tmp_path: Path) -> None:
    version = publish_model(tmp_path / "models")
    for manifest in (tmp_path / "models").rglob("manifest.json"):
        manifest.write_text("{")
    with running_server(tmp_path, keys="storefront:front-key report:report-key") as server:
        for key in (None, "front-key", "unknown"):
            with server.client(key=key) as client:
                answer = client.get("/readyz")
            assert answer.status_code == 503
            assert version not in answer.text
            assert str(tmp_path) not in answer.text
        with server.client(key="report-key") as client:
            assert version in client.get("/readyz").json()["error"]["message"]


def test_a_full_spool_is_reported(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))

    async def calls(client: Client, app: FastAPI) -> None:
        ready = (await client.get("/readyz")).json()
        assert (ready["status"], ready["tracking"]) == ("ready", "recorded")
        assert ready["loop_lag_seconds"] >= 0
        app.state.service.store.close()
        (tmp_path / "facts.db").unlink()
        (tmp_path / "facts.db").mkdir()
        suggested = (await client.post("/v1/suggestions", json=CART)).json()
        assert (suggested["tracking"], bool(suggested["offers"])) == ("off", True)
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["status"] == "degraded"
        assert (answer.json()["database"], answer.json()["tracking"]) == ("away", "off")

    ask(tmp_path, calls, spool_limit_bytes=0)


_STUCK = """
import asyncio, sys, time, types
from mersalg.serving.watchdog import Watchdog

async def main():
    metrics = types.SimpleNamespace(hand_on=lambda: None)
    others = [types.SimpleNamespace()] * 4
    signs = Watchdog(metrics, *others, stuck_seconds=float(sys.argv[1]))
    measured = asyncio.Event()
    loop = asyncio.get_running_loop()
    signs.measure = lambda: loop.call_soon_threadsafe(measured.set)
    task = asyncio.create_task(signs.watch())
    await measured.wait()
    time.sleep(float(sys.argv[2]))
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("stuck_seconds", "stands_still", "code"),
    [(2, WAIT_SECONDS, -signal.SIGKILL), (10 * WAIT_SECONDS, 3.4, 0)],
)
def test_a_loop_that_stands_still_ends_its_process(
    stuck_seconds: float, stands_still: float, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STUCK, str(stuck_seconds), str(stands_still)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=2 * WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("is blocked" in done.stderr) == (code != 0)
    if code:
        assert "main" in done.stderr  # where it stands is told


class Shopper(threading.Thread):
    """Asks again and again; notes the answers, and whether a call failed."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._server, self._number = server, number
        self.enough = threading.Event()
        self.n_begun = 0
        self.answers: list[dict[str, str]] = []
        self.problem: str | None = None

    def run(self) -> None:
        with self._server.client() as client:
            while not self.enough.is_set():
                self.n_begun += 1
                name = f"{self._number}-{self.n_begun}"
                cart = {**CART, "checkout_id": name, "session_id": name}
                try:
                    answer = client.post("/v1/suggestions", json=cart)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    self.problem = repr(error)
                    return
                self.answers.append(answer.json())


def in_the_middle(client: httpx.Client) -> float:
    """Count the suggestion calls that are decided and wait for the database."""
    name = "mersalg_part_seconds_count"
    decided = metric(client, name, part="decide")
    return decided - metric(client, name, part="record")


def test_a_service_that_is_stopped_finishes_what_has_begun(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    shoppers: list[Shopper] = []
    with running_server(tmp_path, environment={"TMPDIR": str(temporary)}) as server:
        try:
            for number in range(6):
                shoppers.append(Shopper(server, number))
                shoppers[-1].start()
            eventually(lambda: min(len(each.answers) for each in shoppers) >= 3)
            # Everybody is held up in the middle of a call, and then the end is announced.
            other = sqlite3.connect(
                tmp_path / "facts.db", isolation_level=None, timeout=WAIT_SECONDS
            )
            other.execute("begin immediate")
            with server.client() as client:
                eventually(lambda: in_the_middle(client) == len(shoppers))
            begun = [shopper.n_begun for shopper in shoppers]
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: list(temporary.glob("mersalg-run-*/stopping")))
            other.execute("rollback")
            other.close()
            assert server.process.wait(WAIT_SECONDS) == 0
        finally:
            for shopper in shoppers:
                shopper.enough.set()
                shopper.join(WAIT_SECONDS)
    assert "Traceback" not in server.said
    with running_server(tmp_path):
        # Where the lock was held for longer than SQLite waits for it, facts went to the spool.
        eventually(lambda: is_empty(tmp_path / "spool"))
    facts = kept_facts(f"sqlite:///{tmp_path / 'facts.db'}")
    for shopper, n_begun in zip(shoppers, begun, strict=True):
        assert len(shopper.answers) >= n_begun, shopper.problem
        for answer in shopper.answers:
            assert answer["tracking"] in ("recorded", "deferred")
            assert facts[answer["decision_id"]] == 1


def test_a_service_that_is_stopped_says_so_before_it_ends(tmp_path: Path) -> None:
    """It goes on for the time it is given, or until it is told a second time."""
    publish_model(tmp_path / "models")
    with running_server(tmp_path, environment={"MERSALG_DRAIN_SECONDS": "600"}) as server:
        with server.client() as client:
            assert client.get("/readyz").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: client.get("/readyz").status_code == 503)
            assert client.get("/readyz").json()["error"]["code"] == "stopping"
            assert client.get("/healthz").status_code == 200
            late = client.post("/v1/suggestions", json=CART)
            assert late.json()["tracking"] == "recorded"
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT_SECONDS) == 0
    assert kept_facts(f"sqlite:///{tmp_path / 'facts.db'}")[late.json()["decision_id"]] == 1
    with running_server(tmp_path, environment={"MERSALG_DRAIN_SECONDS": "0.5"}) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT_SECONDS) == 0


def test_a_worker_that_is_being_started_ends_too(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path) as server:
        (worker,) = children_of(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: set(children_of(server.process.pid)) - {worker})
        assert server.stop() == 0
    assert "refused to gracefully stop" not in server.said
