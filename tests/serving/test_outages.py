"""Database full, locked, slow, silent or away: buyers are served in time, facts are kept once."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.serving.spool import Spool
from tests.support.kept_facts import is_empty, kept_facts
from tests.support.metrics import metric
from tests.support.models import tiny_model
from tests.support.postgres import PostgresServer
from tests.support.processes import children_of
from tests.support.servers import Server, publish_model, running_server
from tests.support.slow_network import SlowNetwork
from tests.support.waiting import eventually

SECRET = "0123456789abcdef0123456789abcdef"
LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]


class Buyers:
    """Ask one after another; note what they were told."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.reported: dict[str, str] = {}
        self._number = 0

    def ask(self, **ids: str) -> str:
        self._number += 1
        cart = {"checkout_id": f"ch-{self._number}", "session_id": f"s-{self._number}", **ids}
        response = self._client.post("/v1/suggestions", json={**cart, "lines": LINES})
        assert response.status_code == 200
        answer = response.json()
        assert answer["offers"] or answer["arm"] == "control"
        self.reported[answer["decision_id"]] = answer["tracking"]
        return str(answer["tracking"])

    def ask_until(self, tracking: str) -> None:
        eventually(lambda: self.ask() == tracking, sleep=lambda _seconds: None)

    def are_not_tracked(self) -> bool:
        """A call is answered "off" as well where the disk is only slow."""
        asked = self.ask()
        return asked == "off" and self._client.get("/readyz").json()["tracking"] == "off"

    def are_kept_once(self, url: str, secret: bytes | None = None) -> None:
        kept = kept_facts(url, secret)
        acknowledged = [each for each, said in self.reported.items() if said != "off"]
        assert [kept[each] for each in acknowledged] == [1] * len(acknowledged)
        assert set(kept.values()) == {1}


def untracked(client: httpx.Client) -> float:
    """What the metric of decisions that were not tracked says."""
    return metric(client, "mersalg_decisions_total", tracking="off")


def waits_and_refusals(client: httpx.Client) -> tuple[float, float]:
    """Calls for which the database was too slow, and calls that asked it nothing."""
    return (
        metric(client, "mersalg_degraded_total", reason="deadline"),
        metric(client, "mersalg_degraded_total", reason="database_away"),
    )


def processes_of(server: Server) -> list[int]:
    """The main process, then its workers."""
    main = server.process.pid
    return [main, *children_of(main)]


