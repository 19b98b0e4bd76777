"""What the garbage collector costs a call as the service sets it, beside Python's own setting.

    python -m tests.benchmarks.collector [ROUNDS]

The whole application in one process, eight calls at a time, carts of three items of the model of
`tests.benchmarks.serving`; processor time of the event loop's thread, and of it what was spent on
looking for cycles, medians of rounds in turns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from itertools import count
from math import exp
from pathlib import Path
from statistics import median

import uvloop
from fastapi import FastAPI
from starlette.types import Message, Scope

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings
from tests.benchmarks.serving_model import remembering_model
from tests.support.servers import publish_model

_AT_ONCE, _CALLS = 8, 800
_numbers = count()


async def measure(folder: Path, n_rounds: int) -> None:
    """Print microseconds of a call for both settings, and their ratio."""
    models, database = folder / "models", f"sqlite:///{folder / 'facts.db'}"
    publish_model(models, remembering_model(models))
    settings = ServeSettings(models=models, database=database, spool=folder / "spool")
    python, draw = gc.get_threshold(), random.Random(1)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        thresholds = (python, gc.get_threshold())
        costs: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        spent = [0.0]

        def note(phase: str, _: dict[str, int]) -> None:
            spent[0] += time.thread_time() * (1 if phase == "stop" else -1)

        gc.callbacks.append(note)
        for number in range(n_rounds + 1):
            for threshold, own in zip(thresholds, costs, strict=True):
                gc.set_threshold(*threshold)
                began, spent[0] = time.thread_time(), 0.0
                for _ in range(_CALLS // _AT_ONCE):
                    await asyncio.gather(*(_call(app, draw) for _ in range(_AT_ONCE)))
                if number:  # the first round warms up
                    own.append((time.thread_time() - began, spent[0]))
        gc.callbacks.remove(note)
    wholes: list[float] = []
    for name, own in zip(("Python's", "the service's"), costs, strict=True):
        whole, collecting = (1e6 * median(values) / _CALLS for values in zip(*own, strict=True))
        print(f"{name} threshold: {whole:.0f} us a call, {collecting:.1f} of them collecting")
        wholes.append(whole)
    print(f"ratio {wholes[1] / wholes[0]:.2f}x")


async def _call(app: FastAPI, draw: random.Random) -> None:
    number = next(_numbers)
    cart = {
        "checkout_id": f"ch{number}",
        "session_id": f"s{number}",
        "customer_id": f"c{draw.randrange(60_000)}",
        "lines": [{"item_id": f"sku-{int(20 * (exp(draw.random() * 8.5) - 1))}"} for _ in range(3)],
    }
    body = json.dumps(cart).encode()
    headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    headers.append((b"content-type", b"application/json"))
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    # Called as a server calls it: a client in the same process would have rubbish of its own.
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/suggestions",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    if statuses != [200]:
        raise RuntimeError(f"answered {statuses}")


def main() -> None:
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with (
        tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(Path(folder), n_rounds))


if __name__ == "__main__":
    main()
