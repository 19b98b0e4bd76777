"""`/healthz`, `/readyz` and the end: what an orchestrator is told, and what happens then."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from engine.storage.sql import open_store
from engine.storage.store import FactScope
from tests.serving.test_metrics import CART, Client, ask
from tests.support.servers import Server, publish_model, running_server

_LIMIT_SECONDS = 45


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_health_means_that_facts_can_be_written(tmp_path: Path) -> None:
    async def calls(client: Client, app: FastAPI) -> None:
        assert (await client.get("/healthz")).status_code == 200
        # What cannot be weighed ends the thread, as an error nobody thought of would.
        app.state.service.intake._to_database._long_way.submit(None)
        for _ in range(100):
            answer = await client.get("/healthz")
            if answer.status_code == 503:
                break
            await asyncio.sleep(0.05)
        assert answer.json()["error"]["code"] == "writer_dead"

    ask(tmp_path, calls)


def test_who_is_not_ready_is_not_ill(tmp_path: Path) -> None:
    async def calls(client: Client, app: FastAPI) -> None:
        del app
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model")
        assert (await client.get("/healthz")).status_code == 200

    ask(tmp_path, calls)


def test_a_full_spool_is_told(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")

    async def calls(client: Client, app: FastAPI) -> None:
        ready = (await client.get("/readyz")).json()
        assert (ready["status"], ready["tracking"]) == ("ready", "recorded")
        assert ready["loop_lag_seconds"] < 30
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
from serving.vital_signs import VitalSigns

async def main():
    metrics = types.SimpleNamespace(hand_on=lambda: None)
    others = [types.SimpleNamespace()] * 4
    signs = VitalSigns(metrics, *others, stuck_seconds=float(sys.argv[1]))
    signs.measure = lambda: None
    task = asyncio.create_task(signs.watch())
    await asyncio.sleep(1.5)
    time.sleep(3.4)
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(("stuck_seconds", "code"), [(2, -signal.SIGKILL), (60, 0)])
def test_a_loop_that_stands_still_ends_its_process(stuck_seconds: float, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STUCK, str(stuck_seconds)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("stands still" in done.stderr) == (code != 0)
    if code:
        assert "main" in done.stderr  # where it stands is told


class Shopper(threading.Thread):
    """Asks again and again; notes when each call began and what became of it."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._server, self._number = server, number
        self.enough = threading.Event()
        self.answered: list[tuple[float, dict[str, str]]] = []
        self.failed_at: float | None = None
        self.why = ""

    def run(self) -> None:
        with self._server.client(timeout=30) as client:
            for visit in range(10_000):
                if self.enough.is_set():
                    return
                name = f"{self._number}-{visit}"
                cart = {**CART, "checkout_id": name, "session_id": name}
                began = time.monotonic()
                try:
                    answer = client.post("/v1/suggestions", json=cart)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    self.failed_at, self.why = began, repr(error)
                    return
                self.answered.append((began, answer.json()))


def kept(folder: Path) -> Counter[str]:
    store = open_store(f"sqlite:///{folder / 'facts.db'}")
    try:
        return Counter(fact.event_id for fact in store.facts(FactScope()))
    finally:
        store.close()


def test_told_to_stop_it_finishes_what_has_begun(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path, deadline_ms=20_000) as server:
        shoppers = [Shopper(server, number) for number in range(6)]
        for shopper in shoppers:
            shopper.start()
        until = time.monotonic() + 30
        while min(len(each.answered) for each in shoppers) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        # Everybody is now held up in the middle of a call, and then the end is announced.
        other = sqlite3.connect(tmp_path / "facts.db", isolation_level=None, timeout=10)
        other.execute("begin immediate")
        time.sleep(0.7)
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        other.execute("rollback")
        other.close()
        assert server.process.wait(_LIMIT_SECONDS) == 0
        assert time.monotonic() - told < _LIMIT_SECONDS
        for shopper in shoppers:
            shopper.enough.set()
            shopper.join(30)
    facts = kept(tmp_path)
    for shopper in shoppers:
        assert shopper.failed_at is None or shopper.failed_at > told, shopper.why
        assert shopper.answered[-1][0] < told  # it was held up in this one
        for _, answer in shopper.answered:
            assert answer["tracking"] == "recorded"
            assert facts[answer["decision_id"]] == 1
    assert "Traceback" not in server.said


def test_told_to_stop_it_says_so_before_it_ends(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path, environment={"MERSALG_DRAIN_SECONDS": "4"}) as server:
        with server.client() as client:
            assert client.get("/readyz").status_code == 200
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            until = told + 10
            while (answer := client.get("/readyz")).status_code == 200:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert answer.json()["error"]["code"] == "stopping"
            assert client.get("/healthz").status_code == 200
            late = client.post("/v1/suggestions", json=CART)
            assert late.json()["tracking"] == "recorded"
            assert time.monotonic() - told < 4, "the machine is too slow to tell"
        assert server.process.wait(_LIMIT_SECONDS) == 0
        assert time.monotonic() - told > 3.9
    assert kept(tmp_path)[late.json()["decision_id"]] == 1
