"""A database that hangs is given up and reached anew; a service that ends leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI

from tests.serving.test_metrics import CART, Client, ask
from tests.serving.test_outages import SECRET, Buyers, processes_of
from tests.support.forked_commands import fork_command
from tests.support.kept_facts import is_empty
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import PostgresServer
from tests.support.processes import children_of
from tests.support.servers import publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually, eventually_async


@contextmanager
def stopped_backends(url: str) -> Iterator[None]:
    """Halt the processes of PostgreSQL that serve a database now; others can be begun."""
    with psycopg.connect(url) as own:
        others = "select pid from pg_stat_activity where datname = current_database()"
        pids = [pid for (pid,) in own.execute(others) if pid != own.info.backend_pid]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.postgres
def test_connections_that_hang_are_given_up_and_made_anew(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.new_database()
    publish_model(tmp_path / "models")
    with (
        running_server(
            tmp_path, database=url, deadline_ms=300, environment={"MERSALG_SECRET": SECRET}
        ) as server,
        server.client() as client,
    ):
        buyers = Buyers(client)
        buyers.ask_until("recorded")
        assert client.get("/readyz").json()["database"] == "up"
        with stopped_backends(url):
            assert buyers.ask(customer_id="c") == "deferred"
            # They stay halted: what is recorded went over another connection.
            buyers.ask_until("recorded")
            eventually(lambda: client.get("/readyz").json()["status"] == "ready")
            eventually(lambda: is_empty(tmp_path / "spool"))
    assert "Traceback" not in server.said
    buyers.are_kept_once(url, SECRET.encode())


@pytest.mark.postgres
def test_a_service_behind_pgbouncer_in_transaction_mode(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """With fewer servers than connections, each transaction may come to another one."""
    url = postgres_server.new_database()
    publish_model(tmp_path / "models")
    with (
        pgbouncer(postgres_server, url, n_servers=2) as behind,
        running_server(
            tmp_path, database=behind, workers=2, environment={"MERSALG_SECRET": SECRET}
        ) as server,
        server.client() as client,
    ):
        buyers = Buyers(client)
        buyers.ask_until("recorded")
        assert {buyers.ask(customer_id=f"c-{n % 7}") for n in range(60)} == {"recorded"}
        period = {"from": "2020-01-01", "to": "2030-01-01"}
        client.get("/v1/reports/rates", params=period).raise_for_status()
        assert client.get("/readyz").json()["status"] == "ready"
    assert "prepared statement" not in server.said
    assert "Traceback" not in server.said
    buyers.are_kept_once(url, SECRET.encode())


def put_folder_in_place_of(file: Path) -> None:
    """Replace a file by a folder, and try again where the service wrote the file in between."""
    while not file.is_dir():
        file.unlink(missing_ok=True)
        with suppress(FileExistsError):
            file.mkdir()


def test_a_service_that_can_keep_nothing_is_ill_and_one_that_defers_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mersalg.serving.intake._UNHEALTHY_SECONDS", 0.0)
    publish_model(tmp_path / "models")

    async def lose_database(client: Client, app: FastAPI) -> str:
        app.state.service.store.close()
        put_folder_in_place_of(tmp_path / "facts.db")
        return (await client.post("/v1/suggestions", json=CART)).json()["tracking"]

    async def full(client: Client, app: FastAPI) -> None:
        assert await lose_database(client, app) == "off"
        await eventually_async(lambda: app.state.service.intake.is_lost)
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "nothing_kept")
        (tmp_path / "facts.db").rmdir()
        await eventually_async(lambda: not app.state.service.intake.is_lost)
        assert (await client.get("/healthz")).status_code == 200

    async def deferring(client: Client, app: FastAPI) -> None:
        assert await lose_database(client, app) == "deferred"
        app.state.service.intake.look()
        assert (await client.get("/healthz")).status_code == 200

    ask(tmp_path, full, spool_limit_bytes=0)
    ask(tmp_path, deferring)


def test_a_service_that_ends_leaves_nothing_and_the_next_one_sweeps_after_a_killed_one(
    tmp_path: Path,
) -> None:
    publish_model(tmp_path / "models")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary)}
    with running_server(tmp_path, workers=2, environment=own) as server:
        (killed,) = temporary.iterdir()
        server.kill()
    assert list(temporary.iterdir()) == [killed]
    with running_server(tmp_path, workers=2, environment=own) as server:
        (made,) = temporary.iterdir()
        assert made != killed
        with server.client() as client:
            period = {"from": "2026-01-01", "to": "2026-01-02"}
            client.get("/v1/reports/rates", params=period).raise_for_status()
        workers = children_of(server.process.pid)
        processes = [
            *processes_of(server),
            *(child for each in workers for child in children_of(each)),
        ]
        assert len(processes) >= 4  # one of reports, too
        with closing(sqlite3.connect(tmp_path / "facts.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the database hangs
            with server.client() as client:
                client.post("/v1/suggestions", json=CART).raise_for_status()
            assert server.stop() == 0
    eventually(lambda: not [each for each in processes if Path(f"/proc/{each}").exists()])
    assert list(temporary.iterdir()) == []


def test_a_service_that_is_stopped_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "PATH": os.environ["PATH"]}
    for pause in (0.0, 0.2, 0.5, 1.0):
        process = fork_command(
            ["serve", "--port", "0", "--database", str(tmp_path / "facts.db")],
            folder=tmp_path,
            environment=environment,
            output=tmp_path / "out",
            log=tmp_path / "log",
        )
        if pause:
            eventually(lambda: list(temporary.iterdir()))
            time.sleep(pause)
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_SECONDS)
        assert list(temporary.iterdir()) == []
