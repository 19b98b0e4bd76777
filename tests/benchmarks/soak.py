"""A service under steady load for long: memory stays flat, nothing fails.

    python -m tests.benchmarks.soak [MINUTES] [CALLS A SECOND]

Each shopper asks for suggestions and tells of views and a purchase; one in fifty sends nonsense,
one in fifty hangs up in the middle of a body. Ends with 1 where memory was higher in the last third
of the time than in the second one, by more than a process for reports may grow, or a call failed.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np

from tests.serving.test_abuse import memory_mib
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

_ALLOWED_MIB = 24.0
_SAMPLE_SECONDS = 5.0


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 50.0
    with tempfile.TemporaryDirectory(prefix="mersalg-soak-") as name:
        folder = Path(name)
        publish_model(folder / "models", tiny_model(holdout=0.1))
        with running_server(folder) as server, server.client() as client:
            times, sizes, failed, calls = soak(server, client, minutes * 60, rate)
    late = times > times[-1] / 3
    hours, held = times[late] / 3600, sizes[late]
    (slope, _), covariance = np.polyfit(hours, held, 1, cov=True)
    doubt = 2 * float(np.sqrt(covariance[0, 0]))
    print(
        f"{calls:,} calls in {times[-1] / 60:.1f} minutes, {failed} failed; memory"
        f" {sizes[0]:.0f} MiB at first, {held[0]:.0f} after a third, {sizes[-1]:.0f} at last:"
        f" {slope:+.1f} MiB an hour, give or take {doubt:.1f}"
    )
    second, third = np.array_split(held, 2)
    grown = float(np.median(third) - np.median(second))
    print(f"last third against the second: {grown:+.1f} MiB (at most {_ALLOWED_MIB:.0f})")
    sys.exit(int(failed > 0 or grown > _ALLOWED_MIB))


def soak(
    server: Server, client: httpx.Client, seconds: float, rate: float
) -> tuple[np.ndarray, np.ndarray, int, int]:
    times, sizes, failed, number = [0.0], [memory_mib(server)], 0, 0
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        if now - times[-1] >= _SAMPLE_SECONDS:
            times.append(now)
            sizes.append(memory_mib(server))
            if len(sizes) % 12 == 0:
                print(f"{now / 60:5.1f} min  {sizes[-1]:6.1f} MiB  {number:,} shoppers", flush=True)
        failed += visit(server, client, number)
        number += 1
        time.sleep(max(0.0, begun + number * 3 / rate - time.monotonic()))
    return np.array(times), np.array(sizes), failed, 3 * number


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
    told = client.post("/v1/events", json={"events": [*views, bought]})
    asked = client.get("/v1/reports/rates" if number % 500 == 0 else "/readyz")
    return int(told.status_code != 200) + int(asked.status_code != 200)


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
