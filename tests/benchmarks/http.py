"""Suggestion calls over HTTP, durable, against an empty typed endpoint in the same run.

    python -m tests.benchmarks.http

Model of 1 million rules and 100,000 items, one worker, loopback, wrk with one thread and eight
connections, a different shopper each call. Prints the medians of alternating runs.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.benchmarks.slate import large_model
from tests.support.postgres import free_port
from tests.support.servers import publish_model, running_server

SECONDS, ROUNDS, CONNECTIONS = 4, 5, 8

EMPTY = """
import sys
from fastapi import FastAPI
from granian import Granian
from granian.constants import Interfaces
from pydantic import BaseModel

class Line(BaseModel):
    item_id: str
    quantity: int = 1

class Asked(BaseModel):
    checkout_id: str
    lines: list[Line]

class Answered(BaseModel):
    decision_id: str
    offers: list[str]

def load():
    app = FastAPI()
    @app.post("/v1/suggestions")
    async def suggest(asked: Asked) -> Answered:
        return Answered(decision_id=asked.checkout_id, offers=[])
    return app

Granian("empty", port=int(sys.argv[1]), interface=Interfaces.ASGI, websockets=False,
        log_level="warning").serve(target_loader=load, wrap_loader=False)
"""

# Lines of a cart are drawn by popularity, as the model's rules were.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  n = n + 1
  local lines = {}
  for place = 1, 3 do
    local item = math.floor(20 * (math.exp(math.random() * 8.5) - 1))
    lines[place] = '{"item_id":"' .. PREFIX .. item .. '","quantity":1}'
  end
  return wrk.format(nil, "/v1/suggestions", nil, '{"checkout_id":"ch' .. n .. '","session_id":"s'
    .. n .. '","customer_id":"c' .. n .. '","lines":[' .. table.concat(lines, ",") .. ']}')
end
"""


def measure(url: str, script: Path) -> tuple[float, float, float]:
    """Requests a second, and milliseconds of the median and the 99th percentile."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", "-s", str(script)]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return _number(said, r"Requests/sec:\s+([\d.]+)()"), _time(said, "50%"), _time(said, "99%")


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "s": 1000.0}.get(found[2], 1.0)


def _time(text: str, percentile: str) -> float:
    return _number(text, rf"{percentile}\s+([\d.]+)(us|ms|s)")


def main() -> None:
    if shutil.which("wrk") is None:
        print("wrk is not installed: nothing measured")
        return
    with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as name:
        folder = Path(name)
        model = large_model()
        publish_model(folder / "models", model)
        prefix = model.catalogue.items[0].rstrip("0123456789")
        script = folder / "cart.lua"
        script.write_text(SCRIPT.replace("PREFIX", f'"{prefix}"'))
        port = free_port()
        empty = subprocess.Popen([sys.executable, "-c", EMPTY, str(port)])
        started = time.perf_counter()
        try:
            with running_server(folder, deadline_ms=50) as server:
                print(f"start-up with the model: {time.perf_counter() - started:.1f} s")
                compare(f"http://127.0.0.1:{port}", server.url, script)
                with server.client() as client:
                    tell_tracking(client)
        finally:
            empty.terminate()
            empty.wait()


def compare(empty: str, mersalg: str, script: Path) -> None:
    runs = [(measure(empty, script), measure(mersalg, script)) for _ in range(ROUNDS)]
    for label, place in (("empty typed endpoint", 0), ("POST /v1/suggestions", 1)):
        columns = [statistics.median(run[place][column] for run in runs) for column in range(3)]
        print(
            f"{label:22} {columns[0]:7.0f} requests/s   p50 {columns[1]:6.2f} ms"
            f"   p99 {columns[2]:6.2f} ms"
        )
    ratio = statistics.median(run[1][0] / run[0][0] for run in runs)
    print(f"{'ratio of throughputs':22} {ratio:7.2f}   (goal: at least 0.60)")


def tell_tracking(client: httpx.Client) -> None:
    """How many of the calls were on disk in time."""
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("mersalg_decisions_total"):
            print(line)


if __name__ == "__main__":
    main()
