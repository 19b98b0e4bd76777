"""How long buyers wait while a database or other callers misbehave, beside what they should wait.

    python -m tests.benchmarks.steadiness [CALLS]

A database that is slow, silent or locked costs a call its deadline once, however many questions the
call has; one that is known to be away costs nothing. Two hundred callers who never end their
requests slow nobody down. The client gives up after its timeout. What is counted on the way of each
call costs less than the library's own counting.
"""

from __future__ import annotations

import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from mersalg.engine.errors import ConfigError
from mersalg_client import Client
from tests.benchmarks.side_by_side import in_turns, print_ratio, seconds_of
from tests.serving.test_outages import SECRET, a_login_that_asks
from tests.support.kept_facts import is_empty
from tests.support.models import tiny_model
from tests.support.postgres import PostgresServer, free_port
from tests.support.servers import Server, publish_model, running_server
from tests.support.slow_network import SlowNetwork
from tests.support.waiting import WAIT_SECONDS, eventually

LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]
_numbers = count()


def main() -> None:
    n_calls = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    parts: tuple[Callable[[Path, int], None], ...] = (
        *(clients, slow_callers, locked_sqlite, postgresql),
    )
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as folder:
            part(Path(folder), n_calls)


def suggestion(client: httpx.Client, tracking: str, **ids: str) -> float:
    """Return the seconds of a call, which must be answered with this tracking."""
    number = next(_numbers)
    cart = {"checkout_id": f"ch-{number}", "session_id": f"s-{number}", "lines": LINES, **ids}
    answers: list[httpx.Response] = []
    seconds = seconds_of(lambda: answers.append(client.post("/v1/suggestions", json=cart)))
    answer = answers[0].raise_for_status().json()["tracking"]
    if answer != tracking:
        raise RuntimeError(f"answered {answer}, not {tracking}")
    return seconds


def clients(folder: Path, n_calls: int) -> None:
    del folder, n_calls
    timeout = 0.5
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enough = threading.Event()

        def trickle() -> None:
            with suppress(OSError):
                while not enough.is_set():
                    talk, _ = listener.accept()
                    with talk, suppress(OSError):
                        talk.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
                        while not enough.wait(0.1):
                            talk.sendall(b"a")

        threading.Thread(target=trickle, daemon=True).start()
        waited: list[float] = []
        for _ in range(3):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with Client(url, timeout=timeout) as client:
                waited.append(seconds_of(lambda: client.suggest_or_nothing(_cart())))
        enough.set()
    print_ratio("an answer that trickles", waited, [timeout], "the client's timeout", 1.3)
    with Client(f"http://127.0.0.1:{free_port()}", timeout=timeout) as client:
        waited = [seconds_of(lambda: client.suggest_or_nothing(_cart())) for _ in range(5)]
    print_ratio("a service that is not there", waited, [timeout], "the client's timeout", 1)


def _cart() -> dict[str, object]:
    return {"checkout_id": "k", "lines": [{"item_id": "phone-64"}]}


def slow_callers(folder: Path, n_calls: int) -> None:
    publish_model(folder / "models")
    with running_server(folder) as server, server.client() as client:
        for _ in range(n_calls):
            suggestion(client, "recorded")

        def beside_them() -> float:
            with unending_requests(server, 200):
                return suggestion(client, "recorded")

        ours, floor = in_turns(n_calls, beside_them, lambda: suggestion(client, "recorded"))
    print_ratio("beside 200 requests without an end", ours, floor, "alone", 2)


@contextmanager
def unending_requests(server: Server, number: int) -> Iterator[None]:
    where = urlsplit(server.url)
    head = b"POST /v1/suggestions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    address = (where.hostname, where.port or 80)
    talks = [socket.create_connection(address, WAIT_SECONDS) for _ in range(number)]
    try:
        for place, talk in enumerate(talks):
            talk.sendall(head if place % 2 else head + b"Content-Length: 20\r\n\r\n{")
        yield
    finally:
        for talk in talks:
            talk.close()


def locked_sqlite(folder: Path, n_calls: int) -> None:
    publish_model(folder / "models")
    deadline = 0.05
    with (
        running_server(folder, deadline_ms=int(1000 * deadline)) as server,
        server.client() as client,
        closing(sqlite3.connect(folder / "facts.db", isolation_level=None)) as other,
    ):
        eventually(lambda: suggestion(client, "recorded") > 0, ignoring=(RuntimeError,))
        other.execute("BEGIN IMMEDIATE")
        waited = [suggestion(client, "deferred") for _ in range(n_calls)]
        other.execute("ROLLBACK")
    print_ratio("SQLite that another process locks", waited, [deadline], "the deadline", 1.6)


def postgresql(folder: Path, n_calls: int) -> None:
    try:
        database = PostgresServer()
    except (ConfigError, RuntimeError, OSError) as error:
        print(f"PostgreSQL is not here: {error}")
        return
    network = SlowNetwork(database.port)
    slow = folder / "slow"
    slow.mkdir()
    try:
        through_a_network(slow, database, network, n_calls)
        away(folder, database, n_calls)
    finally:
        network.close()
        database.close()


def through_a_network(
    folder: Path, database: PostgresServer, network: SlowNetwork, n_calls: int
) -> None:
    """Calls of a login, which asks for its arm and for what its buyer dismissed."""
    publish_model(folder / "models", tiny_model(holdout=0.5))
    deadline, url = 0.3, database.new_database()
    who = a_login_that_asks(0.5)
    few = max(n_calls // 5, 3)
    with (
        running_server(
            folder,
            database=url.replace(str(database.port), str(network.port)),
            deadline_ms=int(1000 * deadline),
            environment={"MERSALG_SECRET": SECRET},
        ) as server,
        server.client() as client,
    ):

        def recover() -> None:
            eventually(lambda: suggestion(client, "recorded") > 0, ignoring=(RuntimeError,))
            eventually(lambda: is_empty(folder / "spool"))

        def late(label: str) -> None:
            waited = [suggestion(client, "deferred", **who) for _ in range(few)]
            print_ratio(f"PostgreSQL, {label}", waited, [deadline], "the deadline", 1.6)

        recover()
        network.delay = 2 * deadline
        late("slow")
        network.delay = 0.0
        recover()
        network.is_dead = True
        late("silent")
        network.is_dead = False
        recover()
        with psycopg.connect(url) as other:
            other.execute("lock table facts, fact_ids in exclusive mode")
            late("locked")
            other.rollback()
        recover()


def away(folder: Path, database: PostgresServer, n_calls: int) -> None:
    publish_model(folder / "models")
    with (
        running_server(
            folder, database=database.new_database(), environment={"MERSALG_SECRET": SECRET}
        ) as server,
        server.client() as client,
    ):
        recorded = [suggestion(client, "recorded") for _ in range(n_calls)]
        database.stop()
        suggestion(client, "deferred")  # which finds out
        deferred = [suggestion(client, "deferred") for _ in range(n_calls)]
    print_ratio("PostgreSQL, known to be away", deferred, recorded, "while it answers", 4)


if __name__ == "__main__":
    main()
