"""Killed again and again at random moments under load: every acknowledged fact is stored once.

The service dies while it starts, while it replays its spool, and while it answers. Somebody else
locks the database now and then, so that some facts go over the spool. `MERSALG_KILLS_SEED` gives
the moments of an earlier run again, as far as a machine can.
"""

from __future__ import annotations

import http.client
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from mersalg.engine.facts import Decision
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import open_store
from tests.support.kept_facts import is_empty
from tests.support.models import tiny_model
from tests.support.mortal_server import SECRET, MortalServer
from tests.support.postgres import PostgresServer
from tests.support.repetitions import repetitions
from tests.support.servers import publish_model
from tests.support.waiting import WAIT_SECONDS, eventually

KILLS = {"sqlite": repetitions(8, 55), "postgresql": repetitions(8, 35)}
"""Number of kills of the service, by its database."""
N_SHOPPERS = 3
DEADLINE_MS = 40
LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]


class Shoppers:
    """Ask for suggestions and report events, and remember what they were answered.

    A call that got no answer is a visit that went wrong; its events are sent again, as clients do.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.trackings: dict[str, str] = {}
        self.events: set[str] = set()
        self.sent: set[str] = set()
        self.surprises: list[str] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._shop, args=(number,)) for number in range(N_SHOPPERS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def n_answers(self) -> int:
        return len(self.trackings) + len(self.events)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def _shop(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        unanswered: list[dict[str, object]] = []
        visit = 0
        while not self._over.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", self._port, timeout=WAIT_SECONDS
                    )
                if not unanswered:
                    visit += 1
                    unanswered = self._ask(connection, f"{number}-{visit}")
                self._report(connection, unanswered)
                unanswered = []
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.005)
        if connection is not None:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, visit: str) -> list[dict[str, object]]:
        """Remembers the answer; gives the events of this visit."""
        ids = {"checkout_id": visit, "session_id": f"s-{visit}", "customer_id": f"c-{visit}"}
        status, answer = _post(connection, "/v1/suggestions", {**ids, "lines": LINES})
        if status != 200:
            self.surprises.append(f"{status} {answer}")
            return []
        self.trackings[answer["decision_id"]] = answer["tracking"]
        at = datetime.now(UTC).isoformat()
        events: list[dict[str, object]] = [
            {"type": "view_promotion", "offer_id": offer["offer_id"], **ids}
            for offer in answer["offers"]
        ]
        bought = {"item_id": "phone-64", "quantity": 1, "price": "5990.00"}
        events.append(
            {
                "type": "purchase",
                "transaction_id": f"t-{visit}",
                "currency": "NOK",
                "items": [bought],
                **ids,
            }
        )
        return [
            {**event, "event_id": f"e-{visit}-{place}", "occurred_at": at}
            for place, event in enumerate(events)
        ]

    def _report(
        self, connection: http.client.HTTPConnection, events: list[dict[str, object]]
    ) -> None:
        if not events:
            return
        ids = {str(event["event_id"]) for event in events}
        self.sent |= ids
        status, answer = _post(connection, "/v1/events", {"events": events})
        if status == 503:  # the database is locked for longer than the service waits
            return
        if status != 200 or answer["recorded"] + answer["duplicates"] != len(events):
            self.surprises.append(f"{status} {answer}")
        self.events |= ids


def _post(
    connection: http.client.HTTPConnection, path: str, body: object
) -> tuple[int, dict[str, Any]]:
    connection.request("POST", path, orjson.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, orjson.loads(response.read())


@contextmanager
def somebody_locks(lock: Callable[[], Callable[[], None]], draw: random.Random) -> Iterator[None]:
    """Now and then nobody else can write for longer than a suggestion waits."""
    over = threading.Event()

    def hold() -> None:
        while not over.wait(draw.uniform(0.05, 0.3)):
            release = lock()
            time.sleep(draw.uniform(0.05, 0.12))
            release()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(WAIT_SECONDS)


def _sqlite_lock(path: Path) -> Callable[[], Callable[[], None]]:
    def lock() -> Callable[[], None]:
        connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")

        def release() -> None:
            connection.execute("ROLLBACK")
            connection.close()

        return release

    return lock


def _postgres_lock(url: str) -> Callable[[], Callable[[], None]]:
    def lock() -> Callable[[], None]:
        connection = psycopg.connect(url)
        connection.execute("lock table fact_ids in exclusive mode")

        def release() -> None:
            connection.rollback()
            connection.close()

        return release

    return lock


def killed_again_and_again(
    folder: Path, url: str, lock: Callable[[], Callable[[], None]], seed: int
) -> None:
    print(f"MERSALG_KILLS_SEED={seed}")
    draw = random.Random(seed)
    n_kills = KILLS[url.partition(":")[0]]
    publish_model(folder / "models", tiny_model(holdout=0.1))
    store = open_store(url, secret=SECRET.encode())
    store.migrate(serving=True)
    server = MortalServer(folder, url, "--database-deadline-ms", str(DEADLINE_MS))
    shoppers = Shoppers(server.port)
    try:
        with somebody_locks(lock, draw):
            for _ in range(n_kills):
                before = shoppers.n_answers
                server.start()
                if draw.random() < 0.8:
                    eventually(lambda before=before: shoppers.n_answers > before)
                    time.sleep(draw.uniform(0.0, 0.15))
                else:  # while it starts, and replays what it finds
                    time.sleep(draw.uniform(0.0, 0.3))
                server.kill()
        server.start()
        before = shoppers.n_answers
        eventually(lambda: shoppers.n_answers > max(before, n_kills))
        # Whatever the machine is like, some facts went either way.
        release = lock()
        try:
            eventually(lambda: "deferred" in list(shoppers.trackings.values()))
        finally:
            release()
        eventually(lambda: "recorded" in list(shoppers.trackings.values()))
        shoppers.stop()
        eventually(lambda: is_empty(folder / "spool"))
    finally:
        shoppers.stop()
        server.kill()
    facts = list(store.facts.read(FactScope()))
    store.close()
    decisions = Counter(fact.decision_id for fact in facts if isinstance(fact, Decision))
    events = Counter(fact.event_id for fact in facts if not isinstance(fact, Decision))
    reported = Counter(shoppers.trackings.values())
    about = (
        f"seed {seed}: {reported}, {len(shoppers.events)} events\n{server.log.read_text()[-4000:]}"
    )
    acknowledged = {each for each, said in shoppers.trackings.items() if said != "off"}
    assert shoppers.surprises == [], about
    assert {each: decisions[each] for each in acknowledged if decisions[each] != 1} == {}, about
    assert {each: events[each] for each in shoppers.events if events[each] != 1} == {}, about
    assert set(events) <= shoppers.sent, about
    assert set(decisions.values()) | set(events.values()) == {1}, about
    assert reported["recorded"] > 0, about
    assert reported["deferred"] > 0, about
    assert len(acknowledged) + len(shoppers.events) > n_kills, about
    assert "Traceback" not in server.log.read_text(), about
    # A record that was being written is set aside as damaged; nothing else is.
    left = {path.suffix for path in (folder / "spool").glob("*")} - {".new"}
    assert left <= {".damaged"}, about


def _seed() -> int:
    return int(os.environ.get("MERSALG_KILLS_SEED") or random.SystemRandom().randrange(2**32))


@pytest.mark.thorough
@pytest.mark.parametrize("part", range(1, repetitions(1, 3) + 1))
def test_a_service_on_sqlite_is_killed_at_any_moment(tmp_path: Path, part: int) -> None:
    path = tmp_path / "facts.db"
    killed_again_and_again(tmp_path, f"sqlite:///{path}", _sqlite_lock(path), _seed() + part)


@pytest.mark.thorough
@pytest.mark.postgres
def test_a_service_on_postgresql_is_killed_at_any_moment(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()
    killed_again_and_again(tmp_path, url, _postgres_lock(url), _seed())
