"""This source tree against another one, as the commit before it, in the same run.

    git worktree add ../before COMMIT
    python -m tests.benchmarks.against_parent ../before [ROUNDS [suggestions|events|import]...]

Both serve the model of `tests.benchmarks.serving` and take turns; each line prints the medians of
both and the ratio of this tree to the other. Load generator and service share the processors there
are, so CPU time a call, of a worker and the processes that it starts, is printed beside each rate.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import exp
from pathlib import Path

from mersalg.engine.errors import ConfigError
from tests.benchmarks.importing import write_facts
from tests.benchmarks.serving_load import cpu_seconds, memory_mib, with_helpers, workers_of
from tests.benchmarks.serving_model import remembering_model
from tests.support.postgres import PostgresServer
from tests.support.servers import Server, publish_model, running_server

HERE = Path(__file__).parents[2]
_SECONDS = 4.0
_numbers = count(os.getpid() * 1_000_000)


def cart(draw: random.Random) -> bytes:
    number = next(_numbers)
    items = [int(20 * (exp(draw.random() * 8.5) - 1)) for _ in range(3)]
    body = {
        "checkout_id": f"ch{number}",
        "session_id": f"s{number}",
        "customer_id": f"c{draw.randrange(60_000)}",
        "lines": [{"item_id": f"sku-{item}", "quantity": 1} for item in items],
    }
    return posted("/v1/suggestions", body)


def events(draw: random.Random) -> bytes:
    """Return a call of 100 events: views, clicks and some purchases."""
    batch: list[dict[str, object]] = []
    while len(batch) < 100:
        number = f"{draw.getrandbits(64):016x}"
        who = {"checkout_id": f"ch{number}", "session_id": f"s{number}"}
        base = {"occurred_at": "2026-10-05T12:30:45.123+00:00", **who, "customer_id": f"c{number}"}
        kinds = ("view_promotion",) * 4 + ("select_promotion", "add_to_cart")
        batch += [
            {**base, "type": kind, "event_id": f"e{number}-{place}", "offer_id": f"o{number}"}
            for place, kind in enumerate(kinds)
        ]
        if draw.random() < 0.5:
            items = [{"item_id": "sku-1", "quantity": 1, "price": "199.00"}]
            bought = {"type": "purchase", "event_id": f"p{number}", "transaction_id": f"t{number}"}
            batch.append({**base, **bought, "currency": "NOK", "items": items})
    return posted("/v1/events", {"events": batch[:100]})


def posted(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


@dataclass
class Measured:
    rates: list[float] = field(default_factory=list[float])
    costs: list[float] = field(default_factory=list[float])
    p99: list[float] = field(default_factory=list[float])


def drive(
    server: Server,
    make: Callable[[random.Random], bytes],
    into: Measured,
    *,
    callers: int,
    rate: float | None = None,
) -> None:
    """Call from so many connections: each once it is answered, or at about `rate` a second."""
    draw = random.Random(next(_numbers))
    waiting = [make(draw) for _ in range(int(_SECONDS * 1_500 / (1 if make is cart else 8)))]
    port = int(server.url.rpartition(":")[2])
    ready = selectors.DefaultSelector()
    idle: list[socket.socket] = []
    for _ in range(callers):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(connection, selectors.EVENT_READ, [0.0])
        idle.append(connection)
    processes = [each for worker in workers_of(server.process.pid) for each in with_helpers(worker)]
    spent = {each: cpu_seconds(each) for each in processes}
    began = time.perf_counter()
    until, due, latencies = began + _SECONDS, began, list[float]()
    busy = 0
    while busy or time.perf_counter() < until:
        now = time.perf_counter()
        while idle and now < until and waiting and (rate is None or due <= now):
            connection = idle.pop()
            # Under a rate the wait for a free connection is a part of what the caller waits.
            ready.get_key(connection).data[0] = now if rate is None else due
            if rate is not None:
                due += draw.expovariate(rate)
            connection.sendall(waiting.pop())
            busy += 1
        for key, _ in ready.select(0.02 if rate is None else max(min(due - now, 0.02), 0)):
            answer = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer[:500].decode())
            latencies.append(time.perf_counter() - key.data[0])
            idle.append(key.fileobj)  # type: ignore[arg-type]
            busy -= 1
        if not waiting and not busy:
            break
    seconds = time.perf_counter() - began
    # Some helpers come and go, and do nothing for the load.
    left = [each for each in processes if Path(f"/proc/{each}").exists()]
    cost = sum(cpu_seconds(each) - spent[each] for each in left)
    for connection in idle:
        connection.close()
    into.rates.append(len(latencies) / seconds)
    into.costs.append(1e6 * cost / len(latencies))
    into.p99.append(1e3 * statistics.quantiles(latencies, n=100)[98])


@contextmanager
def both(
    folder: Path, other: Path, databases: tuple[str | None, str | None]
) -> Iterator[list[Server]]:
    """Serve from both trees, the other one first."""
    with ExitStack() as stack:
        servers: list[Server] = []
        for name, tree, database in zip(("other", "this"), (other, HERE), databases, strict=True):
            own = Path(tempfile.mkdtemp(prefix=name, dir=folder))
            began = time.perf_counter()
            servers.append(
                stack.enter_context(
                    running_server(
                        own, models=folder / "models", database=database, deadline_ms=50, tree=tree
                    )
                )
            )
            print(f"start-up of {name}: {time.perf_counter() - began:.1f} s")
        yield servers


def tell(label: str, other: Measured, this: Measured, calls: str = "calls/s") -> None:
    ours, theirs = statistics.median(this.rates), statistics.median(other.rates)
    pairs = zip(this.rates, other.rates, strict=True)
    ratio = statistics.median(own / their for own, their in pairs)
    cost, former = statistics.median(this.costs), statistics.median(other.costs)
    p99, earlier = statistics.median(this.p99), statistics.median(other.p99)
    print(
        f"{label:34} {ours:6.0f} against {theirs:6.0f} {calls}: {ratio:.2f}x;"
        f" CPU {cost:.0f} against {former:.0f} us: {cost / former:.2f}x;"
        f" p99 {p99:.1f} against {earlier:.1f} ms",
        flush=True,
    )


def compare(
    label: str,
    servers: list[Server],
    make: Callable[[random.Random], bytes],
    rounds: int,
    *,
    callers: int,
    rate: float | None = None,
) -> float:
    measured = [Measured(), Measured()]
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for side in order:
            drive(servers[side], make, measured[side], callers=callers, rate=rate)
    tell(label, *measured)
    return statistics.median(measured[0].rates)


def suggestions(folder: Path, servers: list[Server], rounds: int, database: str) -> None:
    for server in servers:
        drive(server, cart, Measured(), callers=8)
    full = 0.0
    for callers in (1, 8, 64):
        label = f"suggestions, {callers} callers, {database}"
        full = max(full, compare(label, servers, cart, rounds, callers=callers))
    compare(f"at half load, {database}", servers, cart, rounds, callers=64, rate=full / 2)
    for name, server in zip(("other", "this"), servers, strict=True):
        for worker in workers_of(server.process.pid):
            sizes = [memory_mib(each, folder / "models")[0] for each in with_helpers(worker)]
            print(f"memory of a worker of {name}, the model aside: {sum(sizes):.0f} MiB")


def imports(folder: Path, other: Path, rounds: int, urls: tuple[str | None, str | None]) -> None:
    path = folder / "facts.jsonl"
    n_facts = write_facts(path, 60_000)
    measured = [Measured(), Measured()]
    for number in range(rounds):
        for side, tree in enumerate((other, HERE)):
            database = urls[side] or str(folder / f"import-{number}-{side}.db")
            command = [
                sys.executable,
                "-m",
                "mersalg.serving.cli.main",
                "events",
                "import",
                str(path),
            ]
            began, spent = time.perf_counter(), os.times()
            subprocess.run(
                [*command, "--database", database],
                check=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(tree / "build" / "view")},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            after = os.times()
            cpu = after.children_user + after.children_system
            cpu -= spent.children_user + spent.children_system
            measured[side].rates.append(n_facts / (time.perf_counter() - began))
            measured[side].costs.append(1e6 * cpu / n_facts)
            measured[side].p99.append(0.0)
    tell(f"import of {n_facts:,} facts", *measured, calls="facts/s")


def main() -> None:
    other, rounds = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    parts = set(sys.argv[3:]) or {"suggestions", "events", "import", "postgresql"}
    with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as name:
        folder = Path(name)
        if parts & {"suggestions", "events"}:
            publish_model(folder / "models", remembering_model(folder / "models"))
            with both(folder, other, (None, None)) as servers:
                if "suggestions" in parts:
                    suggestions(folder, servers, rounds, "SQLite")
                if "events" in parts:
                    compare("100 events, SQLite", servers, events, rounds, callers=8)
        if "import" in parts:
            imports(folder, other, min(rounds, 3), (None, None))
        if "postgresql" in parts:
            on_postgres(folder, other, rounds, parts)


def on_postgres(folder: Path, other: Path, rounds: int, parts: set[str]) -> None:
    try:
        # As it comes, with fsync: what is answered as recorded is on disk.
        server = PostgresServer(durable=True)
    except (ConfigError, RuntimeError, OSError) as error:
        print(f"PostgreSQL is not here: {error}")
        return
    try:
        if parts & {"suggestions", "events"}:
            with both(folder, other, (server.new_database(), server.new_database())) as servers:
                if "events" in parts:
                    compare("100 events, PostgreSQL", servers, events, rounds, callers=8)
                if "suggestions" in parts:
                    suggestions(folder, servers, rounds, "PostgreSQL")
        if "import" in parts:
            imports(folder, other, 1, (server.new_database(), server.new_database()))
    finally:
        server.close()


if __name__ == "__main__":
    main()
