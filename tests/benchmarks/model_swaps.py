"""What publishing a large model costs those who are served meanwhile, and how soon it is served.

    python -m tests.benchmarks.model_swaps [SWAPS]

Model of 1 million rules and 100,000 items. How long the event loop is kept from running while a
version is loaded, beside waits of the same length in which nothing is loaded; the slowest answer
around each swap, beside the slowest of as long a time after it; and the time until each of two
workers serves a version, beside reading and checking it once and the half second in which the
workers look for one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable
from pathlib import Path

import numpy as np

from mersalg.engine.registry import Registry
from mersalg.serving.live_model import LiveModel, load_checked
from mersalg.serving.metrics import Metrics
from mersalg.serving.settings import ServeSettings
from tests.benchmarks.side_by_side import in_turns, print_ratio, seconds_of
from tests.benchmarks.slate import large_model
from tests.support.servers import Server, running_server
from tests.support.waiting import eventually


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as name:
        folder = Path(name)
        registry = Registry(folder / "models")
        model = large_model()
        registry.publish(registry.write(model, {}))
        registry.write(model, {})
        asyncio.run(loads(registry, rounds))
        swaps(folder, registry, rounds)
        following(folder, registry, rounds)


def other_version(registry: Registry) -> str:
    """Return the version that is not published."""
    published = registry.current()
    return next(each.version for each in registry.versions() if each.version != published)


async def loads(registry: Registry, rounds: int) -> None:
    live = LiveModel(registry, Metrics(), loaded=lambda _model: None)
    await live.reload()
    during: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        registry.publish(other_version(registry))
        begun = time.perf_counter()
        during.append(await longest_stop(live.reload()))
        beside.append(await longest_stop(asyncio.sleep(time.perf_counter() - begun)))
    live.close()
    print_ratio("the loop's longest stop during a load", during, beside, "while nothing loads", 5)


async def longest_stop(work: Awaitable[object]) -> float:
    """Return how many seconds the loop was kept from running at most, while it awaits some work."""
    stops = [0.0]

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stops.append(time.perf_counter() - before)

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    return max(stops)


class Buyers:
    """Ask one after another in a thread; note when each answer came and how long it took."""

    def __init__(self, server: Server) -> None:
        self.answers: list[tuple[float, float]] = []
        self._server, self._over = server, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        draw = np.random.default_rng(1)
        number = 0
        with self._server.client() as client:
            while not self._over.is_set():
                number += 1
                lines = [{"item_id": f"sku-{item}"} for item in draw.integers(0, 3000, 5)]
                cart = {"checkout_id": f"ch-{number}", "session_id": f"s-{number}", "lines": lines}
                begun = time.perf_counter()
                client.post("/v1/suggestions", json=cart).raise_for_status()
                ended = time.perf_counter()
                self.answers.append((ended, ended - begun))

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def slowest(self, since: float, until: float) -> float:
        return max(
            (took for ended, took in self.answers if since <= ended <= until),
            default=until - since,
        )


def swaps(folder: Path, registry: Registry, rounds: int) -> None:
    own = folder / "swaps"
    own.mkdir()
    windows: list[tuple[float, float, float]] = []
    with running_server(own, models=registry.root) as server, server.client() as client:
        buyers = Buyers(server)
        try:
            eventually(lambda: len(buyers.answers) > 50)
            for _ in range(rounds):
                begun = time.perf_counter()
                client.post(f"/v1/models/{other_version(registry)}/publish").raise_for_status()
                time.sleep(0.1)
                ended = time.perf_counter()
                time.sleep(ended - begun)
                windows.append((begun, ended, time.perf_counter()))
        finally:
            buyers.stop()
    during = [buyers.slowest(begun, ended) for begun, ended, _ in windows]
    beside = [buyers.slowest(ended, over) for _, ended, over in windows]
    print_ratio("the slowest answer around a swap", during, beside, "as long a time beside it", 4)


def following(folder: Path, registry: Registry, rounds: int) -> None:
    own = folder / "following"
    own.mkdir()
    looking = ServeSettings().model_poll_seconds
    with running_server(own, models=registry.root, workers=2) as server:
        eventually(lambda: server.said.count("serving model") == 2)

        def until_both_serve() -> float:
            version = other_version(registry)
            read = len(server.said)
            registry.publish(version)
            return seconds_of(
                lambda: eventually(
                    lambda: server.said[read:].count(f"serving model {version}") == 2
                )
            )

        def floor() -> float:
            version = other_version(registry)
            return looking + seconds_of(lambda: load_checked(registry, version))

        ours, floors = in_turns(rounds, until_both_serve, floor)
    print_ratio("until both workers serve a version", ours, floors, "one reads it, and half a s", 3)


if __name__ == "__main__":
    main()
