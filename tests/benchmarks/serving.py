"""The HTTP service against an empty typed endpoint in the same run, durable throughout.

    python -m tests.benchmarks.serving [ROUNDS [suggestions|events|postgresql]...]

Model of 1 million rules and 100,000 items that remembers 50,000 customers; loopback; wrk with one
thread, eight connections at full load and 64 where buyers come by chance at half of capacity.
Medians of alternating runs. Load generator and workers share the processors there are, so CPU
time a request, of the workers and of the processes that write for them, is told beside each rate.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from mersalg.engine.errors import ConfigError
from tests.benchmarks.serving_load import (
    CARTS,
    EMPTY,
    EVENTS,
    Measured,
    cpu_seconds,
    drive,
    memory_mib,
    with_helpers,
    workers_of,
)
from tests.benchmarks.serving_model import remembering_model
from tests.support.postgres import PostgresServer, free_port
from tests.support.servers import Server, publish_model, running_server

_PER_CALL = 100


def main() -> None:
    if shutil.which("wrk") is None:
        print("wrk is not installed: nothing measured")
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    parts = set(sys.argv[2:]) or {"suggestions", "events", "postgresql"}
    print(f"{os.cpu_count()} processors, shared by load generator and workers")
    with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as name:
        folder = Path(name)
        publish_model(folder / "models", remembering_model(folder / "models"))
        if "suggestions" in parts:
            two_workers(folder, suggestions(folder, rounds))
        if "events" in parts:
            sent_events(folder, "SQLite", None, 20_000)
        if "postgresql" in parts:
            on_postgres(folder)


def suggestions(folder: Path, rounds: int) -> float:
    """One worker beside the empty endpoint; its requests a second."""
    with empty_endpoint() as empty, served(folder, "one") as server:
        warm_up(server, folder)
        baseline, ours = Watched(empty.pid), Watched(server.process.pid)
        port = empty.args[-1]  # type: ignore[index]
        for _ in range(rounds):
            baseline.bear(lambda: drive(f"http://127.0.0.1:{port}", CARTS, folder))
            ours.bear(lambda: drive(server.url, CARTS, folder))
        baseline.tell("empty typed endpoint")
        ours.tell("POST /v1/suggestions")
        pairs = zip(baseline.runs, ours.runs, strict=True)
        ratio = statistics.median(own.rate / other.rate for other, own in pairs)
        print(f"{'ratio of throughputs':26} {ratio:.2f}   (goal: at least 0.60)")
        half = Watched(server.process.pid)
        for _ in range(rounds):
            half.bear(lambda: drive(server.url, CARTS, folder, rate=ours.rate / 2))
        half.tell("at half of its capacity")
        print(f"{'':26} (goal: p99 under 20 ms)")
        tell_memory(server, folder)
        tell_tracking(server)
        return ours.rate


def two_workers(folder: Path, one: float) -> None:
    with served(folder, "two", workers=2) as server:
        warm_up(server, folder)
        both = Watched(server.process.pid)
        for _ in range(3):
            both.bear(lambda: drive(server.url, CARTS, folder))
        both.tell("two workers")
        print(f"{'':26} {both.rate / one:.2f}x one worker   (goal: at least 1.7)")
        tell_memory(server, folder)


def sent_events(folder: Path, label: str, database: str | None, goal: int) -> None:
    with served(folder, f"events-{label}", database=database) as server:
        drive(server.url, EVENTS, folder, seconds=1)
        taking = Watched(server.process.pid)
        for _ in range(3):
            taking.bear(lambda: drive(server.url, EVENTS, folder))
        facts = taking.rate * _PER_CALL
        print(
            f"{'events into ' + label:26} {facts:7,.0f} facts/s in calls of {_PER_CALL}   p99"
            f" {taking.p99:.1f} ms   {1e6 * taking.cpu / _PER_CALL:.0f} us of CPU a fact"
            f"   (goal: at least {goal:,})"
        )


def on_postgres(folder: Path) -> None:
    try:
        # As it comes, with fsync: what is answered as recorded is on disk.
        server = PostgresServer(durable=True)
    except (ConfigError, RuntimeError, OSError) as error:
        print(f"PostgreSQL is not here: {error}")
        return
    try:
        sent_events(folder, "PostgreSQL", server.new_database(), 30_000)
        with served(folder, "carts", database=server.new_database()) as service:
            warm_up(service, folder)
            ours = Watched(service.process.pid)
            for _ in range(3):
                ours.bear(lambda: drive(service.url, CARTS, folder))
            ours.tell("suggestions, PostgreSQL")
    finally:
        server.close()


class Watched:
    """Runs of one load, and the CPU time that workers of a process spent on each request."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.runs: list[Measured] = []
        self._costs: list[float] = []

    def bear(self, load: Callable[[], Measured]) -> None:
        before, begun = self._spent(), time.perf_counter()
        run = load()
        seconds, after = time.perf_counter() - begun, self._spent()
        # Some helpers come and go, and do nothing for the load.
        cost = sum(spent - before[each] for each, spent in after.items() if each in before)
        self._costs.append(cost / (run.rate * seconds))
        self.runs.append(run)

    def _spent(self) -> dict[int, float]:
        processes = [each for worker in workers_of(self._pid) for each in with_helpers(worker)]
        return {process: cpu_seconds(process) for process in processes}

    @property
    def rate(self) -> float:
        return statistics.median(run.rate for run in self.runs)

    @property
    def p99(self) -> float:
        return statistics.median(run.p99 for run in self.runs)

    @property
    def cpu(self) -> float:
        """Seconds a request."""
        return statistics.median(self._costs)

    def tell(self, label: str) -> None:
        p50 = statistics.median(run.p50 for run in self.runs)
        print(
            f"{label:26} {self.rate:7.0f} requests/s   p50 {p50:6.2f} ms"
            f"   p99 {self.p99:6.2f} ms   {1e6 * self.cpu:5.0f} us of CPU a request"
        )


@contextmanager
def empty_endpoint() -> Iterator[subprocess.Popen[bytes]]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", EMPTY, str(port)])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/openapi.json", trust_env=False)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                break
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served(
    folder: Path, name: str, *, workers: int = 1, database: str | None = None
) -> Iterator[Server]:
    """`mersalg serve` over the model, with facts of its own."""
    own = folder / name
    own.mkdir()
    begun = time.perf_counter()
    with running_server(
        own, models=folder / "models", workers=workers, database=database, deadline_ms=50
    ) as server:
        print(
            f"{'start-up':26} {time.perf_counter() - begun:.1f} s until answers   (goal: under 3)"
        )
        yield server


def warm_up(server: Server, folder: Path) -> None:
    drive(server.url, CARTS, folder, seconds=1)


def tell_memory(server: Server, folder: Path) -> None:
    for pid in workers_of(server.process.pid):
        each = [memory_mib(process, folder / "models") for process in with_helpers(pid)]
        own, private, files = map(sum, zip(*each, strict=True))
        print(
            f"{'memory of a worker':26} {own:.0f} MiB beyond the model, {private:.0f} of it its own"
            f" alone; the model's share {files:.0f} MiB   (goal: under 120 MiB)"
        )


def tell_tracking(server: Server) -> None:
    """How many of the calls were on disk in time."""
    with server.client() as client:
        lines: Sequence[str] = client.get("/metrics").text.splitlines()
    reported = [line for line in lines if line.startswith("mersalg_decisions_total")]
    print("; ".join(reported))


if __name__ == "__main__":
    main()
