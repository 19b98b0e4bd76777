"""Loads for `tests.benchmarks.serving`, and what a process costs while it bears them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import children_of

CONNECTIONS = 8
_OPEN_CONNECTIONS = 64
_TICK = os.sysconf("SC_CLK_TCK")

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

# Lines of a cart are drawn by popularity, as the model's rules were; some buyers are not known.
CARTS = """
math.randomseed(RUN)
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  n = n + 1
  local lines = {}
  for place = 1, 3 do
    local item = math.floor(20 * (math.exp(math.random() * 8.5) - 1))
    lines[place] = '{"item_id":"sku-' .. item .. '","quantity":1}'
  end
  local id = RUN .. "-" .. n
  return wrk.format(nil, "/v1/suggestions", nil, '{"checkout_id":"ch' .. id
    .. '","session_id":"s' .. id .. '","customer_id":"c' .. math.random(0, 60000)
    .. '","lines":[' .. table.concat(lines, ",") .. ']}')
end
"""

# Buyers come when they come, not when another one is answered: exponential gaps.
PACED = """
delay = function() return -math.log(1 - math.random()) * GAP end
"""

# A checkout has four views, two clicks or additions, and every other one an order of two items.
EVENTS = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
local kinds = {"view_promotion", "view_promotion", "view_promotion", "view_promotion",
  "select_promotion", "add_to_cart"}
local function event(kind, id, checkout, rest)
  return '{"type":"' .. kind .. '","event_id":"' .. id
    .. '","occurred_at":"2026-10-05T12:30:45.123+00:00","checkout_id":"ch' .. checkout
    .. '","session_id":"s' .. checkout .. '","customer_id":"c' .. checkout .. '",' .. rest .. '}'
end
request = function()
  local events = {}
  local place = 0
  while #events < 100 do
    n = n + 1
    local checkout = RUN .. "-" .. n
    for each = 1, 6 do
      events[#events + 1] = event(kinds[each], "e" .. checkout .. "-" .. each, checkout,
        '"offer_id":"off_' .. checkout .. '-' .. (each % 4) .. '"')
    end
    if n % 2 == 0 then
      events[#events + 1] = event("purchase", "p" .. checkout, checkout, '"transaction_id":"t'
        .. checkout .. '","currency":"NOK","items":[{"item_id":"sku-1","quantity":1,'
        .. '"price":"199.00","offer_id":"off_' .. checkout .. '-1"},'
        .. '{"item_id":"sku-2","quantity":2,"price":"49.50"}]')
    end
  end
  for surplus = #events, 101, -1 do events[surplus] = nil end
  return wrk.format(nil, "/v1/events", nil, '{"events":[' .. table.concat(events, ",") .. ']}')
end
"""

_run = 0


@dataclass(frozen=True)
class Measured:
    """Requests a second, and milliseconds of percentiles."""

    rate: float
    p50: float
    p99: float


def drive(
    url: str, script: str, folder: Path, *, seconds: float = 4, rate: float | None = None
) -> Measured:
    """Load by wrk, one thread; at full tilt, or about `rate` requests a second whoever waits."""
    global _run
    _run += 1
    connections = CONNECTIONS if rate is None else _OPEN_CONNECTIONS
    text = script
    if rate is not None:
        text += PACED.replace("GAP", f"{1000 * connections / rate:.3f}")
    path = folder / "load.lua"
    path.write_text(f"local RUN = {os.getpid() * 1000 + _run}\n{text}")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(path)]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return Measured(
        _number(said, r"Requests/sec:\s+([\d.]+)()"),
        _number(said, r"50%\s+([\d.]+)(us|ms|s)"),
        _number(said, r"99%\s+([\d.]+)(us|ms|s)"),
    )


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "s": 1000.0}.get(found[2], 1.0)


def workers_of(pid: int) -> list[int]:
    """The processes that a server started, its bookkeeper of shared memory aside."""
    named = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children_of(pid)}
    return sorted(child for child, name in named.items() if b"resource_tracker" not in name)


def with_helpers(worker: int) -> list[int]:
    """A worker and the processes it started."""
    return [worker, *workers_of(worker)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory_mib(pid: int, mapped: Path) -> tuple[float, float, float]:
    """Proportional share (PSS) without files of `mapped`, private part, PSS of those files."""
    own = private = files = 0
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = str(mapped) in line
        elif name == "Pss":
            size = int(rest.split()[0])
            files += size if inside else 0
            own += 0 if inside else size
        elif name in ("Private_Clean", "Private_Dirty") and not inside:
            private += int(rest.split()[0])
    return own / 1024, private / 1024, files / 1024
