"""A service under steady load for long: memory, log and files stay flat, nothing fails.

    python -m tests.benchmarks.soak [MINUTES] [CALLS A SECOND]

Each shopper asks for suggestions and tells of views and a purchase; one in fifty sends nonsense,
one in fifty hangs up in the middle of a body. Ends with 1 where a call failed, or something was
larger in the last third of the time than in the second one by more than `_ALLOWED`. The database
may grow by what is recorded, and no faster in the last third.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np

from tests.serving.test_abuse import memory_mib
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

_ALLOWED = {
    "memory (MiB)": 24.0,  # by what a process for reports may grow
    "log (KiB)": 16.0,
    "write-ahead log (MiB)": 64.0,  # it is begun again at this size
    "spool (KiB)": 64.0,
    "temporary files (KiB)": 256.0,
    "temporary files": 4.0,
    "open files": 16.0,
}
_FASTER = 1.3
"""How many times the bytes a call the database may grow by in the last third."""
_SAMPLE_SECONDS = 5.0


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 50.0
    with tempfile.TemporaryDirectory(prefix="mersalg-soak-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        publish_model(folder / "models", tiny_model(holdout=0.1))
        places = {"TMPDIR": str(folder / "tmp")}
        with (
            running_server(folder, workers=2, environment=places) as server,
            server.client() as client,
        ):
            samples, failed, calls = soak(server, client, folder, minutes * 60, rate)
    curves = {name: np.array([each[name] for each in samples]) for name in samples[0]}
    late = curves["seconds"] > curves["seconds"][-1] / 3
    thirds = {name: np.array_split(curve[late], 2) for name, curve in curves.items()}
    print(f"{calls:,} calls in {curves['seconds'][-1] / 60:.1f} minutes, {failed} failed")
    is_wrong = failed > 0
    for name, allowed in _ALLOWED.items():
        second, third = (float(np.median(part)) for part in thirds[name])
        is_wrong |= third - second > allowed
        print(
            f"{name}: {curves[name][0]:,.0f} at first, {second:,.0f} in the second third,"
            f" {third:,.0f} in the last: {third - second:+,.1f} (at most {allowed:,.0f});"
            f" {curves[name].max():,.0f} at most"
        )
    second, third = (
        float(np.polyfit(calls, size, 1)[0])
        for calls, size in zip(thirds["calls"], thirds["database (KiB)"], strict=True)
    )
    is_wrong |= third > _FASTER * second
    print(f"database: {second:.2f} KiB a call in the second third, {third:.2f} in the last")
    sys.exit(int(is_wrong))


def soak(
    server: Server, client: httpx.Client, folder: Path, seconds: float, rate: float
) -> tuple[list[Mapping[str, float]], int, int]:
    failed, number, samples = 0, 0, [sample(server, folder, 0.0, 0)]
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        if now - samples[-1]["seconds"] >= _SAMPLE_SECONDS:
            samples.append(sample(server, folder, now, 3 * number))
            if len(samples) % 12 == 0:
                sizes = ", ".join(f"{name} {samples[-1][name]:,.0f}" for name in _ALLOWED)
                print(f"{now / 60:5.1f} min  {sizes}", flush=True)
        failed += visit(server, client, number)
        number += 1
        time.sleep(max(0.0, begun + number * 3 / rate - time.monotonic()))
    return samples, failed, 3 * number


def sample(server: Server, folder: Path, seconds: float, calls: int) -> Mapping[str, float]:
    """Sizes of all that the service holds and writes."""
    temporary, spooled = ([*(folder / name).rglob("*")] for name in ("tmp", "spool"))
    processes = [
        each for each in Path("/proc").glob("[0-9]*") if group_of(each) == server.process.pid
    ]
    return {
        "seconds": seconds,
        "calls": calls,
        "memory (MiB)": memory_mib(server),
        "log (KiB)": kib(folder / "serve.log", folder / "serve.out"),
        "database (KiB)": kib(folder / "facts.db"),
        "write-ahead log (MiB)": kib(folder / "facts.db-wal") / 1024,
        "spool (KiB)": kib(*spooled),
        "temporary files (KiB)": kib(*temporary),
        "temporary files": len(temporary),
        "open files": sum(len([*(each / "fd").iterdir()]) for each in processes),
    }


def group_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except (OSError, ValueError):
        return 0


def kib(*files: Path) -> float:
    """Sizes of the files that are there."""
    return sum(each.stat().st_size for each in files if each.is_file()) / 1024


def visit(server: Server, client: httpx.Client, number: int) -> int:
    """The number of calls that failed."""
    if number % 50 == 1:
        return int(client.post("/v1/suggestions", content=b"[" * 1_000).status_code != 422)
    if number % 50 == 2:
        hang_up(server)
        return 0
    who = {
        "checkout_id": f"k{number}",
        "session_id": f"s{number}",
        "customer_id": f"c{number % 997}",
    }
    cart = {**who, "lines": [{"item_id": "phone-64", "quantity": 1 + number % 3}]}
    answer = client.post("/v1/suggestions", json=cart)
    if answer.status_code != 200:
        return 1
    at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    views = [
        {"type": "view_promotion", "event_id": f"v{number}-{place}", "occurred_at": at,
         "offer_id": offer["offer_id"]}
        for place, offer in enumerate(answer.json()["offers"])
    ]  # fmt: skip
    bought = {
        "type": "purchase",
        "event_id": f"p{number}",
        "occurred_at": at,
        **who,
        "transaction_id": f"t{number}",
        "currency": "NOK",
        "items": [{"item_id": "phone-64", "quantity": 1, "price": "5990.00"}],
    }
    reported = client.post("/v1/events", json={"events": [*views, bought]})
    asked = client.get("/v1/reports/rates" if number % 500 == 0 else "/readyz")
    return int(reported.status_code != 200) + int(asked.status_code != 200)


def hang_up(server: Server) -> None:
    where = urlsplit(server.url)
    head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"
    with (
        suppress(OSError),
        closing(socket.create_connection((where.hostname, where.port or 80), 5)) as talk,
    ):
        talk.sendall(head.encode() + json.dumps({"events": []}).encode())


if __name__ == "__main__":
    main()