def let_files_grow(server: Server, most: int) -> None:
    (main, *workers) = processes_of(server)
    # Facts are written by a process of each worker's.
    for process in (main, *workers, *chain.from_iterable(map(children_of, workers))):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def test_files_that_may_not_grow_are_a_full_disk(tmp_path: Path) -> None:
    """First the database is full, then the spool, then there is room again."""
    publish_model(tmp_path / "models")
    with running_server(tmp_path) as server, server.client() as client:
        buyers = Buyers(client)
        assert buyers.ask() == "recorded"
        assert client.get("/readyz").json()["tracking"] == "recorded"
        let_files_grow(server, 200_000)
        buyers.ask_until("deferred")
        let_files_grow(server, 500)
        assert {buyers.ask() for _ in range(100)} == {"off"}
        state = client.get("/readyz")
        assert state.status_code == 200
        assert (state.json()["status"], state.json()["tracking"]) == ("degraded", "off")
        assert untracked(client) == 100
        let_files_grow(server, resource.RLIM_INFINITY)
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        buyers.ask_until("recorded")
        eventually(lambda: is_empty(tmp_path / "spool"))
    assert "Traceback" not in server.said
    assert server.said.count("not tracked") < 20  # said now and then, not for every buyer
    assert list((tmp_path / "spool").iterdir()) == []
    buyers.are_kept_once(f"sqlite:///{tmp_path / 'facts.db'}")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own; skips where this user may not have one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"no small file system can be mounted here: {done.stderr.strip()}"
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_for_either(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with (
        small_disk(tmp_path / "disk", "2m") as disk,
        running_server(disk, models=tmp_path / "models") as server,
        server.client() as client,
    ):
        buyers = Buyers(client)
        assert buyers.ask() == "recorded"
        with (disk / "other").open("wb", buffering=0) as others:  # somebody else takes the rest
            try:
                while True:
                    others.write(b"x" * 4096)
            except OSError:
                pass
        eventually(buyers.are_not_tracked)
        assert untracked(client) >= 1
        # The database, which answers, is looked at every half second: nothing comes of it.
        for _ in range(20):
            assert client.get("/readyz").json()["tracking"] == "off"
            time.sleep(0.1)
        (disk / "other").unlink()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        buyers.ask_until("recorded")
        eventually(lambda: is_empty(disk / "spool"))
        assert list((disk / "spool").iterdir()) == []
        buyers.are_kept_once(f"sqlite:///{disk / 'facts.db'}")


def test_a_full_spool_turns_tracking_off_and_says_so(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    database = tmp_path / "facts.db"
    with (
        running_server(
            tmp_path, deadline_ms=50, environment={"MERSALG_SPOOL_LIMIT_BYTES": "20000"}
        ) as server,
        server.client() as client,
    ):
        buyers = Buyers(client)
        buyers.ask_until("recorded")
        with sqlite3.connect(database, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            eventually(buyers.are_not_tracked)
            assert client.get("/readyz").json()["status"] == "degraded"
            assert untracked(client) == Counter(buyers.reported.values())["off"] > 0
            assert 10_000 < metric(client, "mersalg_spool_bytes") <= 20_000
            other.execute("ROLLBACK")
        other.close()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        eventually(lambda: is_empty(tmp_path / "spool"))
    buyers.are_kept_once(f"sqlite:///{database}")


def test_a_locked_sqlite_is_waited_for_once_a_call(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path, deadline_ms=50) as server, server.client() as client:
        buyers = Buyers(client)
        buyers.ask_until("recorded")
        before = sum(waits_and_refusals(client))
        with sqlite3.connect(tmp_path / "facts.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            assert {buyers.ask() for _ in range(40)} == {"deferred"}
            assert sum(waits_and_refusals(client)) == before + 40
            assert client.get("/readyz").json()["tracking"] == "deferred"
            other.execute("ROLLBACK")
        other.close()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        buyers.ask_until("recorded")
        eventually(lambda: is_empty(tmp_path / "spool"))
    buyers.are_kept_once(f"sqlite:///{tmp_path / 'facts.db'}")


def a_login_that_asks(holdout: float) -> dict[str, str]:
    """Ids of a customer and a session of different arms: the session has to be looked up."""

    def arm(customer: str | None, session: str | None) -> str:
        return assign_arm(unit_of(customer, session), salt="tiny", holdout=holdout)

    session = next(f"s-{n}" for n in range(99) if arm(None, f"s-{n}") == "control")
    customer = next(f"c-{n}" for n in range(99) if arm(f"c-{n}", None) == "treatment")
    return {"session_id": session, "customer_id": customer}


@pytest.mark.postgres
def test_a_slow_silent_or_locked_postgresql_is_given_up_after_its_deadline(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """By calls that have several questions: a login asks for its arm and for what was dismissed."""
    url = postgres_server.new_database()
    publish_model(tmp_path / "models", tiny_model(holdout=0.5))
    network = SlowNetwork(postgres_server.port)
    try:
        with (
            running_server(
                tmp_path,
                database=url.replace(str(postgres_server.port), str(network.port)),
                deadline_ms=300,
                environment={"MERSALG_SECRET": SECRET},
            ) as server,
            server.client() as client,
        ):
            buyers = Buyers(client)
            buyers.ask_until("recorded")

            def give_up_in_time(n_calls: int) -> None:
                before = sum(waits_and_refusals(client))
                for _ in range(n_calls):
                    assert buyers.ask(**a_login_that_asks(0.5)) == "deferred"
                assert sum(waits_and_refusals(client)) == before + n_calls

            network.delay = 0.4
            give_up_in_time(5)
            network.delay = 0.0
            eventually(lambda: is_empty(tmp_path / "spool"))
            buyers.ask_until("recorded")
            network.is_dead = True
            give_up_in_time(5)
            assert client.get("/readyz").json()["tracking"] == "deferred"
            network.is_dead = False
            eventually(lambda: is_empty(tmp_path / "spool"))
            buyers.ask_until("recorded")
            with psycopg.connect(url) as other:
                other.execute("lock table facts, fact_ids in exclusive mode")
                give_up_in_time(5)
                other.rollback()
            eventually(lambda: is_empty(tmp_path / "spool"))
            buyers.ask_until("recorded")
            eventually(lambda: client.get("/readyz").json()["status"] == "ready")
    finally:
        network.close()
    assert "Traceback" not in server.said
    buyers.are_kept_once(url, SECRET.encode())


def test_a_new_sqlite_that_could_not_be_opened_at_the_start(tmp_path: Path) -> None:
    """Once it can be, it is migrated, told of the shop, and given the facts, without a call."""
    publish_model(tmp_path / "models", tiny_model(currency="SEK"))
    database = tmp_path / "facts.db"
    database.mkdir()
    with running_server(tmp_path) as server, server.client() as client:
        buyers = Buyers(client)
        assert buyers.ask() == "deferred"
        assert waits_and_refusals(client) == (0, 1)  # it is known, and not waited for
        database.rmdir()
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        eventually(lambda: is_empty(tmp_path / "spool"))
        period = {"from": "2020-01-01", "to": "2020-02-01"}
        eventually(
            lambda: client.get("/v1/reports/rates", params=period).json()["currency"] == "SEK"
        )
        assert buyers.ask() == "recorded"
    buyers.are_kept_once(f"sqlite:///{database}")


@pytest.mark.postgres
def test_a_new_postgresql_that_was_away_at_the_start(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    """With two workers, of which one migrates, and no call that would tell it is back."""
    url = own_postgres_server.new_database()
    own_postgres_server.stop()
    publish_model(tmp_path / "models", tiny_model(currency="SEK"))
    with (
        running_server(
            tmp_path, database=url, workers=2, environment={"MERSALG_SECRET": SECRET}
        ) as server,
        server.client() as client,
    ):
        buyers = Buyers(client)
        assert [buyers.ask() for _ in range(3)] == ["deferred"] * 3
        state = client.get("/readyz").json()
        assert (state["database"], state["tracking"]) == ("away", "deferred")
        own_postgres_server.start()
        eventually(lambda: is_empty(tmp_path / "spool"))
        eventually(lambda: client.get("/readyz").json()["status"] == "ready")
        period = {"from": "2020-01-01", "to": "2020-02-01"}
        eventually(
            lambda: client.get("/v1/reports/rates", params=period).json()["currency"] == "SEK"
        )
        buyers.ask_until("recorded")
        eventually(lambda: is_empty(tmp_path / "spool"))
    assert "Traceback" not in server.said
    buyers.are_kept_once(url, SECRET.encode())


def test_one_worker_that_is_killed_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path, workers=2, deadline_ms=20) as server:
        with server.client() as client:
            buyers = Buyers(client)
            with sqlite3.connect(tmp_path / "facts.db", isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                assert {buyers.ask() for _ in range(10)} == {"deferred"}
                (_, *workers) = processes_of(server)
                assert len(workers) == 2
                os.kill(workers[0], signal.SIGKILL)
                os.kill(workers[1], signal.SIGKILL)
                other.execute("ROLLBACK")
            other.close()
        eventually(lambda: len(set(processes_of(server)) - set(workers)) == 3)
        eventually(lambda: is_empty(tmp_path / "spool"))
        with server.client() as client:
            again = Buyers(client)
            again.ask_until("recorded")
    buyers.reported |= again.reported
    buyers.are_kept_once(f"sqlite:///{tmp_path / 'facts.db'}")


def erase(client: httpx.Client) -> dict[str, Any] | None:
    """The answer; None where the spools were not empty in time."""
    answer = client.delete("/v1/customers/kari")
    return answer.json() if answer.is_success else None


def test_erasing_reaches_what_waits_in_the_spools(tmp_path: Path) -> None:
    """Of either worker; where it cannot be brought to the database in time, nothing is promised."""
    publish_model(tmp_path / "models")
    database = tmp_path / "facts.db"
    spool = tmp_path / "spool"
    with running_server(
        tmp_path,
        database=f"sqlite:///{database}?timeout=0.2",
        workers=2,
        deadline_ms=20,
        environment={"MERSALG_EVENTS_DEADLINE_MS": "1000"},
    ) as server:
        spool.mkdir()
        aside = Spool(spool, 1_000_000).set_aside(b'{"customer_id":"kari"}', "conflict")
        kept: dict[str, str] = {}
        with sqlite3.connect(database, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            while len(list(spool.glob("*.spool"))) < 2:
                with server.client() as client:  # a new connection, for either worker
                    buyers = Buyers(client)
                    buyers.ask(customer_id="kari")
                    kept |= buyers.reported
            assert set(kept.values()) == {"deferred"}
            with server.client() as client:
                refused = client.delete("/v1/customers/kari")
            other.execute("ROLLBACK")
            assert refused.status_code == 503
            assert "in the spool" in refused.json()["error"]["message"]
            assert aside.exists()
        other.close()
        with server.client() as client:
            erased = eventually(lambda: erase(client))
            assert erased["facts"] == len(kept)
            assert client.get("/v1/customers/kari").json()["facts"] == []
            assert not aside.exists()
            assert is_empty(spool)
            for decision_id in kept:  # they count as before, and are nobody's
                assert client.get(f"/v1/decisions/{decision_id}").status_code == 200
    kept_again = kept_facts(f"sqlite:///{database}")
    assert [kept_again[decision_id] for decision_id in kept] == [1] * len(kept)
